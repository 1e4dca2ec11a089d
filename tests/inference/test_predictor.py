"""An ensemble's mean and standard deviation, and what must be equal among its members."""

import jax
import numpy as np
import pytest

import cgatjax as cg
from cgatjax.data.graph_list import GraphList
from cgatjax.errors import ConfigError, InputError, MismatchError
from cgatjax.inference.loading import describe_ensemble, member_folders
from cgatjax.inference.passes import Pass, distinct
from cgatjax.inference.prediction import BatchRunner, embed, evaluate, predict
from cgatjax.inference.predictor import Predictor, in_units
from cgatjax.model.model_io import save_model
from cgatjax.model.network import Method
from cgatjax.runs.run_folder import ENSEMBLE, RunFolder

LOW = "e-form@low"
METHODS: tuple[Method, ...] = ("apply", "apply", "apply", "embed")
NONE = GraphList([], cg.GraphConfig())
"""Crystals of which nothing need be known: the models have no baselines."""


@pytest.fixture(scope="module")
def members(trained, trained_model, ionic_store):
    """Three members: the trained one, and two whose weights are somewhat different."""
    model, rng = trained_model, np.random.default_rng(0)
    head = model.params["heads"][LOW]

    def shifted():
        bias = head["out"]["bias"] + rng.normal(0, 0.3, 2).astype(np.float32)
        heads = {LOW: {**head, "out": {**head["out"], "bias": bias}}}
        return model.replace(params={**model.params, "heads": heads})

    return [model, shifted(), shifted()]


def by_hand(members, outputs):
    """Mean and variance of an even mixture of normal distributions."""
    each = [in_units(m, LOW, o) for m, o in zip(members, outputs, strict=True)]
    mean = sum(m for m, _ in each) / len(each)
    second = sum(m**2 + s**2 for m, s in each) / len(each)
    return mean, np.sqrt(second - mean**2)


def test_moments_are_those_of_the_mixture(members):
    outputs = np.random.default_rng(1).normal(0, 0.5, (3, 7, 2))
    mean, std = Predictor.of(members).moments(LOW, [{LOW: rows} for rows in outputs], NONE)
    expected = by_hand(members, outputs)
    np.testing.assert_allclose(mean, expected[0], rtol=1e-12)
    np.testing.assert_allclose(std, expected[1], rtol=1e-9)


def test_equal_passes_run_once(members, ionic_store):
    """Parts that were saved apart have arrays of their own with the same weights."""
    model, other, _ = members
    copy = model.replace(params=jax.tree.map(np.copy, model.params))
    passes = [Pass(m, how) for m, how in zip((model, copy, other, model), METHODS, strict=True)]
    run, numbers = distinct(passes)
    assert [id(own.model) for own in run] == [id(model), id(other), id(model)]
    assert numbers == [0, 0, 1, 2]
    found = BatchRunner(passes, 8)(ionic_store.all()[:5])
    np.testing.assert_array_equal(found[0][LOW], found[1][LOW])
    assert (found[0][LOW] != found[2][LOW]).all()
    assert list(found[3]) == ["embedding"]


def test_parts_of_the_variance(members):
    outputs = [{LOW: np.array([row])} for row in ([-1, np.log(3)], [1, np.log(4)])]
    scale = members[0].normalizers[LOW].std
    both = Predictor.of(members[:2]).moments(LOW, outputs, NONE)[1]
    assert both == pytest.approx(scale * np.sqrt(1 + 12.5))
    noise = Predictor.of(members[:2], "aleatoric").moments(LOW, outputs, NONE)[1]
    assert noise == pytest.approx(scale * np.sqrt(12.5))
    plain = [m.replace(predicts_std=()) for m in members[:2]]
    assert Predictor.of(plain).moments(LOW, outputs, NONE)[1] == pytest.approx(scale)
    assert np.isnan(Predictor.of(members[:2], "none").moments(LOW, outputs, NONE)[1]).all()


def test_an_ensemble_predicts_the_mean_of_its_members(members, test_set):
    test = test_set
    found = predict(Predictor.of(members), test)
    alone = [predict(m, test) for m in members]
    means, stds = np.stack([a.mean for a in alone]), np.stack([a.std for a in alone])
    np.testing.assert_allclose(found.mean, means.mean(0), rtol=1e-6)
    np.testing.assert_allclose(found.std**2, means.var(0) + (stds**2).mean(0), rtol=1e-6)
    assert found.std_notes[LOW] == (
        "ensemble of 3: spread between the members and aleatoric, learned by a robust loss"
    )
    expected = np.abs(found.mean - test.target(LOW)).mean()
    assert evaluate(Predictor.of(members), test)["mae"] == pytest.approx(expected)
    np.testing.assert_array_equal(embed(Predictor.of(members), test), embed(members[0], test))


def test_the_default_is_the_most_telling_kind(members):
    model = members[0]
    plain = [m.replace(predicts_std=()) for m in members]
    kinds = [Predictor.of(m).uncertainty for m in (members, plain, model, plain[0])]
    assert kinds == ["ensemble", "ensemble", "aleatoric", "none"]
    assert Predictor.of(Predictor.of(members), "aleatoric").uncertainty == "aleatoric"
    assert "mean of 3 members" in Predictor.of(members, "aleatoric").std_note(LOW)
    with pytest.raises(ConfigError, match=r"'ensemble': expected one of.*, \['aleatoric'\]"):
        Predictor.of(model, "ensemble")
    with pytest.raises(ConfigError, match=r"'aleatoric'.*\['ensemble'\]"):
        Predictor.of(plain, "aleatoric")


def test_members_must_fit_together(members):
    other = members[0].replace(units={LOW: "meV"})
    with pytest.raises(MismatchError, match="member 1 differs from member 0 in its units"):
        Predictor.of([members[0], other])
    with pytest.raises(InputError, match="at least one model"):
        Predictor.of([])


def test_run_folders_of_both_kinds_are_loaded(members, tmp_path, test_set):
    single = RunFolder(tmp_path / "single")
    save_model(single.path / "model", members[0])
    assert cg.load_predictor(single.path).uncertainty == "aleatoric"
    assert member_folders(single.path) == [single.path]
    run = RunFolder(tmp_path / "run")
    run.save_json(ENSEMBLE, describe_ensemble([4, 5, 6]))
    save_model(run.path / "members" / "0" / "model", members[0])
    with pytest.raises(InputError, match=r"2 of 3 members have no model yet \(1, 2\).*--resume"):
        cg.load_predictor(run.path)
    for number in (1, 2):
        save_model(run.path / "members" / str(number) / "model", members[number])
    found = cg.load_predictor(run.path)
    assert len(found.members) == 3
    expected = predict(Predictor.of(members), test_set)
    np.testing.assert_array_equal(predict(found, test_set).std, expected.std)
    with pytest.raises(InputError, match="holds an ensemble, expected one model"):
        cg.load_model(run.path)
    (run.path / ENSEMBLE).write_text('{"seeds": []}')
    with pytest.raises(InputError, match="at least one member"):
        cg.load_predictor(run.path)
    (run.path / ENSEMBLE).write_text("{")
    with pytest.raises(InputError, match="expected the seeds of an ensemble"):
        cg.load_predictor(run.path)
