"""Runs a grid of trainings: resumable, within a time limit, with an estimate of what is left."""

import csv
import io
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgatjax.storage import write_durably
from experiments.bench import Bench
from experiments.specification import Cell, Training, needed

LOG = logging.getLogger("cgatjax")
CRYSTALS_PER_SECOND = 1600.0
"""Trained in the small preset on two cores (64 crystals in 40 ms); until something was measured."""
OVERHEAD = 10.0
"""Seconds per training for compiling and for reading the data."""
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
        if path.is_file():
            with open(path, newline="") as file:
                self.rows = {row["key"]: row for row in csv.DictReader(file)}

    def add(self, row: Mapping[str, Any]) -> None:
        """Adds a row, and writes the table in one step."""
        self.rows[row["key"]] = {name: str(value) for name, value in row.items()}
        names = list(dict.fromkeys(name for r in self.rows.values() for name in r))
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, names)
        writer.writeheader()
        writer.writerows(self.rows.values())
        self.path.parent.mkdir(parents=True, exist_ok=True)
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
) -> Results:
    """Performs what is missing of a grid, and writes each row as soon as its trainings are done.

    Args:
      name: of the experiment; its table is OUT/NAME/results.csv.
      cells: the rows.
      bench: performs the trainings.
      minutes: stops before a training that would not end within this time (the first one is always
        done); None for no limit.
      pace: of the estimates.
      show_progress: a line or bar for each training on standard error.

    Returns:
      the table, with the rows that are finished.
    """
    results = Results(bench.out / name / "results.csv")
    pace = pace or Pace()
    began, done_now = time.monotonic(), 0
    left = [t for t in needed(cells) if bench.record(t) is None]
    LOG.info("%s: %d rows, %d trainings to do", name, len(cells), len(left))
    for cell in cells:
        for training in needed([cell]):
            if bench.record(training) is not None:
                continue
            spent = time.monotonic() - began
            over = minutes is not None and spent + pace.expected(training) > 60 * minutes
            if over and done_now:
                LOG.info("%s: %.0f min are over; %d trainings left: run the same command again",
                         name, minutes, len(left))  # fmt: skip
                return results
            began_one = time.monotonic()
            bench.perform(training, show_progress=show_progress)
            pace.learn(training, time.monotonic() - began_one)
            done_now += 1
            left.remove(training)
            ahead = sum(pace.expected(t) for t in left)
            LOG.info("%s: training done, %d left, about %.0f min", name, len(left), ahead / 60)
        row = bench.row(cell)
        if row is not None and row["key"] not in results.rows:
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
    """Every training of a grid with its size and projected time, without touching any data."""
    lines, total = [], 0.0
    for number, training in enumerate(needed(cells), 1):
        seconds = pace.expected(training)
        total += seconds
        size = bench.sources.expected_size(training)
        start = ""
        if training.start is not None:
            start = f" from {training.start.target} (normaliser {training.normalizer})"
        chosen = f"rate {training.train.learning_rate:g}, seed {training.seed}"
        lines.append(
            f"{number:4d}  {training.data}: {training.target}, {training.mode}{start}, about "
            f"{size:,} crystals, {training.steps:,} steps of {training.train.batch_size}, "
            f"{chosen}: {_duration(seconds)}"
        )
    count = len(needed(cells))
    rate = f"{pace.crystals_per_second:g} crystals/s, {OVERHEAD:g} s a training besides"
    lines.append(f"{len(cells)} rows, {count} trainings, {_duration(total)} at {rate}")
    return lines


def _duration(seconds: float) -> str:
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"
