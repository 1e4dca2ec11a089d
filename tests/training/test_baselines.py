"""Baselines and references on the whole way: fitted, subtracted, added back, saved."""

import dataclasses
import logging

import numpy as np
import pytest
from tests.networks import SMALLEST

import cgatjax as cg
from cgatjax.data.compositions import element_fractions, fraction_blocks
from cgatjax.data.datasets import ConcatDataset
from cgatjax.data.graph_list import GraphList
from cgatjax.errors import ConfigError, InputError, MismatchError, TargetError
from cgatjax.model.normalizer import Baseline, Normalizer, fit_references
from cgatjax.structures.elements import SYMBOLS
from cgatjax.training.target_fit import fit_normalizer, known_parts
from cgatjax.training.transfer_params import prepare_transfer

LOW, HIGH, VOLUME = "e-form@low", "e-form@high", "volume@high"


def silent(model: cg.Model) -> cg.Model:
    """The model with a network that predicts 0 (in normalized units) for every crystal."""
    heads = {
        name: {**head, "out": {k: np.zeros_like(v) for k, v in head["out"].items()}}
        for name, head in model.params["heads"].items()
    }
    return model.replace(params={**model.params, "heads": heads})


def started(store, train, valid, target=HIGH, **options) -> cg.Model:
    """A model with fitted normalizers and initial weights."""
    model = cg.init_model(cg.ModelConfig.small(**SMALLEST), store, target=target)
    return cg.fit(model, train, valid, cg.TrainConfig(epochs=0, **options))[0]


def referenced(normalizer: Normalizer, data) -> np.ndarray:
    table = np.array([normalizer.references.get(symbol, 0.0) for symbol in SYMBOLS])
    return element_fractions(data) @ table


@pytest.mark.parametrize("references", [False, True])
@pytest.mark.parametrize(
    ("target", "baseline"), [(HIGH, LOW), (VOLUME, "cell_volume"), (HIGH, None)]
)
def test_a_network_of_zeros_predicts_baseline_references_and_mean(
    ionic_store, sets, target, baseline, references
):
    train, valid, test = sets
    model = started(ionic_store, train, valid, target, baseline=baseline, references=references)
    normalizer = model.normalizers[target]
    low = 0.0 if baseline is None else test.target(baseline)
    expected = low + referenced(normalizer, test) + normalizer.mean
    found = cg.predict(silent(model), test)
    np.testing.assert_allclose(found.mean, expected, rtol=0, atol=1e-12)
    # Mean and std are those of what is left on the training set.
    rest = train.target(target) - (0.0 if baseline is None else train.target(baseline))
    rest = rest - referenced(normalizer, train)
    assert normalizer.mean == pytest.approx(rest.mean())
    assert normalizer.std == pytest.approx(rest.std(ddof=1))
    assert bool(normalizer.references) == references
    errors = cg.evaluate(silent(model), test)
    assert errors["mae"] == pytest.approx(np.abs(expected - test.target(target)).mean())


@pytest.mark.parametrize("references", [False, True])
def test_step_zero_of_a_difference_to_the_source_is_its_prediction(
    trained_model, sets, references, tmp_path
):
    train, _, test = sets
    options = cg.TrainConfig(baseline="source", references=references)
    config = cg.TransferConfig(mode="full", target=HIGH, train=options)
    model = prepare_transfer(trained_model, train, config).model
    normalizer = model.normalizers[HIGH]
    source = cg.predict(trained_model, test).mean
    expected = source + referenced(normalizer, test) + normalizer.mean
    np.testing.assert_allclose(cg.predict(model, test).mean, expected, atol=1e-6)
    # The source travels with the model.
    cg.save_model(tmp_path / "m", model)
    loaded = cg.load_model(tmp_path / "m")
    assert loaded.normalizers == model.normalizers
    np.testing.assert_array_equal(cg.predict(loaded, test).mean, cg.predict(model, test).mean)
    # Another model in its place is refused.
    other = dataclasses.replace(loaded.sources[HIGH], params=silent(trained_model).params)
    cg.save_model(tmp_path / "other", loaded.replace(sources={HIGH: other}))
    with pytest.raises(MismatchError, match="trained with that of prediction of e-form@low by"):
        cg.load_model(tmp_path / "other")


def test_training_sees_the_difference_and_reports_errors_of_the_target(ionic_store, sets):
    train, valid, test = sets
    model = cg.init_model(cg.ModelConfig.small(**SMALLEST), ionic_store, target=HIGH)
    options = {"epochs": 3, "batch_size": 32, "learning_rate": 5e-3}
    found, history = cg.fit(model, train, valid, cg.TrainConfig(baseline=LOW, **options))
    differences = [d.target(HIGH) - d.target(LOW) for d in sets]

    def data(part, values):
        graphs = list(part)
        listed = GraphList(graphs, part.graph_config, {HIGH: values}, {HIGH: "eV/atom"})
        return cg.Dataset(listed, np.arange(len(graphs)))

    by_hand, by_hand_history = cg.fit(
        model,
        data(train, differences[0]),
        data(valid, differences[1]),
        cg.TrainConfig(**options),
    )
    assert history.rows[-1][f"valid_mae:{HIGH}"] == pytest.approx(
        by_hand_history.rows[-1][f"valid_mae:{HIGH}"], rel=1e-4
    )
    np.testing.assert_allclose(
        cg.predict(found, test).mean,
        cg.predict(by_hand, data(test, differences[2])).mean + test.target(LOW),
        atol=1e-4,
    )
    valid_mae = cg.evaluate(found, valid)["mae"]
    best = min(history.column(f"valid_mae:{HIGH}"))
    assert valid_mae == pytest.approx(best, rel=1e-4)


