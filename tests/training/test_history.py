import math

import pytest

from cgatjax.models.metrics import ErrorSums, Totals
from cgatjax.training import history as module
from cgatjax.training.history import PARTS, History, Stopwatch, epoch_columns, note


def test_every_moment_goes_to_one_part(monkeypatch):
    now = iter([0.0, 1.0, 3.0, 6.0, 10.0, 15.0, 21.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(now))
    clock = Stopwatch()
    assert clock.book("wait") is None  # at 1; what came before is nobody's
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
    assert tuple(seconds) == PARTS


def test_a_row_in_a_few_words():
    assert note({"epoch": 3, "train_loss": 0.25}) == "epoch 3: loss 0.25"
    row = {"epoch": 3, "train_loss": 0.25, "valid_mae:a": 0.0123456}
    assert note(row) == "epoch 3: loss 0.25, valid MAE a 0.01235"
    assert note({**row, "valid_mae:b": float("nan")}) == note(row)
