import json
import logging

import jax
import numpy as np
import pytest
from flax import traverse_util

import cgatjax as cg
from cgatjax.config import TrainConfig, TransferConfig
from cgatjax.errors import ConfigError, InputError, MismatchError, TargetError
from cgatjax.inference.prediction import evaluate, predict
from cgatjax.inference.predictor import in_units
from cgatjax.model.normalizer import Normalizer
from cgatjax.runs.run_folder import RunFolder
from cgatjax.training.optimizer import FROZEN
from cgatjax.training.transfer import transfer_model
from cgatjax.training.transfer_params import (
    label_parameters,
    prepare_transfer,
    rates_at,
    rescale_head,
)

LOW, HIGH, VOLUME = "e-form@low", "e-form@high", "volume@low"
FAST = TrainConfig(epochs=2, batch_size=32, learning_rate=5e-3, schedule="constant")


def flat(tree) -> dict:
    return traverse_util.flatten_dict(dict(tree), sep="/")


def same(a, b) -> bool:
    return all(jax.tree.leaves(jax.tree.map(np.array_equal, a, b)))


def options(**changes) -> TransferConfig:
    return TransferConfig(**{"target": HIGH, "train": FAST, **changes})


@pytest.fixture(scope="module")
def few(train_set, valid_set):
    """40 crystals to transfer to, and the validation set."""
    return train_set.select(np.arange(40)), valid_set


