"""Training history: a row per epoch, sums of steps read late, seconds of each kind of work."""

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from cgatjax.config import TrainConfig
from cgatjax.errors import TrainingError
from cgatjax.model.metrics import Totals, summarize
from cgatjax.runtime import SHOWN_ROWS, preview
from cgatjax.training.train_step import StepMetrics
from cgatjax.training.transfer_params import TransferReport

if TYPE_CHECKING:
    from pandas import DataFrame

PHASES = ("wait", "step", "valid", "checkpoint")
"""Kinds of work: waiting for batches, steps on the device, validation, writing checkpoints."""
LAG = 4
"""Steps that may be under way before the metrics of the oldest are read.

Reading waits for the device. Four steps behind, it practically never has to, and a failing training
still ends within a few steps.
"""
ADVICE = "lower the learning rate, set clip_norm, or check the targets"


@dataclass(eq=False)
class History:
    """History of a training, one row per epoch.

    Attributes:
      rows: epoch, learning rate, training loss, errors of each target, seconds of each phase.
      padding: fraction of padding among nodes and edges.
      report: of a transfer, what was carried over.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    padding: tuple[float, float] = (0.0, 0.0)
    report: TransferReport | None = None

    def __repr__(self) -> str:
        rows = self.rows[-SHOWN_ROWS:]
        names = [n for n in ("epoch", "rate", "train_loss") if any(n in row for row in rows)]
        names += [n for row in rows[-1:] for n in row if n.startswith("valid_mae:")]
        head = f"History of {len(self.rows)} epochs{', the last of them:' if rows else ''}"
        cells = [[row.get(name, "") for name in names] for row in rows]
        return preview(head, names, cells, len(rows))

    def to_frame(self) -> "DataFrame":
        """Return the rows as a pandas data frame."""
        from pandas import DataFrame

        return DataFrame(self.rows)

    def column(self, name: str) -> list[Any]:
        """Collect one quantity over the epochs in which it was measured."""
        return [row[name] for row in self.rows if row.get(name) is not None]

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of each phase over all epochs."""
        return {phase: sum(self.column(f"seconds_{phase}")) for phase in PHASES}


class Stopwatch:
    """Stopwatch that books every moment to one of `PHASES`, or to none."""

    def __init__(self) -> None:
        self._seconds = dict.fromkeys(PHASES, 0.0)
        self._phase: str | None = None
        self._since = time.monotonic()

    def book(self, phase: str | None) -> str | None:
        """Start timing a phase; return the phase timed before."""
        now = time.monotonic()
        if self._phase is not None:
            self._seconds[self._phase] += now - self._since
        before, self._phase, self._since = self._phase, phase, now
        return before

    def take(self) -> dict[str, float]:
        """Return the seconds of each phase since the last call, as columns of a row."""
        self.book(self._phase)
        row = {f"seconds_{phase}": round(spent, 3) for phase, spent in self._seconds.items()}
        self._seconds = dict.fromkeys(PHASES, 0.0)
        return row


@dataclass
class EpochSums:
    """Sums of an epoch's steps, plain numbers.

    Attributes:
      totals: loss and errors.
      skipped: steps of the epoch that were not finite and changed nothing.
      in_row: how many of the last steps were skipped one after the other, over epochs.
    """

    totals: Totals = field(default_factory=Totals)
    skipped: int = 0
    in_row: int = 0

    def start_epoch(self) -> None:
        """Set the epoch's sums to zero."""
        self.totals, self.skipped = Totals(), 0

    def to_plain(self) -> dict[str, Any]:
        """Convert to plain values for a training checkpoint."""
        return {"totals": self.totals.to_plain(), "skipped": self.skipped, "in_row": self.in_row}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "EpochSums":
        """Restore from the values of `to_plain`."""
        return cls(Totals.from_plain(plain["totals"]), plain["skipped"], plain["in_row"])


NoteSkipped = Callable[[int, int, np.ndarray], None]
"""Called with epoch, step in it (both from 1) and positions of the crystals of a skipped step."""


class _Report(NamedTuple):
    """Metrics of a step under way, with the count of skipped steps, in one array."""

    epoch: int
    step: int
    positions: np.ndarray
    numbers: jax.Array
    structure: Any


