import dataclasses
import json
import logging
import os
import re
import shutil
import signal

import jax
import numpy as np
import pytest

import cgatjax as cg
from cgatjax.config import TrainConfig
from cgatjax.data.batching import BatchBudget
from cgatjax.data.datasets import ConcatDataset, Dataset
from cgatjax.data.loader import BatchLoader, BatchPlan, shuffled
from cgatjax.errors import (
    ConfigError,
    InputError,
    Interrupted,
    MismatchError,
    TargetError,
    TrainingError,
)
from cgatjax.inference.prediction import evaluate, predict
from cgatjax.model.model import versions
from cgatjax.model.network import Network
from cgatjax.runs.run_folder import RunFolder
from cgatjax.training import run_state, schedules, train_step, trainer
from cgatjax.training.history import StepMonitor
from cgatjax.training.input_pipeline import EmbeddingLoader, step_batches
from cgatjax.training.loop import fit
from cgatjax.training.optimizer import FROZEN
from cgatjax.training.transfer_params import label_parameters

LOW, HIGH, VOLUME = "e-form@low", "e-form@high", "volume@low"
HEAD_ONLY = [("encoder/*", FROZEN), ("*", "trained")]
FAST = TrainConfig(epochs=2, batch_size=32, learning_rate=5e-3, schedule="constant")


def same(a, b) -> bool:
    return all(jax.tree.leaves(jax.tree.map(np.array_equal, a, b)))


@pytest.fixture
def traced(monkeypatch):
    """Shapes of the batches for which the network has been traced."""
    shapes, apply = [], Network.apply

    def noted(self, params, batch):
        shapes.append(batch.crystal.receivers.shape)
        return apply(self, params, batch)

    monkeypatch.setattr(Network, "apply", noted)
    return shapes


def test_the_loss_falls_and_the_best_epoch_is_returned(trained_model, training_history, valid_set):
    model, history = trained_model, training_history
    losses = history.column("train_loss")
    assert losses[-1] < 0.95 * losses[0]
    errors = history.column(f"valid_mae:{LOW}")
    assert len(errors) == 6
    assert evaluate(model, valid_set)["mae"] == pytest.approx(min(errors), rel=1e-4)
    assert [row["epoch"] for row in history.rows] == [1, 2, 3, 4, 5, 6]
    rates = [rate / 5e-3 for rate in history.column("rate")]
    assert rates == pytest.approx([0.1, 0.4, 0.7, 1.0, 0.7, 0.4])
    assert history.column("skipped") == [0] * 6
    assert history.column("none such") == []
    assert all(0 < share < 1 for share in history.padding)


def test_the_normalizer_is_that_of_the_training_set(trained_model, train_set):
    values = train_set.target(LOW)
    scale = trained_model.normalizers[LOW]
    assert (scale.mean, scale.std) == pytest.approx((values.mean(), values.std(ddof=1)))


def test_validation_covers_all_and_each_shape_compiles_once(
    fresh_model, ionic_store, monkeypatch, traced
):
    data = ionic_store.all()
    train, valid = data.select(np.arange(70)), data.select(np.arange(70, 120))
    config = FAST.replace(batch_size=20, epochs=3)
    model, history = fit(fresh_model, train, valid, config)
    assert len(traced) <= 1 + 2
    best = min(history.column(f"valid_mae:{LOW}"))
    monkeypatch.undo()
    found = evaluate(model, valid)
    assert found["n"] == 50
    assert best == pytest.approx(found["mae"], rel=1e-4)


def test_parts_of_the_same_crystals_share_programs(fresh_model, ionic_store, traced):
    """Folds of other sizes are trained and validated by what the first one has compiled."""
    data, counts = ionic_store.all(), []
    # No other test has this option, so that nothing is compiled before.
    config = FAST.replace(batch_size=20, clip_norm=1.25, epochs=1)
    for fold in (np.arange(70), np.arange(90, 120), np.arange(20, 84)):
        rest = data.select(np.delete(np.arange(120), fold))
        traced.clear()
        fit(fresh_model, rest, data.select(fold), config, shapes_of=data)
        counts.append(len(traced))
    assert counts[0] >= 2
    assert counts[1:] == [0, 0]
    fit(fresh_model, rest, data.select(fold), config)
    assert traced


