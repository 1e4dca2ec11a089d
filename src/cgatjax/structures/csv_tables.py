"""Readers of CSV files: tables of crystals, and tables of properties of structure files."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cgatjax.errors import InputError, StructureError
from cgatjax.structures.cif import cell_of_cif
from cgatjax.structures.crystal import Crystal, Rejected, parse_crystal
from cgatjax.structures.formats import read_text, stem_of
from cgatjax.structures.poscar import parse_poscar
from cgatjax.structures.properties import EXCLUDED_KEYS, select_properties

_CELL_PARSERS = {"cif": cell_of_cif, "poscar": parse_poscar}
_MAX_CELL = 2**31 - 1


def read_csv(path: Path, targets: Sequence[str] | None) -> Iterator[Crystal | Rejected]:
    """Yield the crystals of a CSV file with a `cif` or `poscar` column (any case).

    The id is in the column `id`, `material_id` or the first one that ends in `_id`; without one a
    row is called "STEM:N", N from 1. A column whose filled cells are all numbers is a property.

    Raises:
      InputError: empty or damaged file, no structure column, a column name given twice.
    """
    header, rows = _header_and_rows(path)
    columns = {name.lower(): i for i, name in enumerate(header) if name.lower() in _CELL_PARSERS}
    if not columns:
        raise InputError(
            f"expected a column 'cif' or 'poscar'; the columns are {header}. A table of properties "
            "for a folder of structure files is named properties.csv there, or given as properties "
            "(--properties)"
        )
    id_column = _id_column(header)
    numeric = _numeric_columns(header, rows, id_column) if targets is None else set(targets)
    for number, row in enumerate(rows, start=1):
        name = row[id_column].strip() if id_column is not None and id_column < len(row) else ""
        name = name or f"{stem_of(path)}:{number}"
        try:
            if len(row) != len(header):
                raise StructureError(f"expected {len(header)} cells in the row, got {len(row)}")
            kind = next(
                (k for k in _CELL_PARSERS if k in columns and row[columns[k]].strip()), None
            )
            if kind is None:
                raise StructureError(f"missing structure: its {sorted(columns)} cell is empty")
        except StructureError as error:
            yield Rejected(id=name, source=str(path), reason=str(error))
            continue
        values = {key: _number(row[i]) for i, key in enumerate(header) if key in numeric}
        yield parse_crystal(
            _CELL_PARSERS[kind],
            row[columns[kind]],
            id=name,
            source=str(path),
            targets=select_properties(values, targets),
        )


def read_property_table(path: Path) -> dict[str, Mapping[str, float]]:
    """Read the properties of structure files: id -> {name: value}, NaN for empty cells.

    `properties.csv` has a header; the id column is chosen as in `read_csv`, or is the first one.
    `id_prop.csv` may lack the header, as in CGCNN: its columns are then the id and "target" (or
    "target_1", "target_2", ...).

    Raises:
      InputError: empty or damaged file, rows of uneven length, an id or a column given twice.
    """
    header, rows = _header_and_rows(path, headerless=stem_of(path) == "id_prop")
    id_column = _id_column(header) or 0
    numeric = _numeric_columns(header, rows, id_column)
    table: dict[str, Mapping[str, float]] = {}
    for row in rows:
        if len(row) != len(header):
            raise InputError(f"expected {len(header)} cells in each row, got {row}")
        name = row[id_column].strip()
        if name in table:
            raise InputError(f"the id {name!r} appears twice")
        table[name] = {key: _number(row[i]) for i, key in enumerate(header) if key in numeric}
    return table


def _header_and_rows(path: Path, headerless: bool = False) -> tuple[list[str], list[list[str]]]:
    """Return the column names and the other rows, without blank lines."""
    text = read_text(path)
    limit = csv.field_size_limit(_MAX_CELL)
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    except csv.Error as error:
        raise InputError(f"expected a CSV file: {error}") from error
    finally:
        csv.field_size_limit(limit)
    if headerless and len(rows[0]) > 1 and not math.isnan(_number(rows[0][1])):
        n_values = len(rows[0]) - 1
        names = ["target"] if n_values == 1 else [f"target_{i + 1}" for i in range(n_values)]
        return ["id", *names], rows
    header = [name.strip() for name in rows[0]]
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise InputError(f"expected distinct column names; {twice} appear twice")
    return header, rows[1:]


def _id_column(header: Sequence[str]) -> int | None:
    lowered = [name.lower() for name in header]
    for name in ("id", "material_id"):
        if name in lowered:
            return lowered.index(name)
    return next((i for i, name in enumerate(lowered) if name.endswith("_id")), None)


def _numeric_columns(
    header: Sequence[str], rows: Sequence[Sequence[str]], id_column: int | None
) -> set[str]:
    """Return the names of columns with at least one number and no other text."""
    names = set()
    for i, name in enumerate(header):
        is_id = i == id_column or name.lower() in EXCLUDED_KEYS or name.lower().endswith("_id")
        if not name or is_id or name.lower() in _CELL_PARSERS:
            continue
        filled = [row[i] for row in rows if len(row) > i and row[i].strip()]
        if filled and all(_is_number(cell) for cell in filled):
            names.add(name)
    return names


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(cell: str) -> float:
    """Return the number in a cell, or NaN."""
    return float(cell) if _is_number(cell) else math.nan
