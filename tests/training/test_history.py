import json
import math
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from cgatjax.config import TrainConfig
from cgatjax.errors import TrainingError
from cgatjax.model.metrics import ErrorSums, Totals
from cgatjax.training import history as module
from cgatjax.training.history import (
    LAG,
    PHASES,
    EpochSums,
    History,
    StepMonitor,
    Stopwatch,
    epoch_columns,
    one_line,
)
from cgatjax.training.train_step import StepMetrics


def test_every_moment_is_booked_to_one_phase(monkeypatch):
    now = iter([0.0, 1.0, 3.0, 6.0, 10.0, 15.0, 21.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(now))
    clock = Stopwatch()
    assert clock.book("wait") is None  # at 1; the time before is not booked
    assert clock.book("step") == "wait"  # at 3
    assert clock.book("checkpoint") == "step"  # at 6
    assert clock.book("step") == "checkpoint"  # at 10
    expected = {"seconds_wait": 2, "seconds_step": 3 + 5, "seconds_valid": 0}
    assert clock.take() == {**expected, "seconds_checkpoint": 4}  # at 15
    assert clock.take()["seconds_step"] == 6  # at 21, and counted once


def test_columns_of_an_epoch_by_hand():
    totals = Totals(6.0, 4.0, {"a": ErrorSums(2.0, 16.0, 4.0)})
    assert epoch_columns("train", totals) == {
        "train_loss": 1.5,
        "train_mae:a": 0.5,
        "train_rmse:a": 2.0,
    }
    nothing = epoch_columns("valid", Totals(errors={"a": ErrorSums(0.0, 0.0, 0.0)}))
    assert nothing["valid_loss"] == 0
    assert math.isnan(nothing["valid_mae:a"])


def test_seconds_are_summed_over_epochs():
    rows = [{"seconds_step": 1.5, "seconds_wait": 0.25}, {"seconds_step": 2.0}]
    seconds = History(rows).seconds
    assert seconds == pytest.approx({"wait": 0.25, "step": 3.5, "valid": 0, "checkpoint": 0})
    assert tuple(seconds) == PHASES


def test_a_row_in_a_few_words():
    assert one_line({"epoch": 3, "train_loss": 0.25}) == "epoch 3: loss 0.25"
    row = {"epoch": 3, "train_loss": 0.25, "valid_mae:a": 0.0123456}
    assert one_line(row) == "epoch 3: loss 0.25, valid MAE a 0.01235"
    assert one_line({**row, "valid_mae:b": float("nan")}) == one_line(row)


class Steps:
    """A monitor of steps of which some are skipped."""

    def __init__(self, max_bad_steps=3, sums=None, skipped=0):
        self.noted = []
        config = TrainConfig(max_bad_steps=max_bad_steps)
        self.sums = EpochSums() if sums is None else sums
        note = lambda *where: self.noted.append(where)  # noqa: E731
        self.monitor = StepMonitor(self.sums, skipped, config, note)
        self.count, self.skipped = 0, skipped

    def take(self, *good):
        for is_good in good:
            self.count += 1
            self.skipped += not is_good
            n = float(is_good)
            metrics = StepMetrics(
                jnp.float32(0.5 * n), jnp.float32(n), {"a": ErrorSums(jnp.float32(n), n, n)}
            )
            state = SimpleNamespace(skipped=jnp.int32(self.skipped))
            self.monitor.watch(1, self.count, np.array([self.count]), state.skipped, metrics)


def test_skipped_steps_are_found_late_and_named_correctly():
    steps = Steps()
    steps.take(True, False, *[True] * (LAG - 1))
    assert steps.noted == []
    steps.take(True)
    assert [(e, s, p.tolist()) for e, s, p in steps.noted] == [(1, 2, [2])]
    steps.take(False)
    steps.monitor.drain()
    assert [(e, s) for e, s, _ in steps.noted] == [(1, 2), (1, LAG + 3)]
    assert steps.sums.skipped == 2
    assert steps.sums.totals.n == LAG + 1
    assert steps.sums.totals.loss == 0.5 * (LAG + 1)
    assert steps.sums.totals.errors["a"].n == LAG + 1


def test_only_steps_in_a_row_count_against_the_limit():
    steps = Steps(max_bad_steps=2)
    steps.take(False, False, True, False, False, True)
    steps.monitor.drain()
    steps.take(False, False, False)
    with pytest.raises(TrainingError, match=r"epoch 1, step 9: .* last 3 steps .* is 2\); lower"):
        steps.monitor.drain()


def test_skipped_steps_in_a_row_are_counted_over_epochs_and_resumptions():
    before = Steps(max_bad_steps=2)
    before.take(True, False)
    before.monitor.drain()
    before.sums.start_epoch()
    assert (before.sums.skipped, before.sums.totals.n) == (0, 0)
    kept = json.loads(json.dumps(before.sums.to_plain()))
    after = Steps(max_bad_steps=2, sums=EpochSums.from_plain(kept), skipped=1)
    after.take(False)
    after.monitor.drain()
    assert (after.sums.skipped, after.sums.in_row) == (1, 2)
    after.take(False)
    with pytest.raises(TrainingError, match="step 2"):
        after.monitor.drain()


def test_an_epoch_in_which_nothing_was_finite():
    steps = Steps(max_bad_steps=10)
    steps.take(False, False)
    steps.monitor.drain()
    with pytest.raises(TrainingError, match="epoch 4: loss or gradient of all 2 steps"):
        steps.monitor.check_epoch(4, 2)
    steps.monitor.check_epoch(4, 3)
    Steps().monitor.check_epoch(1, 0)


def test_a_history_is_shown_as_its_last_epochs_and_as_a_data_frame(training_history):
    lines = repr(training_history).splitlines()
    assert lines[0] == "History of 6 epochs, the last of them:"
    assert lines[1].split() == ["epoch", "rate", "train_loss", "valid_mae:e-form@low"]
    assert [line.split()[0] for line in lines[2:]] == ["2", "3", "4", "5", "6"]
    assert repr(History()) == "History of 0 epochs"
    frame = training_history.to_frame()
    assert frame["epoch"].tolist() == [1, 2, 3, 4, 5, 6]