@jax.jit
def _in_one_array(metrics: StepMetrics, skipped: jax.Array) -> jax.Array:
    """Stack metrics into one array: one copy to read, independent of the donated state."""
    return jnp.stack([jnp.asarray(x, float) for x in (*jax.tree.leaves(metrics), skipped)])


class StepMonitor:
    """Reader of the steps' metrics, a few steps late so that no step waits for the host.

    Attributes:
      sums: of the steps read so far in this epoch.
    """

    def __init__(
        self, sums: EpochSums, counted: int, config: TrainConfig, note_skipped: NoteSkipped
    ) -> None:
        """Continue the sums of a training.

        Args:
          sums: changed in place.
          counted: the training state's count of skipped steps so far.
          config: its `max_bad_steps` limits skipped steps in a row.
          note_skipped: called for each skipped step.
        """
        self.sums = sums
        self._limit = config.max_bad_steps
        self._note_skipped = note_skipped
        self._pending: deque[_Report] = deque()
        self._counted = counted

    def watch(
        self,
        epoch: int,
        step: int,
        positions: np.ndarray,
        skipped: jax.Array,
        metrics: StepMetrics,
    ) -> None:
        """Queue the metrics of a step that was just dispatched, and read those of an earlier one.

        Args:
          epoch: from 1.
          step: in the epoch, from 1.
          positions: of the crystals of the step.
          skipped: the training state's count of skipped steps after it.
          metrics: of the step.

        Raises:
          TrainingError: more steps in a row than `max_bad_steps` were not finite.
        """
        numbers = _in_one_array(metrics, skipped)
        structure = jax.tree.structure(metrics)
        self._pending.append(_Report(epoch, step, positions, numbers, structure))
        # Until here nothing has waited for the device; reading does.
        while len(self._pending) > LAG:
            self._read(self._pending.popleft())

    def drain(self) -> None:
        """Wait for all steps under way and read their metrics.

        Raises:
          TrainingError: as of `watch`.
        """
        while self._pending:
            self._read(self._pending.popleft())

    def _read(self, report: _Report) -> None:
        # A skipped step is known by the state's count: its metrics are zero, as of an empty batch.
        *numbers, counted = np.asarray(report.numbers).tolist()
        sums = self.sums
        if int(counted) == self._counted:
            metrics = jax.tree.unflatten(report.structure, numbers)
            sums.in_row = 0
            sums.totals.add(metrics.loss, metrics.n, metrics.errors)
            return
        self._counted = int(counted)
        sums.skipped += 1
        sums.in_row += 1
        self._note_skipped(report.epoch, report.step, report.positions)
        if sums.in_row > self._limit:
            raise TrainingError(
                f"epoch {report.epoch}, step {report.step}: loss or gradient of the last "
                f"{sums.in_row} steps was not finite (max_bad_steps is {self._limit}); {ADVICE}"
            )

    def check_epoch(self, epoch: int, n_steps: int) -> None:
        """Raise TrainingError if no step of the epoch was finite.

        Args:
          epoch: from 1.
          n_steps: number of its steps.
        """
        if n_steps and self.sums.skipped == n_steps:
            raise TrainingError(
                f"epoch {epoch}: loss or gradient of all {n_steps} steps was not finite; {ADVICE}"
            )


def epoch_columns(name: str, totals: Totals) -> dict[str, Any]:
    """Make columns of the history from loss and errors of an epoch, "train" or "valid"."""
    row: dict[str, Any] = {f"{name}_loss": totals.loss / max(totals.n, 1)}
    for target, sums in totals.errors.items():
        errors = summarize(sums)
        row |= {f"{name}_mae:{target}": errors["mae"], f"{name}_rmse:{target}": errors["rmse"]}
    return row


def one_line(row: Mapping[str, Any]) -> str:
    """Summarize a row for people; targets without a known value are left out."""
    errors = [
        f"{name.split(':', 1)[1]} {value:.4g}"
        for name, value in row.items()
        if name.startswith("valid_mae:") and not math.isnan(value)
    ]
    valid = f", valid MAE {', '.join(errors)}" if errors else ""
    return f"epoch {row['epoch']}: loss {row.get('train_loss', float('nan')):.4g}{valid}"
