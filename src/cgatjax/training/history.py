"""What happened in training: a row per epoch, and the time each kind of work took."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cgatjax.models.metrics import Totals, summarize
from cgatjax.training.transfer_params import TransferReport

PARTS = ("wait", "step", "valid", "checkpoint")
"""Kinds of work: waiting for batches, steps on the device, validation, writing states."""


@dataclass(eq=False)
class History:
    """What happened in training, one row per epoch.

    Attributes:
      rows: epoch, rate, training loss, errors of each target, seconds of each part.
      padding: share of padding among nodes and edges.
      report: of a transfer, what was carried over.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    padding: tuple[float, float] = (0.0, 0.0)
    report: TransferReport | None = None

    def column(self, name: str) -> list[Any]:
        """One quantity over the epochs in which it was measured."""
        return [row[name] for row in self.rows if row.get(name) is not None]

    @property
    def seconds(self) -> dict[str, float]:
        """Part -> seconds over all epochs."""
        return {part: sum(self.column(f"seconds_{part}")) for part in PARTS}


class Stopwatch:
    """Books every moment to one part of `PARTS`, or to none."""

    def __init__(self) -> None:
        self._seconds = dict.fromkeys(PARTS, 0.0)
        self._part: str | None = None
        self._since = time.monotonic()

    def book(self, part: str | None) -> str | None:
        """From now on, time goes to this part; returns the part it went to before."""
        now = time.monotonic()
        if self._part is not None:
            self._seconds[self._part] += now - self._since
        before, self._part, self._since = self._part, part, now
        return before

    def take(self) -> dict[str, float]:
        """Columns of a row: seconds of each part since the last call."""
        self.book(self._part)
        row = {f"seconds_{part}": round(spent, 3) for part, spent in self._seconds.items()}
        self._seconds = dict.fromkeys(PARTS, 0.0)
        return row


def epoch_columns(part: str, totals: Totals) -> dict[str, Any]:
    """Loss and errors of an epoch ("train" or "valid") as columns of the history."""
    row: dict[str, Any] = {f"{part}_loss": totals.loss / max(totals.n, 1)}
    for target, sums in totals.errors.items():
        errors = summarize(sums)
        row |= {f"{part}_mae:{target}": errors["mae"], f"{part}_rmse:{target}": errors["rmse"]}
    return row


def note(row: Mapping[str, Any]) -> str:
    """A row in a few words, for people; targets without a known value are left out."""
    errors = [
        f"{name.split(':', 1)[1]} {value:.4g}"
        for name, value in row.items()
        if name.startswith("valid_mae:") and not math.isnan(value)
    ]
    valid = f", valid MAE {', '.join(errors)}" if errors else ""
    return f"epoch {row['epoch']}: loss {row.get('train_loss', float('nan')):.4g}{valid}"
