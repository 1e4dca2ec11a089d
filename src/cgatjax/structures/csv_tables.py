"""Readers of CSV files: tables of crystals, and tables of properties of structure files."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cgatjax.errors import InputError, StructureError
from cgatjax.structures.cif.parser import cell_of_cif
from cgatjax.structures.crystal import Cell, Crystal, Rejected, parse_crystal
from cgatjax.structures.csv_columns import Column, TableSummary, problem_of_row, property_columns
from cgatjax.structures.csv_text import CsvTable, read_table
from cgatjax.structures.formats import stem_of
from cgatjax.structures.poscar import parse_poscar
from cgatjax.structures.properties import ID_KEYS

logger = logging.getLogger("cgatjax")

_CELL_PARSERS = {"cif": cell_of_cif, "poscar": parse_poscar}


@dataclass(frozen=True)
class PropertyRow:
    """Values in a row of a table, NaN where missing, or the reason why it cannot be read."""

    values: Mapping[str, float]
    problem: str | None = None


@dataclass(frozen=True)
class PropertyTable:
    """Properties of structure files by id, with the units that the header states."""

    path: Path
    titles: Sequence[str]
    rows: Mapping[str, PropertyRow]
    units: Mapping[str, str]
    summary: TableSummary


def read_csv(path: Path, targets: Sequence[str] | None) -> Iterator[Crystal | Rejected]:
    """Yield the crystals of a CSV file with a `cif` or `poscar` column (any case).

    The id is in a column `id`, `material_id`, `mat_id`, `entry_id`, `jid`, or the first one that
    ends in `_id`; without one a row is called "STEM:N", N from 1. Columns of numbers are
    properties.

    Raises:
      InputError: empty or damaged file, no structure column, a column name given twice.
    """
    table = read_table(path)
    header = table.header
    kinds = {name.lower(): i for i, name in enumerate(header) if name.lower() in _CELL_PARSERS}
    if not kinds:
        found = f"the columns are {header}" if table.has_header else "the first row holds numbers"
        raise InputError(
            f"expected a column 'cif' or 'poscar'; {found}. A table of properties "
            "for a folder of structure files is named properties.csv there, or given as properties "
            "(--properties)"
        )
    id_column = _id_column(header)
    skipped = [*kinds.values(), *([] if id_column is None else [id_column])]
    columns = property_columns(table, skipped, targets)
    no_ids = () if id_column is not None else ("no column of ids, rows are numbered",)
    logger.info("%s", _summary(path, table, columns, no_ids, len(table.rows)))
    for number, row in enumerate(table.rows):
        name = row[id_column].strip() if id_column is not None and id_column < len(row) else ""
        yield parse_crystal(
            partial(_cell_of_row, number=number, table=table, kinds=kinds, columns=columns),
            row,
            id=name or f"{stem_of(path)}:{number + 1}",
            source=str(path),
            values=_values(columns, number),
            targets=targets,
            units=_stated_units(columns),
        )


def _cell_of_row(
    row: Sequence[str],
    number: int,
    table: CsvTable,
    kinds: Mapping[str, int],
    columns: Sequence[Column],
) -> Cell:
    """Parse the structure in a row; a row that is odd in any way is a StructureError."""
    if len(row) != len(table.header):
        raise StructureError(f"expected {len(table.header)} cells in the row, got {len(row)}")
    problem = problem_of_row(columns, number)
    if problem is not None:
        raise StructureError(problem)
    kind = next((k for k in _CELL_PARSERS if k in kinds and row[kinds[k]].strip()), None)
    if kind is None:
        raise StructureError(f"missing structure: its {sorted(kinds)} cell is empty")
    return _CELL_PARSERS[kind](row[kinds[kind]])


def read_property_table(path: Path, targets: Sequence[str] | None = None) -> PropertyTable:
    """Read the properties of structure files.

    The id column is chosen as in `read_csv`, or is the first one. Without a header, as in CGCNN's
    `id_prop.csv`, the columns are the id and "target" (or "target_1", "target_2", ...).

    Raises:
      InputError: empty or damaged file, rows of uneven length, an id or a column given twice.
    """
    table = read_table(path)
    notes: tuple[str, ...] = ()
    if not table.has_header:
        n_values = len(table.header) - 1
        names = ["target"] if n_values == 1 else [f"target_{i + 1}" for i in range(n_values)]
        table = table._replace(header=["id", *names])
        notes = ("no header",)
    if len(table.header) < 2:
        raise InputError(f"expected a column of ids and columns of values, got {table.header}")
    for row in table.rows:
        if len(row) != len(table.header):
            raise InputError(f"expected {len(table.header)} cells in each row, got {row}")
    id_column = _id_column(table.header) or 0
    columns = property_columns(table, [id_column], targets)
    rows: dict[str, PropertyRow] = {}
    for number, row in enumerate(table.rows):
        name = row[id_column].strip()
        if name in rows:
            raise InputError(f"the id {name!r} appears twice")
        rows[name] = PropertyRow(_values(columns, number), problem_of_row(columns, number))
    summary = _summary(path, table, columns, notes)
    return PropertyTable(path, table.header, rows, _stated_units(columns), summary)


def _values(columns: Sequence[Column], row: int) -> dict[str, float]:
    return {column.name: column.values[row] for column in columns}


def _stated_units(columns: Sequence[Column]) -> dict[str, str]:
    return {column.name: column.unit for column in columns if column.states_unit}


def _summary(
    path: Path, table: CsvTable, columns: Sequence[Column], notes: Sequence[str], matched: int = 0
) -> TableSummary:
    comments = [f"{table.n_comments} comment lines"] if table.n_comments else []
    return TableSummary(str(path), len(table.rows), matched, tuple(columns), (*notes, *comments))


def _id_column(header: Sequence[str]) -> int | None:
    lowered = [name.lower() for name in header]
    for name in ("id", "material_id", *ID_KEYS):
        if name in lowered:
            return lowered.index(name)
    return next((i for i, name in enumerate(lowered) if name.endswith("_id")), None)
