"""What the steps of an epoch report, read a few steps late so that no step waits for the host."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from cgatjax.config import TrainConfig
from cgatjax.errors import TrainingError
from cgatjax.models.metrics import Totals
from cgatjax.training.train_step import StepMetrics

LAG = 4
"""Steps that may be under way before the report of the oldest is read."""
ADVICE = "lower the learning rate, set clip_norm, or check the targets"

NoteSkipped = Callable[[int, int, np.ndarray], None]
"""Called with epoch, step in it (both from 1) and positions of the crystals of a skipped step."""


class _Report(NamedTuple):
    """A step under way; the numbers of its metrics and the count of skipped steps in one array."""

    epoch: int
    step: int
    positions: np.ndarray
    numbers: jax.Array
    structure: Any


@jax.jit
def _in_one_array(metrics: StepMetrics, skipped: jax.Array) -> jax.Array:
    """One small array: reading it costs one copy, and it outlives the state that it came from."""
    return jnp.stack([jnp.asarray(x, float) for x in (*jax.tree.leaves(metrics), skipped)])


class StepMonitor:
    """Sums of the epoch, and the steps that were left out because they were not finite.

    Attributes:
      totals: loss and errors of the steps read so far.
      skipped: steps of the epoch that were left out, of those read so far.
      in_row: how many of the last steps were left out one after the other.
    """

    def __init__(self, config: TrainConfig, note_skipped: NoteSkipped) -> None:
        self._limit = config.max_bad_steps
        self._note_skipped = note_skipped
        self._pending: deque[_Report] = deque()
        self._counted = 0
        self.totals, self.skipped, self.in_row = Totals(), 0, 0

    def start_epoch(self) -> None:
        """Begins the sums anew."""
        self.totals, self.skipped = Totals(), 0

    def watch(
        self,
        epoch: int,
        step: int,
        positions: np.ndarray,
        skipped: jax.Array,
        metrics: StepMetrics,
    ) -> None:
        """Takes the report of a step that was just dispatched, and reads that of an earlier one.

        Args:
          epoch: from 1.
          step: in the epoch, from 1.
          positions: of the crystals of the step.
          skipped: the state's count of skipped steps after it.
          metrics: of the step.

        Raises:
          TrainingError: more steps in a row than `max_bad_steps` were not finite.
        """
        numbers = _in_one_array(metrics, skipped)
        structure = jax.tree.structure(metrics)
        self._pending.append(_Report(epoch, step, positions, numbers, structure))
        while len(self._pending) > LAG:
            self._read(self._pending.popleft())

    def drain(self) -> None:
        """Waits for all steps under way and reads their reports.

        Raises:
          TrainingError: as `watch`.
        """
        while self._pending:
            self._read(self._pending.popleft())

    def to_plain(self) -> dict[str, Any]:
        """Plain values for a training state; only of use after `drain`."""
        return {"totals": self.totals.to_plain(), "skipped": self.skipped, "in_row": self.in_row}

    def restore(self, plain: Mapping[str, Any], counted: int) -> None:
        """Goes on from the values of `to_plain`.

        Args:
          plain: what `to_plain` gave.
          counted: the state's count of skipped steps then.
        """
        self.totals = Totals.from_plain(plain["totals"])
        self.skipped, self.in_row = plain["skipped"], plain["in_row"]
        self._counted = counted

    def _read(self, report: _Report) -> None:
        *sums, counted = np.asarray(report.numbers).tolist()
        if int(counted) == self._counted:
            metrics = jax.tree.unflatten(report.structure, sums)
            self.in_row = 0
            self.totals.add(metrics.loss, metrics.n, metrics.errors)
            return
        self._counted = int(counted)
        self.skipped += 1
        self.in_row += 1
        self._note_skipped(report.epoch, report.step, report.positions)
        if self.in_row > self._limit:
            raise TrainingError(
                f"epoch {report.epoch}, step {report.step}: loss or gradient of the last "
                f"{self.in_row} steps was not finite (max_bad_steps is {self._limit}); {ADVICE}"
            )

    def check_epoch(self, epoch: int, n_steps: int) -> None:
        """Raises TrainingError if no step of the epoch was finite.

        Args:
          epoch: from 1.
          n_steps: how many steps it had.
        """
        if n_steps and self.skipped == n_steps:
            raise TrainingError(
                f"epoch {epoch}: loss or gradient of all {n_steps} steps was not finite; {ADVICE}"
            )
