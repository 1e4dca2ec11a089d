"""Results table of an experiment, and its finished rows."""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cgatjax.runtime.files import write_durably
from experiments.grid.locks import locked
from experiments.grid.pool import TrainingPool
from experiments.grid.training import Row

NUMBERS = ("n_train", "learning_rate", "valid_mae", "test_mae", "test_rmse", "n_test", "seconds")
"""Columns that are read as numbers."""


class ResultsTable:
    """CSV file that is complete after every added row, and that several processes may extend.

    Attributes:
      path: the file.
      rows: rows by key, in the order of completion, all values as text.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, dict[str, Any]] = {}
        self.read()

    def read(self) -> None:
        """Read the rows that are in the file now."""
        if self.path.is_file():
            with open(self.path, newline="") as file:
                self.rows = {row["key"]: row for row in csv.DictReader(file)}

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row and replace the file atomically."""
        with locked(self.path, wait=True):
            self.read()
            self.rows[row["key"]] = {name: str(value) for name, value in row.items()}
            names = dict.fromkeys(name for r in self.rows.values() for name in r)
            text = io.StringIO(newline="")
            writer = csv.DictWriter(text, names)
            writer.writeheader()
            writer.writerows(self.rows.values())
            write_durably(self.path, text.getvalue().encode())


def results_table(name: str, pool: TrainingPool) -> ResultsTable:
    """Open OUT/NAME/results.csv of an experiment."""
    return ResultsTable(pool.out / name / "results.csv")


def finished_rows(name: str, rows: Iterable[Row], pool: TrainingPool) -> list[dict[str, Any]]:
    """Return the finished rows of an experiment, with labels and numbers; train nothing.

    Rows whose trainings were finished by another experiment are added to the table; rows of the
    table that are not in `rows` are left out.
    """
    table = results_table(name, pool)
    found = []
    for row in rows:
        key = row.key(pool.datasets.fingerprint)
        if key not in table.rows and (result := pool.result(row)) is not None:
            table.add(result)
        if key in table.rows:
            values = table.rows[key]
            found.append({**values, **row.labels, **{n: float(values[n]) for n in NUMBERS}})
    return found
