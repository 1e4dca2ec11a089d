"""Runs a grid of trainings: resumable, within a time limit, with an estimate of what is left."""

import csv
import io
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgatjax.runtime.atomic_files import write_durably
from experiments.bench import Bench
from experiments.claims import claimed
from experiments.specification import Cell, Training, needed

LOG = logging.getLogger("cgatjax")
CRYSTALS_PER_SECOND = 1600.0
"""Trained in the small preset on two cores (64 crystals in 40 ms); until something was measured."""
OVERHEAD = 10.0
"""Seconds per training for compiling and for reading the data."""
PAUSE = 10.0
"""Seconds between two looks at what other processes have finished."""
HEAD_SHARE = 0.05
"""Time of a step on cached embeddings, in steps of the whole network."""


class Results:
    """The results table of an experiment: a CSV file that is complete after every row.

    Attributes:
      path: the file.
      rows: by key, in the order in which they were finished; numbers as written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, dict[str, Any]] = {}
        self.read()

    def read(self) -> None:
        """Takes over the rows in the file, which another process may have added to."""
        if self.path.is_file():
            with open(self.path, newline="") as file:
                self.rows = {row["key"]: row for row in csv.DictReader(file)}

    def add(self, row: Mapping[str, Any]) -> None:
        """Adds a row, and writes the table in one step."""
        with claimed(self.path, wait=True):
            self.read()
            self.rows[row["key"]] = {name: str(value) for name, value in row.items()}
            names = list(dict.fromkeys(name for r in self.rows.values() for name in r))
            text = io.StringIO(newline="")
            writer = csv.DictWriter(text, names)
            writer.writeheader()
            writer.writerows(self.rows.values())
            write_durably(self.path, text.getvalue().encode())


@dataclass
class Pace:
    """How fast trainings go, measured on those that were done.

    Attributes:
      crystals_per_second: assumed until something was measured.
      work, seconds: of the trainings done now.
    """

    crystals_per_second: float = CRYSTALS_PER_SECOND
    work: float = 0.0
    seconds: float = 0.0

    def expected(self, training: Training) -> float:
        """Seconds that a training is expected to take."""
        measured = self.work > 0 and self.seconds > 0
        rate = self.work / self.seconds if measured else self.crystals_per_second
        return work_of(training) / rate + (0.0 if measured else OVERHEAD)

    def learn(self, training: Training, seconds: float) -> None:
        """Takes a finished training into account."""
        self.work += work_of(training)
        self.seconds += seconds


def work_of(training: Training) -> float:
    """Crystals that pass through the whole network, forward and backward."""
    share = HEAD_SHARE if training.mode == "head" else 1.0
    return share * training.steps * training.train.batch_size


def run_grid(
    name: str,
    cells: list[Cell],
    bench: Bench,
    *,
    minutes: float | None = None,
    pace: Pace | None = None,
    show_progress: bool = False,
    pause: float = PAUSE,
) -> Results:
    """Performs what is missing of a grid, and writes each row as soon as its trainings are done.

    Several processes may run one grid at the same time: what another one is at is left to it.

    Args:
      name: of the experiment; its table is OUT/NAME/results.csv.
      cells: the rows.
      bench: performs the trainings.
      minutes: stops before a training that would not end within this time (the first one is always
        done); None for no limit.
      pace: of the estimates.
      show_progress: a line or bar for each training on standard error.
      pause: seconds to wait where all that is left is with other processes.

    Returns:
      the table, with the rows that are finished.
    """
    grid = _Grid(name, cells, bench, pace or Pace(), Deadline(minutes), show_progress)
    LOG.info("%s: %d rows, %d trainings to do", name, len(cells), len(grid.left()))
    while grid.sweep() and not grid.deadline.met(pause):
        time.sleep(pause)
    return grid.results


class Deadline:
    """A time limit that the first training does not count against.

    Attributes:
      minutes: from now; None for no limit.
      over: whether it has stopped something.
    """

    def __init__(self, minutes: float | None) -> None:
        self.minutes = minutes
        self.over = False
        self._began = time.monotonic()

    def met(self, seconds: float) -> bool:
        """Whether something that takes so long would end too late."""
        late = self.minutes is not None
        if late:
            late = time.monotonic() - self._began + seconds > 60 * (self.minutes or 0)
        self.over |= late
        return late


class _Grid:
    """One process at work on a grid."""

    def __init__(
        self,
        name: str,
        cells: list[Cell],
        bench: Bench,
        pace: Pace,
        deadline: Deadline,
        show_progress: bool,
    ) -> None:
        self.name, self.cells, self.bench = name, cells, bench
        self.pace, self.deadline, self.show_progress = pace, deadline, show_progress
        self.results = Results(bench.out / name / "results.csv")
        self.done_now = 0

    def left(self) -> list[Training]:
        """Trainings that are not finished."""
        return [t for t in needed(self.cells) if self.bench.record(t) is None]

    def sweep(self) -> bool:
        """Goes through all rows once; whether something is left that other processes are at."""
        waiting = False
        for cell in self.cells:
            for training in needed([cell]):
                if self.bench.record(training) is not None:
                    continue
                if self.done_now and self.deadline.met(self.pace.expected(training)):
                    LOG.info("%s: the time is over; %d trainings left: run the same command again",
                             self.name, len(self.left()))  # fmt: skip
                    return False
                if not self._perform(training):
                    waiting = True
                    break
            row = self.bench.row(cell)
            if row is not None and row["key"] not in self.results.rows:
                self.results.add(row)
        return waiting

    def _perform(self, training: Training) -> bool:
        began = time.monotonic()
        if not self.bench.perform(training, show_progress=self.show_progress):
            return False
        self.pace.learn(training, time.monotonic() - began)
        self.done_now += 1
        left = self.left()
        minutes = sum(self.pace.expected(t) for t in left) / 60
        LOG.info("%s: training done, %d left, about %.0f min", self.name, len(left), minutes)
        return True


def collected(name: str, cells: list[Cell], bench: Bench) -> Results:
    """The results table with a row for every cell whose trainings are finished; trains nothing.

    Another experiment, or a grid with fewer seeds, may have done them.
    """
    results = Results(bench.out / name / "results.csv")
    for cell in cells:
        if cell.key(bench.sources.fingerprints) not in results.rows:
            row = bench.row(cell)
            if row is not None:
                results.add(row)
    return results


def rows_of(cells: list[Cell], results: Results, bench: Bench) -> list[dict[str, Any]]:
    """The finished rows of a grid with numbers as numbers; rows of older grids are left out."""
    found = []
    for cell in cells:
        row = results.rows.get(cell.key(bench.sources.fingerprints))
        if row is not None:
            found.append({**row, **cell.labels, **{n: float(row[n]) for n in _NUMBERS}})
    return found


_NUMBERS = ("n_train", "learning_rate", "valid_mae", "test_mae", "test_rmse", "n_test", "seconds")


def dry_run(cells: list[Cell], bench: Bench, pace: Pace) -> list[str]:
    """Every training of a grid with its size and projected time, without touching any data.

    Each is listed once, below the first row of the results table that needs it.
    """
    lines: list[str] = []
    seen: set[Training] = set()
    total = 0.0
    for cell in cells:
        new = [training for training in needed([cell]) if training not in seen]
        if new:
            lines.append(", ".join(f"{name} {value}" for name, value in cell.labels.items()))
        for training in new:
            seen.add(training)
            seconds = pace.expected(training)
            total += seconds
            size = bench.sources.expected_size(training)
            lines.append(f"{len(seen):6d}  {_described(training, size)}: {_duration(seconds)}")
    rate = f"{pace.crystals_per_second:g} crystals/s, {OVERHEAD:g} s a training besides"
    lines.append(f"{len(cells)} rows, {len(seen)} trainings, {_duration(total)} at {rate}")
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
