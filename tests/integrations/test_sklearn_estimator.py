"""The estimator: every kind of structure, scikit-learn's tools, and scikit-learn's own checks.

Those checks pass arrays, so `ArrayRegressor` maps each row to a crystal, and does not train. All of
them take minutes; the default suite runs those that do not fit.
"""

import dataclasses
import hashlib
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from tests.networks import SMALLEST

from cgatjax.config import GraphConfig
from cgatjax.errors import ConfigError, InputError, NotFittedError, StructureError
from cgatjax.integrations.sklearn_estimator import CGATRegressor
from cgatjax.model.model_io import save_model
from cgatjax.synthetic.dataset import ionic_crystals

LOW = "e-form@low"
CRYSTALS = ionic_crystals(40, seed=0)
VALUES = np.array([crystal.targets[LOW] for crystal in CRYSTALS])
DO_NOT_APPLY = {
    "check_estimators_unfitted": "raises NotFittedError of cgatjax, with the same bases",
    "check_n_features_in_after_fitting": "structures have no number of features",
    "check_regressors_train": "rows of an array have no relation to their crystals",
}
WITHOUT_FIT = {
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
}


def tiny(**options) -> CGATRegressor:
    return CGATRegressor(**{"network": SMALLEST, "epochs": 0, **options})


def test_a_difference_to_a_property_of_the_structures_is_learned():
    low = np.array([crystal.targets["e-form@low"] for crystal in CRYSTALS])
    high = np.array([crystal.targets["e-form@high"] for crystal in CRYSTALS])
    regressor = tiny(baseline="e-form@low", references=True, target="e-form@high", unit="eV/atom")
    found = regressor.fit(CRYSTALS, high).predict(CRYSTALS)
    normalizer = regressor.model_.normalizers["e-form@high"]
    assert normalizer.baseline.name == "e-form@low"
    assert np.abs(found - low).mean() < np.abs(found - found.mean()).mean()
    bare = [dataclasses.replace(crystal, targets={}) for crystal in CRYSTALS[:2]]
    with pytest.raises(StructureError, match="no value of"):
        regressor.predict(bare)
    with pytest.raises(InputError, match="no value of"):
        tiny(baseline="e-form@low").fit(bare, high[:2])
    volumes = np.array([crystal.targets["volume@high"] for crystal in CRYSTALS])
    regressor = tiny(baseline="cell_volume", target="volume", unit="A^3/atom")
    regressor.fit(CRYSTALS, volumes)
    assert len(regressor.predict(bare)) == 2


class ArrayRegressor(CGATRegressor):
    """Regressor on arrays that maps each row to a crystal."""

    def __init__(self, epochs=0):
        super().__init__(epochs=epochs, network=SMALLEST)

    def fit(self, X, y):
        from sklearn.utils.validation import check_X_y

        X, y = check_X_y(X, y)
        self.n_features_in_ = X.shape[1]
        return super().fit(_crystals(X), y)

    def predict(self, X):
        from sklearn.utils.validation import check_array

        self._model()
        return super().predict(_crystals(check_array(X)))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


def _crystals(rows):
    return [CRYSTALS[hashlib.md5(row.tobytes()).digest()[0] % len(CRYSTALS)] for row in rows]


@pytest.fixture(scope="module")
def fitted():
    """A regressor after a few epochs with a robust loss."""
    training = {"schedule": "constant"}
    options = {"epochs": 3, "learning_rate": 5e-3, "loss": "robust_l1", "training": training}
    return tiny(**options).fit(CRYSTALS, VALUES)


@pytest.fixture(scope="module")
def unfitted():
    return tiny()