@pytest.mark.parametrize("mode", ["full", "head"])
def test_refitting_for_the_same_property_changes_no_prediction(trained_model, few, test_set, mode):
    model, test = trained_model, test_set
    prepared = prepare_transfer(model, few[0], options(mode=mode))
    new = prepared.model.replace(predicts_std=(HIGH,))
    values = few[0].target(HIGH)
    assert new.normalizers[HIGH] == Normalizer.fit(values)
    assert new.normalizers[HIGH] != model.normalizers[LOW]
    before, after = predict(model, test), predict(new, test)
    np.testing.assert_allclose(after.mean, before.mean, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(after.std, before.std, rtol=1e-4)
    assert prepared.report.rescaled
    assert prepared.report.source == LOW


def test_the_rescaled_layer_by_hand():
    head = {"out": {"kernel": np.array([[1.0, 2.0]]), "bias": np.array([0.5, -1.0])}, "x": 1}
    found = rescale_head(head, Normalizer(mean=3.0, std=2.0), Normalizer(mean=-1.0, std=4.0))
    assert found["out"]["kernel"].tolist() == [[0.5, 2.0]]
    assert found["out"]["bias"].tolist() == [1.25, -1.0 + np.log(0.5)]
    assert found["x"] == 1
    assert head["out"]["bias"].tolist() == [0.5, -1.0]


def test_keeping_keeps_mean_std_and_weights(trained_model, few):
    model = trained_model
    prepared = prepare_transfer(model, few[0], options(normalizer="keep"))
    assert prepared.model.normalizers == {HIGH: model.normalizers[LOW]}
    assert same(prepared.model.params["heads"][HIGH], model.params["heads"][LOW])
    assert not prepared.report.rescaled


def test_another_property_is_not_rescaled(trained_model, few):
    model = trained_model
    prepared = prepare_transfer(model, few[0], options(target=VOLUME))
    assert not prepared.report.rescaled
    assert prepared.report.source == LOW
    assert prepared.model.units == {VOLUME: "A^3/atom"}
    assert prepared.model.normalizers[VOLUME] == Normalizer.fit(few[0].target(VOLUME))
    assert same(prepared.model.params["heads"][VOLUME], model.params["heads"][LOW])


def test_the_same_name_in_another_unit_is_another_property(trained_model, few):
    model = trained_model.replace(units={LOW: "kJ/mol"})
    assert not prepare_transfer(model, few[0], options()).report.rescaled


def test_none_starts_from_scratch(trained_model, few):
    model = trained_model
    config = options(mode="none", normalizer="keep", train=FAST.replace(seed=5))
    prepared = prepare_transfer(model, few[0], config)
    report = prepared.report
    assert (report.loaded, report.frozen, report.source, report.rescaled) == ((), (), None, False)
    assert set(report.reinitialized) == set(flat(prepared.model.params))
    assert prepared.model.normalizers[HIGH] == Normalizer.fit(few[0].target(HIGH))
    old, new = flat(model.params["encoder"]), flat(prepared.model.params["encoder"])
    assert old.keys() == new.keys()
    assert not any(np.array_equal(old[p], new[p]) for p in old)


def test_a_head_is_trained_and_the_encoder_stays_bit_by_bit(trained_model, few, tmp_path, caplog):
    model, run = trained_model, RunFolder(tmp_path / "run")
    config = options(mode="head", unfreeze=((3, "heads/*/out/*"),))
    with caplog.at_level(logging.INFO, "cgatjax"):
        new, history = transfer_model(model, few, config, run=run)
    assert same(new.params["encoder"], model.params["encoder"])
    start = prepare_transfer(model, few[0], config).model.params["heads"][HIGH]
    moved = {
        p: not np.array_equal(flat(start)[p], v) for p, v in flat(new.params["heads"][HIGH]).items()
    }
    assert not moved["out/kernel"]
    assert not moved["out/bias"]
    assert moved["layer_0/kernel"]
    report = history.report
    assert set(report.frozen) == {f"encoder/{p}" for p in flat(model.params["encoder"])}
    assert set(report.loaded) == set(flat(new.params))
    assert report.reinitialized == ()
    # The error before training is that of the old model on the new labels.
    old = predict(model, few[1]).mean - few[1].target(HIGH)
    assert report.step_zero["valid"]["mae"] == pytest.approx(abs(old).mean(), rel=1e-4)
    assert report.step_zero["train"]["n"] == 40
    assert (
        f"before training, valid: MAE {report.step_zero['valid']['mae']:.5g} on 12" in caplog.text
    )
    saved = json.loads((run.path / "report.json").read_text())
    assert saved["source"] == LOW
    assert saved["rescaled"] is True
    assert saved["step_zero"] == report.step_zero
    assert cg.load_model(run.path).targets == (HIGH,)


def test_joint_training_keeps_the_old_head_learning(trained_model, few, train_set, test_set):
    model = trained_model
    half = options(mode="joint", joint_fraction=0.5)
    new, history = transfer_model(
        model, few, half, keep_training=train_set.select(np.arange(40, 90))
    )
    assert new.targets == (LOW, HIGH)
    assert new.normalizers[LOW] == model.normalizers[LOW]
    assert not same(new.params["heads"][LOW], model.params["heads"][LOW])
    assert not same(new.params["encoder"], model.params["encoder"])
    errors = evaluate(new, test_set)
    assert errors[LOW]["n"] == errors[HIGH]["n"] == len(test_set)
    assert set(history.report.normalizers) == {LOW, HIGH}
    assert all(np.isfinite(history.column(f"train_mae:{t}")).all() for t in (LOW, HIGH))
    # Only the new target is validated, and only its values decide which epoch is best.
    assert np.isnan(history.column(f"valid_mae:{LOW}")).all()
    assert np.isfinite(history.column(f"valid_mae:{HIGH}")).all()
    assert history.report.selected_by == HIGH


def test_joint_training_needs_low_data_and_a_name_of_its_own(trained_model, few):
    with pytest.raises(InputError, match="joint transfer needs the low-fidelity data"):
        transfer_model(trained_model, few, options(mode="joint"))
    message = r"keeps the old head 'e-form@low'; name the new one apart.*e-form@accurate"
    with pytest.raises(ConfigError, match=message):
        prepare_transfer(trained_model, few[0], options(mode="joint", target=LOW))
    for wrong in ({"mode": "full", "joint_fraction": 0.5}, {"mode": "joint", "joint_fraction": 1}):
        with pytest.raises(ConfigError, match="joint_fraction"):
            options(**wrong)


def test_a_store_is_split_with_the_seed_of_training(
    trained_model, ionic_store, train_set, valid_set
):
    config = options(train=FAST.replace(epochs=0))
    new, history = transfer_model(trained_model, ionic_store, config)
    assert history.report.step_zero["valid"]["n"] == len(valid_set)
    assert new.normalizers[HIGH] == Normalizer.fit(train_set.target(HIGH))


def test_parts_can_start_anew(trained_model, few):
    model = trained_model
    config = options(reinit=("heads/*/layer_1/*", "encoder/pooling/*"))
    prepared = prepare_transfer(model, few[0], config)
    paths = list(flat(prepared.model.params))
    pooling = {p for p in paths if p.startswith("encoder/pooling/")}
    layer = {p for p in paths if p.startswith(f"heads/{HIGH}/layer_1/")}
    assert pooling
    assert layer
    assert set(prepared.report.reinitialized) == pooling | layer
    assert set(prepared.report.loaded) == set(paths) - pooling - layer
    old, new = flat(model.params["encoder"]), flat(prepared.model.params["encoder"])
    changed = {p for p in old if not np.array_equal(old[p], new[p])}
    assert {f"encoder/{p}" for p in changed} == pooling


def test_patterns_that_match_nothing_are_errors(trained_model, few):
    for changes in ({"reinit": ("head/*",)}, {"lr_groups": (("head/*", 0.1),)}):
        with pytest.raises(ConfigError, match=r"pattern 'head/\*' matches no parameter"):
            prepare_transfer(trained_model, few[0], options(**changes))


def test_rates_and_unfreezing_multiply_and_epochs_count_from_1(trained_model, few):
    config = options(
        lr_groups=(("encoder/node_*", 0.1), ("encoder/*", 0.5)),
        unfreeze=((3, "encoder/composition/*"), (5, "encoder/node_0/attention/*")),
    )
    labels = flat(prepare_transfer(trained_model, few[0], config).labels)

    def rate(path, epoch):
        """Factor in an epoch of the history, which counts from 1."""
        return rates_at(config, epoch - 1, 0.8)[labels[path]]

    for path, start, scale in (
        ("encoder/composition/pooling/power", 3, 0.5),
        ("encoder/node_0/attention/kernel_in", 5, 0.1),
        ("encoder/node_0/message/kernel_in", 1, 0.1),
        ("encoder/shell_embedding", 1, 0.5),
        (f"heads/{HIGH}/out/bias", 1, 1.0),
    ):
        assert rate(path, start) == pytest.approx(0.8 * scale), path
        assert rate(path, 60) == pytest.approx(0.8 * scale), path
        if start > 1:
            assert rate(path, start - 1) == 0, path


@pytest.mark.parametrize(
    "changes",
    [
        {"lr_groups": (("encoder/*", 0.5), ("encoder/node_*", 0.1))},
        {"unfreeze": ((2, "*"), (5, "encoder/*"))},
        {"mode": "head", "lr_groups": (("encoder/*", 0.1),)},
    ],
)
def test_a_pattern_without_an_effect_is_an_error(trained_model, few, changes):
    with pytest.raises(ConfigError, match=r"pattern 'encoder/\S+' has no effect: .* frozen"):
        prepare_transfer(trained_model, few[0], options(**changes))


def test_a_frozen_encoder_can_be_unfrozen_later(trained_model, few):
    config = options(mode="head", unfreeze=((3, "encoder/pooling/*"),))
    labels = flat(prepare_transfer(trained_model, few[0], config).labels)
    assert labels["encoder/pooling/message/bias_in"] == "later:encoder/pooling/*"
    assert labels["encoder/shell_embedding"] == FROZEN


def test_every_parameter_needs_a_label():
    params = {"a": {"x": 1, "y": 2}, "b": 3}
    rules = [("a/x", FROZEN), ("a/*", "slow"), ("b", "fast")]
    assert label_parameters(params, rules) == {"a": {"x": FROZEN, "y": "slow"}, "b": "fast"}
    with pytest.raises(ConfigError, match=r"1 parameters match none of the patterns.*\['b'\]"):
        label_parameters(params, rules[:2])
    with pytest.raises(ConfigError, match=r"pattern 'c' matches no parameter; paths are like"):
        label_parameters(params, [*rules, ("c", "fast")])


def test_several_old_heads(fresh_model, ionic_store, few):
    def of(*targets):
        model = cg.init_model(fresh_model.config, ionic_store, target=targets)
        return model.replace(
            normalizers={t: Normalizer.fit(ionic_store.target(t)) for t in targets}
        )

    both = of(LOW, HIGH)
    with pytest.raises(TargetError, match=r"predicts \('e-form@low', 'e-form@high'\); say which"):
        prepare_transfer(both, few[0], options(target=None))
    assert prepare_transfer(both, few[0], options(target=HIGH)).report.source == HIGH
    mixed = prepare_transfer(of(LOW, VOLUME), few[0], options(target=HIGH))
    assert mixed.report.source == LOW
    assert mixed.report.rescaled
    fresh = prepare_transfer(of(LOW, HIGH), few[0], options(target=VOLUME)).report
    assert fresh.source is None
    assert set(fresh.reinitialized) == {p for p in fresh.reinitialized if p.startswith("heads/")}
    assert fresh.reinitialized


def test_which_old_head_must_be_clear(fresh_model, ionic_store, tmp_path):
    model = cg.init_model(fresh_model.config, ionic_store, target=(LOW, HIGH))
    crystals = cg.ionic_crystals(4)
    renamed = [
        cg.Crystal(
            **{**c.__dict__, "targets": {"e-form": c.targets[HIGH]}},
        )
        for c in crystals
    ]
    store = cg.build_store(renamed, tmp_path / "s", ionic_store.graph_config)
    message = r"'e-form' could start from any of the heads \['e-form@low', 'e-form@high'\]"
    with pytest.raises(TargetError, match=message):
        prepare_transfer(model, store.all(), options(target="e-form"))
    from_scratch = prepare_transfer(model, store.all(), options(target="e-form", mode="none"))
    assert from_scratch.report.source is None


def test_graphs_of_another_kind_and_unknown_targets_are_refused(trained_model, few, tmp_path):
    other = cg.build_store(cg.ionic_crystals(4), tmp_path / "s", cg.GraphConfig.released())
    with pytest.raises(MismatchError, match="the transfer data: graphs made with other options"):
        prepare_transfer(trained_model, other.all(), options())
    with pytest.raises(TargetError, match=r"'gap'.*'e-form@low'"):
        prepare_transfer(trained_model, few[0], options(target="gap"))


def test_the_old_model_is_left_as_it_was(trained_model, few):
    model = trained_model
    before = jax.tree.map(np.array, model.params)
    prepare_transfer(model, few[0], options())
    assert same(before, model.params)
    mean, _ = in_units(model, LOW, np.zeros((1, 2)))
    assert mean[0] == model.normalizers[LOW].mean