def test_two_targets_train_together_where_values_are_missing(
    fresh_model, ionic_store, train_set, valid_set
):
    train, valid = train_set, valid_set
    half = np.arange(len(train)) < 60
    mixed = ConcatDataset(
        train.select(half).restrict_targets(LOW), train.select(~half).restrict_targets(VOLUME)
    )
    model = cg.init_model(fresh_model.config, ionic_store, target=(LOW, VOLUME))
    found, history = fit(model, mixed, valid, FAST.replace(epochs=3))
    for name, rows in ((LOW, half), (VOLUME, ~half)):
        values = train.select(rows).target(name)
        scale = found.normalizers[name]
        assert (scale.mean, scale.std) == pytest.approx((values.mean(), values.std(ddof=1)))
        assert not same(found.params["heads"][name], model.params["heads"][name])
        assert len(history.column(f"valid_mae:{name}")) == 3
        assert evaluate(found, valid)[name]["n"] == len(valid)
    losses = history.column("train_loss")
    assert losses[-1] < losses[0]


def test_heads_train_on_cached_embeddings_as_without_the_cache(
    trained_model, train_set, valid_set, monkeypatch
):
    model, train, valid = trained_model, train_set, valid_set
    labels = label_parameters(model.params, HEAD_ONLY)
    config = FAST.replace(epochs=3, weight_decay=0.1)
    cached, history = fit(model, train, valid, config, labels=labels)
    assert same(cached.params["encoder"], model.params["encoder"])
    assert not same(cached.params["heads"], model.params["heads"])

    def uncached(model, train, valid, config, labels, folder, shapes_of):
        budget = [BatchBudget(33, 512, 2048, 256, 512)]
        return [BatchLoader(d, model.targets, config.batch_size, budget) for d in (train, valid)]

    monkeypatch.setattr(trainer, "make_loaders", uncached)
    monkeypatch.setattr(train_step, "forward_of", lambda network, labels: network.apply)
    # Adam's steps do not depend on so high a bound, and nothing is shared with the first run.
    slow, slow_history = fit(model, train, valid, config.replace(clip_norm=1e9), labels=labels)
    assert same(slow.params["encoder"], model.params["encoder"])
    assert slow_history.rows[-1]["step"] == history.rows[-1]["step"] == 9
    for name in ("train_loss", f"valid_mae:{LOW}"):
        assert slow_history.column(name) == pytest.approx(history.column(name), rel=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        cached.params["heads"],
        slow.params["heads"],
    )


RESUMED = FAST.replace(
    epochs=5, batch_size=16, schedule="plateau", plateau_patience=1, learning_rate=0.05
)