def test_fitted_regressors_predict_means_and_stds(fitted):
    assert fitted.history_.column("train_loss")[-1] < fitted.history_.column("train_loss")[0]
    mean, std = fitted.predict(CRYSTALS, return_std=True)
    assert mean.shape == std.shape == (40,)
    assert mean.dtype == np.float64
    assert (std > 0).all()
    np.testing.assert_array_equal(fitted.predict(CRYSTALS), mean)
    residual, spread = np.sum((VALUES - mean) ** 2), np.sum((VALUES - VALUES.mean()) ** 2)
    assert fitted.score(CRYSTALS, VALUES) == pytest.approx(1 - residual / spread)
    weights = np.r_[np.ones(20), np.zeros(20)]
    half = fitted.score(CRYSTALS[:20], VALUES[:20])
    # Batches of another size sum in another order: equal to the rounding of float32.
    assert fitted.score(CRYSTALS, VALUES, sample_weight=weights) == pytest.approx(half, abs=1e-5)


def test_predictions_do_not_depend_on_the_kind_of_structure(fitted):
    ase = pytest.importorskip("ase")
    from pymatgen.core import Structure

    some = CRYSTALS[:4]
    structures = [Structure(c.lattice, c.atomic_numbers.tolist(), c.frac_coords) for c in some]
    atoms = [
        ase.Atoms(c.atomic_numbers, cell=c.lattice, scaled_positions=c.frac_coords, pbc=True)
        for c in some
    ]
    expected = fitted.predict(some)
    mixed = np.empty(4, object)
    mixed[:] = [structures[0], atoms[1], some[2], structures[3]]
    for inputs in (structures, atoms, mixed, tuple(atoms)):
        np.testing.assert_allclose(fitted.predict(inputs), expected, rtol=1e-5)
    first = tiny().fit(structures, VALUES[:4]).predict(atoms)
    np.testing.assert_allclose(first, tiny().fit(atoms, VALUES[:4]).predict(some), rtol=1e-5)
    with pytest.raises(InputError, match="got a single Structure; put it into a list"):
        fitted.predict(structures[0])


def test_transfer_from_a_pre_trained_model(trained_model, tmp_path):
    save_model(tmp_path / "model", trained_model)
    from_folder = CGATRegressor(start_from=str(tmp_path / "model"), epochs=0, mode="head")
    from_folder.fit(CRYSTALS, VALUES)
    assert from_folder.model_.units == {LOW: "eV/atom"}
    high = CGATRegressor(start_from=trained_model, epochs=0, target="e-form@high")
    high.fit(CRYSTALS, VALUES)
    assert high.model_.units == {"e-form@high": "eV/atom"}
    assert high.history_.report.rescaled
    assert from_folder.history_.report.source == LOW
    assert from_folder.history_.report.frozen
    for name, value in (("network", SMALLEST), ("graph", GraphConfig.released())):
        with pytest.raises(ConfigError, match=f"{name}: start_from brings its own"):
            CGATRegressor(start_from=trained_model, **{name: value}).fit(CRYSTALS, VALUES)


def test_clones_grid_searches_and_pickles(fitted):
    from sklearn import base
    from sklearn.metrics import r2_score
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline

    assert base.is_regressor(fitted)
    copy = base.clone(fitted)
    assert copy.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError, match="not fitted yet; call fit first"):
        copy.predict(CRYSTALS)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(CRYSTALS[:5]), fitted.predict(CRYSTALS[:5]))
    expected = r2_score(VALUES, fitted.predict(CRYSTALS))
    assert make_pipeline(fitted).score(CRYSTALS, VALUES) == pytest.approx(expected)
    grid = {"random_state": [1, 2]}
    search = GridSearchCV(tiny(), grid, cv=2, refit=False, error_score="raise")
    search.fit(CRYSTALS[:12], VALUES[:12])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert len(set(search.cv_results_["mean_test_score"])) == 2


