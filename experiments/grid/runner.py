"""Running of a grid: resumable, within a time limit, with an estimate of the remaining time."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from experiments.grid.pool import TrainingPool
from experiments.grid.results import ResultsTable, results_table
from experiments.grid.training import Row, Training, trainings_of

LOG = logging.getLogger("cgatjax")
CRYSTALS_PER_SECOND = 1600.0
"""Training rate of the small preset on two cores (64 crystals in 40 ms), until one is measured."""
OVERHEAD = 10.0
"""Seconds per training for compilation and for reading the data."""
PAUSE = 10.0
"""Seconds between two checks of the trainings of other processes."""
HEAD_SHARE = 0.05
"""Time of a step on cached embeddings relative to a step of the whole network."""


@dataclass
class Pace:
    """Training rate, measured on the finished trainings of this process.

    Attributes:
      crystals_per_second: rate until a training is finished.
      work, seconds: totals of the finished trainings.
    """

    crystals_per_second: float = CRYSTALS_PER_SECOND
    work: float = 0.0
    seconds: float = 0.0

    def expected(self, training: Training) -> float:
        """Return the expected seconds of a training."""
        if self.work > 0 and self.seconds > 0:
            return work_of(training) * self.seconds / self.work
        return work_of(training) / self.crystals_per_second + OVERHEAD

    def update(self, training: Training, seconds: float) -> None:
        """Add a finished training to the measurement."""
        self.work += work_of(training)
        self.seconds += seconds


def work_of(training: Training) -> float:
    """Return the number of crystals that pass forward and backward through the whole network."""
    share = HEAD_SHARE if training.mode == "head" else 1.0
    return share * training.steps * training.train.batch_size


class Deadline:
    """Time limit that starts now; None for no limit."""

    def __init__(self, minutes: float | None) -> None:
        self._end = float("inf") if minutes is None else time.monotonic() + 60 * minutes

    def is_met_by(self, seconds: float) -> bool:
        """Check whether work of this duration ends in time."""
        return time.monotonic() + seconds <= self._end


def run_grid(
    name: str,
    rows: Sequence[Row],
    pool: TrainingPool,
    *,
    minutes: float | None = None,
    pace: Pace | None = None,
    show_progress: bool = False,
    pause: float = PAUSE,
) -> ResultsTable:
    """Train what is missing of a grid, and write each row as soon as its trainings are finished.

    Several processes may run one grid; a training that another process works on is skipped.

    Args:
      name: name of the experiment, whose table is OUT/NAME/results.csv.
      rows: the grid.
      pool: pool of trainings.
      minutes: time limit; no training is started that would exceed it, except for the first one.
      pace: training rate for the estimates.
      show_progress: show a line or bar for each training on standard error.
      pause: seconds to wait if all remaining trainings are with other processes.

    Returns:
      Table of the finished rows.
    """
    table = results_table(name, pool)
    worker = _Worker(name, rows, pool, table, pace or Pace(), Deadline(minutes), show_progress)
    LOG.info("%s: %d rows, %d trainings to do", name, len(rows), len(list(worker.missing(rows))))
    while worker.sweep() and worker.deadline.is_met_by(pause):
        time.sleep(pause)
    return table


@dataclass
class _Worker:
    """One process that works on a grid."""

    name: str
    rows: Sequence[Row]
    pool: TrainingPool
    table: ResultsTable
    pace: Pace
    deadline: Deadline
    show_progress: bool
    trained: int = 0

    def missing(self, rows: Sequence[Row]) -> Iterator[Training]:
        """Yield the trainings that are not finished by then."""
        return (t for t in trainings_of(rows) if self.pool.record(t) is None)

    def sweep(self) -> bool:
        """Go through all rows once; return True if trainings are left to other processes."""
        waiting = False
        for row in self.rows:
            for training in self.missing([row]):
                if self.trained and not self.deadline.is_met_by(self.pace.expected(training)):
                    left = len(list(self.missing(self.rows)))
                    LOG.info("%s: time limit reached, %d trainings left", self.name, left)
                    return False
                if not self._train(training):
                    waiting = True
                    break
            result = self.pool.result(row)
            if result is not None and result["key"] not in self.table.rows:
                self.table.add(result)
        return waiting

    def _train(self, training: Training) -> bool:
        began = time.monotonic()
        if not self.pool.train(training, show_progress=self.show_progress):
            return False
        self.pace.update(training, time.monotonic() - began)
        self.trained += 1
        left = list(self.missing(self.rows))
        minutes = sum(self.pace.expected(t) for t in left) / 60
        LOG.info("%s: training done, %d left, about %.0f min", self.name, len(left), minutes)
        return True


def dry_run(rows: Sequence[Row], pool: TrainingPool, pace: Pace) -> list[str]:
    """List every training of a grid with its size and expected time; read no data.

    Each training is listed once, below the first row that needs it; sums by data and mode follow.
    """
    lines: list[str] = []
    seen: set[Training] = set()
    by_mode: dict[str, list[float]] = {}
    for row in rows:
        new = [training for training in trainings_of([row]) if training not in seen]
        if new:
            labels = {name: value for name, value in row.labels.items() if value is not None}
            lines.append(", ".join(f"{name} {value}" for name, value in labels.items()))
        for training in new:
            seen.add(training)
            seconds = pace.expected(training)
            by_mode.setdefault(f"{training.data}, {training.mode}", []).append(seconds)
            size = pool.datasets.expected_size(training)
            lines.append(f"{len(seen):6d}  {_described(training, size)}: {_duration(seconds)}")
    rate = f"{pace.crystals_per_second:g} crystals/s plus {OVERHEAD:g} s per training"
    for mode, times in by_mode.items():
        lines.append(f"sum of {mode}: {len(times)} trainings, {_duration(sum(times))}")
    total = sum(map(sum, by_mode.values()))
    lines.append(f"{len(rows)} rows, {len(seen)} trainings, {_duration(total)} at {rate}")
    return lines


def _described(training: Training, size: int) -> str:
    start = ""
    if training.start is not None:
        start = f" from {training.start.target} (normalizer {training.normalizer})"
    return (
        f"{training.data}: {training.target}, {training.mode}{start}, about {size:,} crystals, "
        f"{training.steps:,} steps of {training.train.batch_size}, "
        f"rate {training.train.learning_rate:g}, decay {training.train.weight_decay:g}, "
        f"seed {training.seed}"
    )


def _duration(seconds: float) -> str:
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"
