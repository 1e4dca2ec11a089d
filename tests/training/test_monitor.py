"""Reports of steps are read late, in order, and booked to the step that they belong to."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from cgatjax.config import TrainConfig
from cgatjax.errors import TrainingError
from cgatjax.models.metrics import ErrorSums
from cgatjax.training.monitor import LAG, StepMonitor
from cgatjax.training.train_step import StepMetrics


class Steps:
    """Feeds a monitor with steps of which some are skipped."""

    def __init__(self, max_bad_steps=3):
        self.noted = []
        config = TrainConfig(max_bad_steps=max_bad_steps)
        self.monitor = StepMonitor(config, lambda *where: self.noted.append(where))
        self.count = self.skipped = 0

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


def test_skipped_steps_are_found_late_and_named_rightly():
    steps = Steps()
    steps.take(True, False, *[True] * (LAG - 1))
    assert steps.noted == []
    steps.take(True)
    assert [(e, s, p.tolist()) for e, s, p in steps.noted] == [(1, 2, [2])]
    steps.take(False)
    steps.monitor.drain()
    assert [(e, s) for e, s, _ in steps.noted] == [(1, 2), (1, LAG + 3)]
    assert steps.monitor.skipped == 2
    assert steps.monitor.totals.n == LAG + 1
    assert steps.monitor.totals.loss == 0.5 * (LAG + 1)
    assert steps.monitor.totals.errors["a"].n == LAG + 1


def test_only_steps_in_a_row_count_against_the_limit():
    steps = Steps(max_bad_steps=2)
    steps.take(False, False, True, False, False, True)
    steps.monitor.drain()
    steps.take(False, False, False)
    with pytest.raises(TrainingError, match=r"epoch 1, step 9: .* last 3 steps .* is 2\); lower"):
        steps.monitor.drain()


def test_a_row_of_bad_steps_goes_on_after_an_epoch_and_a_resumption():
    before = Steps(max_bad_steps=2)
    before.take(True, False)
    before.monitor.drain()
    before.monitor.start_epoch()
    assert (before.monitor.skipped, before.monitor.totals.n) == (0, 0)
    after = Steps(max_bad_steps=2)
    after.monitor.restore(before.monitor.to_plain(), counted=1)
    after.skipped = 1
    after.take(False)
    after.monitor.drain()
    assert (after.monitor.skipped, after.monitor.in_row) == (1, 2)
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
