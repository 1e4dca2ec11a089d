"""Gaussian processes and calibration factors of a run, and the commands that fit them."""

import json

import numpy as np
import pytest
from tests.commands import ok, read_csv, refused

import cgatjax as cg
from cgatjax.config import GPConfig
from cgatjax.errors import InputError, MismatchError
from cgatjax.inference.gp_fitting import fit_gp
from cgatjax.inference.loading import digest_of, read_predictor
from cgatjax.inference.prediction import embed, predict
from cgatjax.inference.uncertainty_io import (
    CALIBRATION,
    GAUSSIAN_PROCESS,
    Rescaling,
    load_processes,
    save_processes,
    save_rescalings,
)
from cgatjax.model.model_io import save_model
from cgatjax.runs.run_folder import SPLIT, RunFolder

LOW = "e-form@low"


@pytest.fixture(scope="module")
def run(trained_model, ionic_store, tmp_path_factory):
    """The run folder of the trained model, with its split."""
    folder = RunFolder(tmp_path_factory.mktemp("uncertainty") / "run")
    ionic_store.make_split(seed=0).save(folder.path / SPLIT)
    save_model(folder.path / "model", trained_model)
    return folder.path


@pytest.fixture
def copy(run, trained_model, tmp_path):
    """Copy of the run folder."""
    save_model(tmp_path / "run" / "model", trained_model)
    (tmp_path / "run" / SPLIT).write_bytes((run / SPLIT).read_bytes())
    return tmp_path / "run"


@pytest.fixture(scope="module")
def process(trained_model, train_set):
    """Gaussian process on the embeddings of the training set."""
    embeddings = embed(trained_model, train_set)
    return fit_gp(embeddings, train_set.target(LOW), GPConfig(inducing=8, steps=0))


def test_a_saved_process_predicts_the_same(copy, trained_model, test_set, process):
    save_processes(copy, {LOW: process}, digest_of([trained_model]))
    found = read_predictor(copy, "gp")
    expected = process.predict(embed(trained_model, test_set))
    predicted = predict(found, test_set)
    np.testing.assert_allclose(predicted.mean, expected[0], rtol=1e-6)
    np.testing.assert_allclose(predicted.std, expected[1], rtol=1e-6)
    note = "Gaussian process on embeddings, 8 inducing points for 96 crystals"
    assert predicted.std_notes[LOW] == note
    assert read_predictor(copy).uncertainty == "aleatoric"
    with pytest.raises(InputError, match="expected embeddings"):
        found.moments(LOW, [{"embedding": np.zeros((5, 2))}], test_set)


def test_files_of_other_weights_are_refused(copy, process):
    save_processes(copy, {LOW: process}, "other")
    with pytest.raises(MismatchError, match="other weights than the run's; fit it again"):
        read_predictor(copy)
    save_processes(copy, {LOW: process}, digest_of(load_members(copy)))
    save_rescalings(copy, {}, "other")
    with pytest.raises(MismatchError, match="calibrate again, or remove it"):
        read_predictor(copy)


def load_members(path):
    return [cg.load_model(path)]


def test_damaged_files_are_refused(copy, process):
    digest = digest_of(load_members(copy))
    save_processes(copy, {LOW: process}, digest)
    file = copy / GAUSSIAN_PROCESS / "process.json"
    file.write_text("{}")
    with pytest.raises(InputError, match="fit the Gaussian process again"):
        load_processes(copy, digest)
    for text in ("{", '{"weights": 1}', '{"weights": "", "factors": {"gp": {"a": {}}}}'):
        (copy / CALIBRATION).write_text(text)
        with pytest.raises(InputError, match="cannot be read as a calibration"):
            read_predictor_without_process(copy)
    with pytest.raises(InputError, match="positive factor, got -1"):
        Rescaling(factor=-1.0, n=3, data="x")


def read_predictor_without_process(path):
    from cgatjax.inference.uncertainty_io import load_rescalings

    return load_rescalings(path, "")


def test_predictions_use_the_calibration_factor(copy, ionic_store, valid_set):
    before = predict(read_predictor(copy), valid_set)
    z = (before.mean - valid_set.target(LOW)) / before.std
    output = ok("calibrate", copy, ionic_store.path, "--plot", copy.parent / "c.png")
    factor = float(np.sqrt(np.square(z).mean()))
    assert f"{factor:.5g}" in output
    assert (copy.parent / "c.png").stat().st_size > 1000
    after = predict(read_predictor(copy), valid_set)
    np.testing.assert_allclose(after.std, factor * before.std, rtol=1e-6)
    np.testing.assert_array_equal(after.mean, before.mean)
    expected = f"; times {factor:.4g}, fitted on 12 validation crystals by likelihood"
    assert after.std_notes[LOW].endswith(expected)
    assert expected in ok("info", copy)
    plain = predict(read_predictor(copy).without_rescaling(), valid_set)
    np.testing.assert_array_equal(plain.std, before.std)
    # A second time: the factor is fitted to the standard deviations before rescaling.
    assert f"{factor:.5g}" in ok("calibrate", copy, ionic_store.path)
    out = copy.parent / "p.csv"
    ok("predict", copy, ionic_store.path, "--out", out)
    assert out.read_text().splitlines()[1].endswith(expected)
    rows = {r["id"]: float(r["std"]) for r in read_csv(out)}
    assert [rows[i] for i in valid_set.ids] == pytest.approx(after.std.tolist(), rel=1e-5)


def test_a_fitted_process_has_its_own_factor(copy, ionic_store, valid_set):
    command = ("fit-gp", copy, ionic_store.path, "--inducing", 8, "--steps", 2)
    assert "96" in ok(*command)
    ok("calibrate", copy, ionic_store.path, "--uncertainty", "gp", "--by", "area")
    kept = json.loads((copy / CALIBRATION).read_text())["factors"]
    assert list(kept) == ["gp"]
    note = predict(read_predictor(copy, "gp"), valid_set).std_notes[LOW]
    assert note.startswith("Gaussian process on embeddings, 8 inducing points for 96 crystals; ")
    assert note.endswith("validation crystals by area")
    assert "times" not in predict(read_predictor(copy), valid_set).std_notes[LOW]
    assert "calibrate again" in ok(*command)
    assert json.loads((copy / CALIBRATION).read_text())["factors"] == {}


def test_a_kind_of_uncertainty_that_the_run_lacks_is_refused(copy, trained_model, ionic_store):
    assert "a Gaussian process from fit-gp" in refused(
        "predict", copy, ionic_store.path, "--uncertainty", "gp", "--out", copy / "p.csv"
    )
    save_model(copy / "model", trained_model.replace(predicts_std=()))
    assert "predicts no standard deviation" in refused("calibrate", copy, ionic_store.path)