@pytest.mark.parametrize("references", [False, True])
def test_within_a_property_the_old_baseline_and_all_that_was_learned_are_kept(
    ionic_store, sets, references
):
    train, valid, test = sets
    old = started(ionic_store, train, valid, LOW, references=True)
    config = cg.TransferConfig(
        mode="full", target=HIGH, train=cg.TrainConfig(references=references)
    )
    new = prepare_transfer(old, train, config).model
    before, after = cg.predict(old, test).mean, cg.predict(new, test).mean
    if not references:
        np.testing.assert_allclose(after, before, atol=1e-5)
        return
    # The change is a linear function of the composition, fitted to what the old model leaves.
    rest = train.target(HIGH) - cg.predict(old, train).mean
    values, constant = fit_references(fraction_blocks(train), rest)
    table = np.array([values.get(symbol, 0.0) for symbol in SYMBOLS])
    shift = element_fractions(test) @ table + constant
    np.testing.assert_allclose(after, before + shift, atol=1e-5)
    assert cg.evaluate(new, train)["rmse"] < np.sqrt(np.square(rest).mean())


def test_a_transfer_takes_over_the_baseline_of_the_property(ionic_store, sets):
    train, valid, _ = sets
    old = started(ionic_store, train, valid, VOLUME, baseline="cell_volume")

    def prepared(**options):
        config = cg.TransferConfig(target=VOLUME, train=cg.TrainConfig(**options))
        return prepare_transfer(old, train, config).model.normalizers[VOLUME].baseline

    assert prepared() == Baseline(name="cell_volume")
    assert prepared(baseline="none") is None
    energy = cg.TransferConfig(target=LOW)
    assert prepare_transfer(old, train, energy).model.normalizers[LOW].baseline is None
    keep = cg.TransferConfig(normalizer="keep", train=cg.TrainConfig(references=True))
    with pytest.raises(ConfigError, match="give them with normalizer refit"):
        prepare_transfer(old, train, keep)


def test_crystals_without_the_baseline_are_left_out_of_training_and_named_in_prediction(
    ionic_store, sets, caplog
):
    train, valid, test = sets
    model = started(ionic_store, train, valid, baseline=LOW)
    values = {name: test.target(name).copy() for name in (LOW, HIGH)}
    values[LOW][[1, 4]] = np.nan
    part = GraphList(list(test), test.graph_config, values, dict.fromkeys(values, "eV/atom"))
    gaps = cg.Dataset(part, np.arange(len(test)))
    with pytest.raises(TargetError, match=rf"2 of {len(test)} crystals, such as .* 'e-form@low'"):
        cg.predict(model, gaps)
    found = cg.predict(model, gaps, on_error="skip")
    assert (len(found), len(found.skipped)) == (len(test) - 2, 2)
    with caplog.at_level(logging.WARNING, "cgatjax"):
        assert cg.evaluate(model, gaps)["n"] == len(test) - 2
        started(ionic_store, gaps, gaps, baseline=LOW)
    assert "2 of" in caplog.text
    assert "2 crystals have a value of 'e-form@high' but not of its baseline" in caplog.text
    # Graphs of structures without the property.
    none = GraphList(list(test), test.graph_config)
    with pytest.raises(TargetError, match="compute it with `cgatjax label`"):
        cg.predict(model, cg.Dataset(none, np.arange(3)))


def test_structures_bring_their_baseline(ionic_store, sets, tmp_path):
    train, valid, _ = sets
    crystals = cg.ionic_crystals(5, seed=9)
    low = started(ionic_store, train, valid, baseline=LOW)
    found = cg.predict(silent(low), crystals)
    expected = [c.targets[LOW] + low.normalizers[HIGH].mean for c in crystals]
    np.testing.assert_allclose(found.mean, expected)
    bare = [dataclasses.replace(c, targets={}) for c in crystals]
    with pytest.raises(cg.StructureError, match="no value of"):
        cg.predict(low, bare)
    assert len(cg.predict(low, [crystals[0], *bare], on_error="skip").skipped) == 5
    volume = started(ionic_store, train, valid, VOLUME, baseline="cell_volume")
    expected = [c.volume / c.n_sites + volume.normalizers[VOLUME].mean for c in bare]
    np.testing.assert_allclose(cg.predict(silent(volume), bare).mean, expected)