@pytest.fixture(scope="module")
def whole(trained_model, train_set, valid_set, tmp_path_factory):
    """(run folder, model, history) of a run of heads alone that nothing interrupts."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    labels = label_parameters(trained_model.params, HEAD_ONLY)
    model, history = fit(
        trained_model, train_set, valid_set, RESUMED, labels=labels, run=RunFolder(folder)
    )
    assert len(set(history.column("rate"))) > 1
    return folder, model, history


def without_times(history):
    return [{k: v for k, v in r.items() if "seconds" not in k} for r in history.rows]


def signal_in_validation(monkeypatch, signum, epoch, n_valid):
    """Sends a signal while the validation of an epoch is under way."""
    load, calls = EmbeddingLoader.load, []

    def loading(self, planned):
        if len(self._embeddings) == n_valid:
            calls.append(planned)
            if len(calls) == epoch:
                os.kill(os.getpid(), signum)
        return load(self, planned)

    monkeypatch.setattr(EmbeddingLoader, "load", loading)


def signal_in_step(monkeypatch, signum, epoch, step):
    """Sends a signal while a step is under way."""
    watch = StepMonitor.watch

    def watching(self, *report):
        if report[:2] == (epoch, step):
            os.kill(os.getpid(), signum)
        watch(self, *report)

    monkeypatch.setattr(StepMonitor, "watch", watching)


def test_a_run_stopped_by_signals_ends_like_one_that_was_not(
    whole, trained_model, train_set, valid_set, tmp_path, monkeypatch
):
    model, train, valid = trained_model, train_set, valid_set
    labels = label_parameters(model.params, HEAD_ONLY)

    def go_on(config=RESUMED):
        run = RunFolder(tmp_path / "parts", resume=(tmp_path / "parts").exists())
        return fit(model, train, valid, config, labels=labels, run=run)

    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patched:
        signal_in_step(patched, signal.SIGTERM, 2, 4)
        with pytest.raises(Interrupted, match="SIGTERM: stopped after epoch 1 and 4 steps"):
            go_on()
    # What was best by then can be used already.
    assert evaluate(cg.load_model(tmp_path / "parts"), valid)["mae"] == pytest.approx(
        whole[2].column(f"valid_mae:{LOW}")[0], rel=1e-4
    )
    with monkeypatch.context() as patched:
        signal_in_validation(patched, signal.SIGINT, 2, len(valid))
        with pytest.raises(Interrupted, match="SIGINT: stopped after epoch 2 and 6 steps"):
            go_on()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    with monkeypatch.context() as patched:
        signal_in_step(patched, signal.SIGINT, 5, 2)
        signal_in_step(patched, signal.SIGINT, 5, 2)
        with pytest.raises(KeyboardInterrupt):
            go_on()
    parts, history = go_on()
    assert same(parts.params, whole[1].params)
    assert without_times(history) == without_times(whole[2])
    assert same(cg.load_model(tmp_path / "parts").params, whole[1].params)
    assert (tmp_path / "parts" / "history.csv").read_text().count("\n") == 6


def test_a_finished_run_is_resumed_with_more_epochs_alone(
    whole, trained_model, train_set, valid_set, tmp_path
):
    folder, longer = tmp_path / "run", RESUMED.replace(epochs=7)
    shutil.copytree(whole[0], folder)
    labels = label_parameters(trained_model.params, HEAD_ONLY)

    def resumed(train, config, model=trained_model):
        run = RunFolder(folder, resume=True)
        return fit(model, train, valid_set, config, labels=labels, run=run)

    again, history = resumed(train_set, RESUMED)
    assert same(again.params, whole[1].params)
    assert history.rows == whole[2].rows
    with pytest.raises(ConfigError, match=r"train\.epochs: 5 -> 4"):
        resumed(train_set, RESUMED.replace(epochs=4))
    with pytest.raises(MismatchError, match=r"train\.crystals: 96 -> 95.*train\.digest: "):
        resumed(train_set.select(np.arange(95)), RESUMED)
    other = jax.tree.map(lambda x: x + 1, trained_model.params)
    with pytest.raises(MismatchError, match=r"weights of the run: weights: "):
        resumed(train_set, RESUMED, trained_model.replace(params=other))
    more, history = resumed(train_set, longer)
    straight, expected = fit(trained_model, train_set, valid_set, longer, labels=labels)
    assert without_times(history) == without_times(expected)
    assert same(more.params, straight.params)


def test_other_versions_are_a_warning(
    whole, trained_model, train_set, valid_set, tmp_path, monkeypatch, caplog
):
    shutil.copytree(whole[0], tmp_path / "run")
    labels = label_parameters(trained_model.params, HEAD_ONLY)
    monkeypatch.setattr(run_state, "versions", lambda: {**versions(), "jax": "0.0.1"})
    run = RunFolder(tmp_path / "run", resume=True)
    with caplog.at_level(logging.WARNING, "cgatjax"):
        fit(trained_model, train_set, valid_set, RESUMED, labels=labels, run=run)
    assert re.search(r"other versions \(jax: '.*' -> '0.0.1'\); the last bits may", caplog.text)


def test_every_phase_of_a_run_is_timed(whole, caplog):
    seconds = whole[2].seconds
    assert list(seconds) == ["wait", "step", "valid", "checkpoint"]
    assert all(spent >= 0 for spent in seconds.values())
    assert seconds["step"] > 0


@dataclasses.dataclass(frozen=True, eq=False)
class Spoilt(Dataset):
    """A data set in which some values are so large that a squared loss overflows."""

    spoilt: tuple[int, ...] = ()

    def target(self, name):
        values = super().target(name)
        values[list(self.spoilt)] = 1e30
        return values


def batches_with(position, n, size, epochs):
    """(epoch, step) from 1 of the batches in which a crystal comes."""
    orders = [shuffled(n, RESUMED.seed, epoch) for epoch in range(epochs)]
    return [
        (e + 1, int(np.flatnonzero(o == position)[0]) // size + 1) for e, o in enumerate(orders)
    ]


def test_batches_that_are_not_finite_are_skipped_and_recorded_by_id(
    trained_model, train_set, valid_set, tmp_path, caplog
):
    model, train, valid = trained_model, train_set, valid_set
    labels = label_parameters(model.params, HEAD_ONLY)
    spoilt = Spoilt(train.store, train.rows, spoilt=(17,))
    config = RESUMED.replace(epochs=3, loss="l2", max_bad_steps=1)
    run = RunFolder(tmp_path / "run")
    with caplog.at_level(logging.WARNING, "cgatjax"):
        _, history = fit(model, spoilt, valid, config, labels=labels, run=run)
    assert history.column("skipped") == [1, 1, 1]
    assert [row["step"] for row in history.rows] == [5, 10, 15]
    assert np.isfinite(history.column("train_loss")).all()
    lines = (run.path / "skipped_batches.jsonl").read_text().splitlines()
    noted = [json.loads(line) for line in lines]
    expected = batches_with(17, len(train), 16, 3)
    assert [(entry["epoch"], entry["step"]) for entry in noted] == expected
    for entry, (epoch, step) in zip(noted, expected, strict=True):
        rows = shuffled(len(train), 0, epoch - 1)[16 * (step - 1) : 16 * step]
        assert entry["ids"] == [train.ids[row] for row in rows]
    epoch, step = expected[0]
    assert f"epoch {epoch}, step {step} skipped, not finite: {noted[0]['ids'][0]}, " in caplog.text


def test_too_many_bad_steps_in_a_row_end_the_run_and_keep_its_state(
    trained_model, train_set, valid_set, tmp_path
):
    model, train, valid = trained_model, train_set, valid_set
    labels = label_parameters(model.params, HEAD_ONLY)
    # One crystal of each of the first three batches of the second epoch; in the first they come
    # in batches that are not in a row before it.
    batches = shuffled(len(train), 0, 1)[:48].reshape(3, 16)
    first = {p: batches_with(p, len(train), 16, 1)[0][1] for p in batches.ravel()}
    spoilt = [next(int(p) for p in batch if first[p] < 6) for batch in batches]
    config = RESUMED.replace(epochs=3, loss="l2", max_bad_steps=2, checkpoint_seconds=0.0)
    run = RunFolder(tmp_path / "run")
    with pytest.raises(
        TrainingError, match=r"epoch 2, step 3: .* last 3 steps.*max_bad_steps is 2"
    ):
        fit(
            model,
            Spoilt(train.store, train.rows, spoilt=tuple(spoilt)),
            valid,
            config,
            labels=labels,
            run=run,
        )
    assert (run.path / "checkpoints").is_dir()
    assert np.isfinite(cg.load_model(run.path).params["heads"][LOW]["out"]["bias"]).all()


def test_bfloat16_stays_close(trained_model, train_set, valid_set, test_set):
    model, train, valid, test = trained_model, train_set, valid_set, test_set
    low = model.replace(config=model.config.replace(precision="bfloat16"))
    spread = model.normalizers[LOW].std
    assert abs(predict(low, test).mean - predict(model, test).mean).max() < 0.05 * spread
    found, history = fit(low, train, valid, FAST.replace(epochs=1))
    assert np.isfinite(history.column("train_loss")).all()
    assert {x.dtype for x in jax.tree.leaves(found.params)} == {np.dtype("float32")}


def test_training_that_is_nowhere_finite_is_an_error(trained_model, train_set, valid_set, caplog):
    model, train, valid = trained_model, train_set, valid_set
    heads = jax.tree.map(lambda x: np.full_like(x, np.nan), model.params["heads"])
    broken = model.replace(params={**model.params, "heads": heads})
    labels = label_parameters(model.params, HEAD_ONLY)
    message = r"epoch 1: loss or gradient of all 3 steps was not finite; lower the learning rate"
    with caplog.at_level(logging.WARNING, "cgatjax"), pytest.raises(TrainingError, match=message):
        fit(broken, train, valid, FAST, labels=labels)
    assert "epoch 1, step 3 skipped, not finite: " in caplog.text


def test_training_ends_early_without_improvement_and_a_resumed_one_stays_ended(
    fresh_model, train_set, valid_set, tmp_path, caplog
):
    # At this rate the first epoch is the best by far.
    config = FAST.replace(epochs=9, learning_rate=0.5, patience=2)
    with caplog.at_level("INFO", "cgatjax"):
        found, history = fit(
            fresh_model, train_set, valid_set, config, run=RunFolder(tmp_path / "run")
        )
    errors = history.column(f"valid_mae:{LOW}")
    best = int(np.argmin(errors))
    assert len(errors) == best + 1 + 2 < 9
    assert f"stopped after epoch {len(errors)}: no better validation for 2 of them" in caplog.text
    resumed = RunFolder(tmp_path / "run", resume=True)
    again, same_history = fit(fresh_model, train_set, valid_set, config, run=resumed)
    assert same(again.params, found.params)
    assert same_history.column("epoch") == history.column("epoch")


def test_a_cosine_changes_the_rate_in_every_step(fresh_model, train_set, valid_set, monkeypatch):
    factors = []

    def noted(*arguments):
        factors.append(schedules.factor_at(*arguments))
        return factors[-1]

    monkeypatch.setattr(trainer, "factor_at", noted)
    config = FAST.replace(schedule="cosine", batch_size=32)
    _, history = fit(fresh_model, train_set, valid_set, config)
    steps = history.column("step")[-1]
    assert steps == 6
    assert sorted(set(factors)) == pytest.approx(
        sorted(schedules.cosine((step + 0.5) / steps) for step in range(steps))
    )


def test_no_epochs_change_nothing(fresh_model, train_set, valid_set):
    found, history = fit(fresh_model, train_set, valid_set, FAST.replace(epochs=0))
    assert same(found.params, fresh_model.params)
    assert LOW in found.normalizers
    assert history.rows == []


def test_what_cannot_be_trained_on_is_refused(fresh_model, train_set, valid_set, tmp_path):
    train, valid = train_set, valid_set
    nothing = train.select(np.array([], int))
    with pytest.raises(InputError, match="the training set is empty; give more crystals"):
        fit(fresh_model, nothing, valid, FAST)
    with pytest.raises(InputError, match="the validation set is empty"):
        fit(fresh_model, train, nothing, FAST)
    with pytest.raises(TargetError, match="expected at least 2 known values"):
        fit(fresh_model, train.restrict_targets(HIGH), valid, FAST)
    with pytest.raises(TargetError, match="the validation set has no known value"):
        fit(fresh_model, train, valid.restrict_targets(HIGH), FAST)
    other = cg.build_store(cg.ionic_crystals(3), tmp_path / "s", cg.GraphConfig.released())
    with pytest.raises(MismatchError, match="the training set: graphs made with other options"):
        fit(fresh_model, other.all(), valid, FAST)


def test_an_incomplete_stack_is_filled_with_padding_only_batches(ionic_store):
    loader = BatchLoader(ionic_store.all(), [LOW], 10, [BatchBudget(11, 128, 1024, 64, 128)])
    stacks = [step.batch for step in step_batches(loader, np.arange(50), 2)]
    assert [s.graph_mask.shape for s in stacks] == [(2, 11)] * 3
    assert [int(s.target_mask[LOW].sum()) for s in stacks] == [20, 20, 10]
    assert not stacks[-1].target_mask[LOW][1].any()


def test_embeddings_are_batched_with_padding(ionic_store):
    data = ionic_store.all().select(np.arange(7))
    embeddings = np.arange(14, dtype=np.float32).reshape(7, 2)
    loader = EmbeddingLoader(embeddings, data, [LOW], 4)
    order = np.array([6, 0, 3, 2, 5, 1, 4])
    batches = [loader.load(planned) for planned in loader.plan(order)]
    assert [b.graph_mask.tolist() for b in batches] == [[True] * 4, [True] * 3 + [False]]
    for positions, batch in zip((order[:4], order[4:]), batches, strict=True):
        n = len(positions)
        assert batch.embedding[:n].tolist() == embeddings[positions].tolist()
        assert batch.targets[LOW][:n] == pytest.approx(data.target(LOW)[positions])
        assert np.array_equal(batch.target_mask[LOW], batch.graph_mask)
    blank = loader.load(BatchPlan(np.empty(0, np.int64)))
    assert not blank.graph_mask.any()
    assert not blank.target_mask[LOW].any()
    assert np.isfinite(blank.embedding).all()
