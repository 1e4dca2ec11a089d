"""Columns of numbers in CSV tables, and summaries of tables."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cgatjax.errors import InputError
from cgatjax.structures.csv_text import CsvTable, number_reader
from cgatjax.structures.properties import EXCLUDED_KEYS, split_unit, unit_of

_NUMBER_AND_UNIT = re.compile(r"\s*[-+]?\d[\d.,eE+-]*\s*([^\d\s.,].*)")


@dataclass(frozen=True)
class Column:
    """Property in a column of a table.

    The unit is that of the title, or the one known by name; a missing value is NaN, and a text that
    is neither a number nor a word for a missing value is a problem of its row.
    """

    name: str
    unit: str
    states_unit: bool
    values: Sequence[float]
    problems: dict[int, str]

    def __str__(self) -> str:
        known = [value for value in self.values if not math.isnan(value)]
        span = f", {min(known):.6g} to {max(known):.6g}" if known else ""
        bad = f", {len(self.problems)} no numbers" if self.problems else ""
        missing = len(self.values) - len(known) - len(self.problems)
        return (
            f"{self.name} ({self.unit or 'unit unknown'}): {len(known)} values, {missing} missing"
            f"{bad}{span}"
        )


@dataclass(frozen=True)
class TableSummary:
    """Content of a table of properties, for people; matched rows belong to a structure."""

    path: str
    n_rows: int
    n_matched: int
    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        head = f"{self.path}: {self.n_rows} rows, {self.n_matched} with a structure"
        columns = [str(column) for column in self.columns] or ["no column of numbers"]
        return "; ".join([head, *columns, *self.notes])


def property_columns(
    table: CsvTable, skipped: Sequence[int], targets: Sequence[str] | None
) -> list[Column]:
    """Return the properties of a table, without the `skipped` columns (ids, structures).

    If no targets are named, they are all columns of numbers: those with more numbers than other
    texts, and those of numbers that carry a unit.

    Raises:
      InputError: two columns of one name, or commas of unknown meaning in a column.
    """
    columns = []
    for i, title in enumerate(table.header):
        name, unit = split_unit(title)
        is_excluded = i in skipped or not name or name.lower().endswith("_id")
        if targets is None and (is_excluded or name.lower() in EXCLUDED_KEYS):
            continue
        if targets is not None and name not in targets and title not in targets:
            continue
        if targets is not None and title in targets:
            name = title
        cells = [row[i].strip() if len(row) > i else "" for row in table.rows]
        if targets is None and not _is_numeric(cells):
            continue
        try:
            number = number_reader(cells, table.separator)
        except InputError as error:
            raise InputError(f"column {title!r}: {error}") from error
        column = _column(name, unit, cells, number)
        if targets is not None or any(not math.isnan(v) for v in column.values) or column.problems:
            columns.append(column)
    names = [column.name for column in columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"expected distinct column names; {twice} appear twice, with other units")
    return columns


def _column(
    name: str, unit: str, cells: Sequence[str], number: Callable[[str], float | None]
) -> Column:
    found = [number(cell) for cell in cells]
    return Column(
        name=name,
        unit=unit or unit_of(name),
        states_unit=bool(unit),
        values=[math.nan if value is None else value for value in found],
        problems={i: cells[i] for i, value in enumerate(found) if value is None},
    )


def _is_numeric(cells: Sequence[str]) -> bool:
    """Check that more than half of the filled cells are numbers, or all are with one unit."""
    try:
        number = number_reader(cells, ";")
    except InputError:
        return True
    found = [(cell, number(cell)) for cell in cells]
    texts = [cell for cell, value in found if value is None]
    n_numbers = sum(value is not None and not math.isnan(value) for _, value in found)
    if n_numbers > len(texts):
        return True
    units = {match[1] if (match := _NUMBER_AND_UNIT.fullmatch(text)) else None for text in texts}
    return n_numbers == 0 and len(units) == 1 and None not in units and len(texts) > 1


def problem_of_row(columns: Sequence[Column], row: int) -> str | None:
    """Return the reason why a row cannot be read, or None."""
    for column in columns:
        if row in column.problems:
            text = column.problems[row]
            advice = "correct it, leave it empty, or name the targets to read"
            if match := _NUMBER_AND_UNIT.fullmatch(text):
                advice = f"write the unit into the header, as in '{column.name} [{match[1]}]'"
            where = f"row {row + 1}, column {column.name!r}"
            return f"{where}: expected a number, got {text!r:.60}; {advice}"
    return None