def test_wrong_baselines(ionic_store, sets):
    train, valid, _ = sets
    with pytest.raises(TargetError, match=r"no target 'pbe'; .*'pbe' is a baseline"):
        started(ionic_store, train, valid, baseline="pbe")
    with pytest.raises(MismatchError, match=r"'cell_volume' is in A\^3/atom, 'e-form@high' in eV"):
        started(ionic_store, train, valid, baseline="cell_volume")
    with pytest.raises(ConfigError, match="belongs to a transfer"):
        started(ionic_store, train, valid, baseline="source")
    with pytest.raises(ConfigError, match="cannot be the property itself"):
        started(ionic_store, train, valid, baseline=HIGH)
    with pytest.raises(ConfigError, match="expected one target"):
        started(ionic_store, train, valid, (HIGH, VOLUME), baseline=LOW)
    with pytest.raises(ConfigError, match="the name of a property"):
        cg.TrainConfig(baseline="")
    with pytest.raises(InputError, match="a name and an origin as text"):
        Baseline(name=3)


def test_a_baseline_of_another_calculator_is_refused(sets, ionic_store):
    train, valid, test = sets

    def labeled(part, origin):
        values = {name: part.target(name) for name in (LOW, HIGH)}
        units = dict.fromkeys(values, "eV/atom")
        graphs = GraphList(list(part), part.graph_config, values, units, {LOW: origin})
        return cg.Dataset(graphs, np.arange(len(part)))

    model = started(ionic_store, labeled(train, "potential 1"), valid, baseline=LOW)
    assert model.normalizers[HIGH].baseline == Baseline(name=LOW, origin="potential 1")
    cg.predict(model, labeled(test, "potential 1"))
    with pytest.raises(MismatchError, match=r"computed by potential 2; .* that of potential 1"):
        cg.predict(model, labeled(test, "potential 2"))


def test_references_are_a_ridge_regression_on_fractions(train_set):
    fractions = element_fractions(train_set)
    rng = np.random.default_rng(0)
    table = rng.normal(size=104)
    values = fractions @ table + 3.0
    found = fit_references([(slice(0, len(values)), fractions)], values)
    seen = fractions.any(0)
    assert set(found.values) == {SYMBOLS[z] for z in np.flatnonzero(seen)}
    assert found.constant == pytest.approx(values.mean())
    weights = np.array([found.values.get(symbol, 0.0) for symbol in SYMBOLS])
    np.testing.assert_allclose(fractions @ weights + found.constant, values, atol=2e-3)
    noise = fit_references([(slice(0, len(values)), fractions)], rng.normal(size=len(values)))
    # Nothing to be found: the penalty holds the values down.
    assert np.std(fractions @ [noise.values.get(s, 0.0) for s in SYMBOLS]) < 0.7


def test_known_parts_of_joint_training_are_those_of_each_head(ionic_store, sets):
    train, valid, _ = sets
    old = started(ionic_store, train, valid, LOW, references=True)
    config = cg.TransferConfig(mode="joint", target=HIGH, train=cg.TrainConfig(baseline=LOW))
    model = prepare_transfer(old, train, config).model
    assert model.normalizers[LOW] == old.normalizers[LOW]
    both = ConcatDataset(train.restrict_targets(LOW), valid.restrict_targets(HIGH))
    known = known_parts(model, both)
    n = len(train)
    assert np.isfinite(known[LOW][:n]).all()
    assert np.isnan(known[LOW][n:]).all()
    np.testing.assert_array_equal(known[HIGH][n:], valid.target(LOW))
    assert np.isnan(known[HIGH][:n]).all()


def test_the_normalizer_needs_a_spread(ionic_store, train_set):
    model = cg.init_model(cg.ModelConfig.small(**SMALLEST), ionic_store, target=HIGH)
    same = train_set.minus({HIGH: train_set.target(HIGH) - train_set.target(LOW)})
    with pytest.raises(TargetError, match="nothing to learn"):
        fit_normalizer(model, same, HIGH, Baseline(name=LOW), False)


@pytest.mark.parametrize("mode", ["full", "head", "joint"])
def test_a_transfer_to_a_difference_starts_at_the_error_of_the_baseline(trained_model, sets, mode):
    train, valid, _ = sets
    options = {"epochs": 1, "batch_size": 48, "learning_rate": 1e-9, "baseline": LOW}
    config = cg.TransferConfig(mode=mode, target=HIGH, train=cg.TrainConfig(**options))
    kept = {"keep_training": train} if mode == "joint" else {}
    model, history = cg.transfer_model(trained_model, (train, valid), config, **kept)
    rest = [part.target(HIGH) - part.target(LOW) for part in (train, valid)]
    for name, difference in zip(("train", "valid"), rest, strict=True):
        expected = np.abs(difference - rest[0].mean()).mean()
        assert history.report.step_zero[name]["mae"] == pytest.approx(expected, rel=1e-4)
    assert f"{HIGH} = {LOW} + network" in repr(history.report)
    assert model.normalizers[HIGH].baseline == Baseline(name=LOW)
    if mode == "joint":
        assert model.normalizers[LOW] == trained_model.normalizers[LOW]