def test_parameters_are_the_constructor_arguments(unfitted):
    assert unfitted.get_params()["epochs"] == 0
    assert CGATRegressor().set_params(epochs=5, loss="l2").loss == "l2"
    assert repr(CGATRegressor(epochs=5)) == "CGATRegressor(epochs=5)"
    with pytest.raises(ValueError, match="Invalid parameter 'epoch'"):
        unfitted.set_params(epoch=5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "huge"}, r"preset: expected one of \['small'"),
        ({"loss": "l3"}, "TrainConfig.loss"),
        ({"valid_fraction": 0}, "valid_fraction=0"),
        ({"network": {"depth": 3}}, r"unknown option\(s\) \['depth'\]"),
    ],
)
def test_fit_refuses_invalid_arguments(options, message):
    with pytest.raises((ConfigError, InputError), match=message):
        tiny(**options).fit(CRYSTALS[:4], VALUES[:4])


@pytest.mark.parametrize(
    ("structures", "values", "message"),
    [
        (CRYSTALS[:3], VALUES[:2], r"y of shape \(3,\), one value per structure, got \(2,\)"),
        (CRYSTALS[:2], VALUES[:2, None], r"got \(2, 1\)"),
        (CRYSTALS[:2], [1.0, np.nan], "finite values of y"),
        (CRYSTALS[:2], ["a", "b"], "numbers as y"),
        (CRYSTALS[:2], None, "requires y to be passed"),
        (CRYSTALS[:1], [1.0], "at least 2 structures"),
        ([], [], "expected structures"),
        (3, [1.0], "expected a list of structures"),
        ([1, 2], [1.0, 2.0], "expected a path, CIF text, a pymatgen Structure, ASE Atoms"),
    ],
)
def test_fit_refuses_invalid_data(unfitted, structures, values, message):
    with pytest.raises(InputError, match=message):
        unfitted.fit(structures, values)


def test_errors_name_the_invalid_structure(fitted):
    from dataclasses import replace

    bad = replace(CRYSTALS[1], id="flat", lattice=np.ones((3, 3)))
    for call in (lambda: tiny().fit([CRYSTALS[0], bad], VALUES[:2]), lambda: fitted.predict([bad])):
        with pytest.raises(StructureError, match=r"'flat'.*singular lattice"):
            call()


def test_std_needs_a_robust_loss():
    plain = tiny().fit(CRYSTALS[:4], VALUES[:4])
    with pytest.raises(ConfigError, match='train it with loss="robust_l1"'):
        plain.predict(CRYSTALS[:1], return_std=True)
    constant = np.full(4, plain.predict(CRYSTALS[:4])[0])
    assert plain.score(CRYSTALS[:4], constant) in (0.0, 1.0)


def estimator_checks(names=None):
    from sklearn.utils.estimator_checks import estimator_checks_generator

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a warning about the missing base class
        found = list(estimator_checks_generator(ArrayRegressor(), legacy=True))
    for estimator, check in found:
        name = getattr(check, "__name__", None) or check.func.__name__
        if names is None or name in names:
            yield name, check, estimator


def test_checks_of_scikit_learn_without_fitting():
    done = set()
    for name, check, estimator in estimator_checks(WITHOUT_FIT):
        check(estimator)
        done.add(name)
    assert done == WITHOUT_FIT


@pytest.mark.long
def test_checks_of_scikit_learn():
    from sklearn.utils.estimator_checks import check_estimator

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(ArrayRegressor(), on_fail=None, on_skip=None)
    failed = {r["check_name"] for r in results if r["status"] == "failed"}
    assert failed == set(DO_NOT_APPLY)
    assert len(results) > 45


def test_a_data_frame_with_one_column_of_structures():
    frame = pd.DataFrame({"structure": pd.Series(CRYSTALS, dtype=object), "y": VALUES})
    model = tiny().fit(frame[["structure"]], frame["y"])
    expected = model.predict(CRYSTALS)
    assert np.array_equal(model.predict(frame[["structure"]]), expected)
    assert np.array_equal(model.predict(frame["structure"]), expected)
    assert np.array_equal(model.predict(frame[["structure"]].to_numpy()), expected)
    with pytest.raises(
        InputError, match=r"columns \['structure', 'y'\]; give .* df\['structure'\]"
    ):
        model.predict(frame)
