"""Text of CSV files as rows: separator, comments, header and decimal sign."""

import csv
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from cgatjax.errors import InputError
from cgatjax.structures.formats import read_text
from cgatjax.structures.properties import number_in

_SEPARATORS = ("\t", ";", ",")
"""The first wins among equals: in "a;-2,21" the comma is a decimal sign."""

_MAX_CELL = 2**31 - 1
_DECIMAL_COMMA = re.compile(r"\s*[-+]?\d*,\d+([eE][-+]?\d+)?\s*")
_GROUPED = re.compile(r"\s*[-+]?\d{1,3}(,\d{3})+\s*")


class CsvTable(NamedTuple):
    """Rows of a CSV file without blank lines and comments; titles are empty without a header."""

    header: list[str]
    rows: list[list[str]]
    has_header: bool
    separator: str
    n_comments: int


def read_table(path: Path) -> CsvTable:
    """Read a CSV file separated by commas, semicolons or tabs, whichever its header contains.

    InputError if it is empty or damaged, has one column of several values, or repeated titles.
    """
    text = read_text(path)
    limit = csv.field_size_limit(_MAX_CELL)
    try:
        first = _first_row(text)
        separator = max(_SEPARATORS, key=lambda s: len(next(csv.reader([first], delimiter=s), [])))
        found = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        rows = [row for row in found if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise InputError(f"expected a CSV file: {error}") from error
    finally:
        csv.field_size_limit(limit)
    kept = [row for row in rows if not _is_comment(row)]
    if not kept:
        raise InputError("the table is empty; expected a header and rows")
    titled = rows[: rows.index(kept[0])]  # comments before the first row
    has_header = not _holds_numbers(kept[0])
    if not has_header and titled and len(titled[-1]) == len(kept[0]) > 1:
        title = [titled[-1][0].lstrip("# "), *titled[-1][1:]]  # "# id,gap", as NumPy writes
        kept, has_header = [title, *kept], True
    if not has_header:
        return CsvTable([""] * len(kept[0]), kept, False, separator, len(rows) - len(kept))
    header = [title.strip() for title in kept[0]]
    if len(header) == 1 and len(header[0].split()) > 1:
        raise InputError(
            f"expected columns separated by comma, semicolon or tab, got the header {header[0]!r}"
        )
    twice = sorted({title for title in header if title and header.count(title) > 1})
    if twice:
        raise InputError(f"expected distinct column names; {twice} appear twice")
    return CsvTable(header, kept[1:], True, separator, len(rows) - len(kept))


def _first_row(text: str) -> str:
    lines = (line for line in io.StringIO(text) if line.strip())
    first = next(lines, "")
    while first.lstrip().startswith("#"):
        following = next(lines, None)
        if following is None:
            return first
        first = following
    return first


def _is_comment(row: Sequence[str]) -> bool:
    return row[0].lstrip().startswith("#") and "\n" not in row[0]


def _holds_numbers(row: Sequence[str]) -> bool:
    """Check for a number in a row, apart from its first cell, which may be an id."""
    return any(number_in(cell, ",") is not None and cell.strip() for cell in row[1:])


def number_reader(cells: Sequence[str], separator: str) -> Callable[[str], float | None]:
    """Return a function from cell to number for a column, after its decimal sign.

    InputError for commas that may separate decimals or thousands.
    """
    with_comma = [cell for cell in cells if _DECIMAL_COMMA.fullmatch(cell)]
    if not with_comma or any("." in cell and number_in(cell) is not None for cell in cells):
        return number_in
    if separator == "," and all(_GROUPED.fullmatch(cell) for cell in with_comma):
        raise InputError(
            f"{with_comma[0]!r} may be a decimal comma or a separator of thousands; write decimal "
            "points"
        )
    return lambda cell: number_in(cell, decimal=",")
