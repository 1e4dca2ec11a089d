"""Read crystals from files, folders, patterns and Python objects as one stream.

Unusable crystals are yielded as `Rejected` with the reason; only a missing input (no such file, a
folder or pattern without a readable file) raises an error.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cgatjax.errors import InputError
from cgatjax.structures.ase_atoms import crystal_from_atoms, read_ase_database, read_extxyz
from cgatjax.structures.cif import cell_of_cif
from cgatjax.structures.crystal import Cell, Crystal, Rejected, cell_of, checked, parse_crystal
from cgatjax.structures.csv_tables import read_csv, read_property_table
from cgatjax.structures.dcgat import read_dcgat
from cgatjax.structures.formats import Format, read_text, stem_of
from cgatjax.structures.inputs import (
    CrystalInput,
    SourceFile,
    is_atoms,
    is_single,
    property_table_path,
    resolve,
)
from cgatjax.structures.poscar import parse_poscar
from cgatjax.structures.properties import check_target_names, crystal_id, select_properties

Targets = tuple[str, ...] | None
Stream = Iterator[Crystal | Rejected]
PropertyTable = Mapping[str, Mapping[str, float]]

_TABLE_READERS: dict[Format, Callable[[Path, Targets], Stream]] = {
    "dcgat": read_dcgat,
    "csv": read_csv,
    "extxyz": read_extxyz,
    "ase-db": read_ase_database,
}
"""Readers of files that contain ids."""

_STRUCTURE_PARSERS: dict[Format, Callable[[str], Cell]] = {
    "cif": cell_of_cif,
    "poscar": parse_poscar,
}
"""Parsers of files with one structure, whose id is the file name."""


def read_crystals(
    inputs: CrystalInput | Iterable[CrystalInput],
    *,
    targets: Sequence[str] | None = None,
    properties: str | Path | None = None,
) -> Stream:
    """Read crystals one after the other, file by file.

    Args:
      inputs: a path, a folder (all readable files in it and below, sorted; hidden files and other
        formats are skipped), a glob pattern, a pymatgen Structure, an ASE Atoms object, a Crystal,
        or a list of these. The file name decides the format
        (`cgatjax.structures.formats.FORMATS`). The id of a CIF or POSCAR file is its stem (its
        path where stems repeat); its properties are read from `properties.csv` or `id_prop.csv` in
        the same folder. An iterator (anything but a list or tuple) is consumed lazily.
      targets: names of the properties to read, NaN where one is missing; None for every finite
        number found (see `select_properties`). Values keep the unit of the input.
      properties: CSV file with a row for each CIF or POSCAR file; None uses the tables in the
        folders of the files.

    Returns:
      An iterator over `Crystal`s, with a `Rejected` for each unusable crystal or file (with an
      empty id). Objects without an id are called "structure-N", N from 0.

    Raises:
      InputError: at once for a missing path, a folder or pattern without a readable file, an
        unknown format or an object of another type (for an iterator: when it is reached), and for
        a missing or damaged table of properties.
      MissingExtraError: an extended XYZ file or ASE database without ASE installed.

    Examples:
      >>> from pymatgen.core import Lattice, Structure
      >>> iron = Structure(Lattice.cubic(2.8), ["Fe"], [[0, 0, 0]], properties={"id": "iron"})
      >>> [crystal] = read_crystals(iron)
      >>> crystal.id, crystal.n_sites
      ('iron', 1)
    """
    names = check_target_names(targets)
    table = None if properties is None else NamedTable.read(properties)
    if is_single(inputs):
        inputs = [inputs]  # type: ignore[list-item]
    if isinstance(inputs, list | tuple):
        return _read(resolve(inputs), names, 0, table)
    if not isinstance(inputs, Iterable):
        raise InputError(f"expected paths, structures or crystals, got {type(inputs).__name__}")
    return (
        crystal
        for number, item in enumerate(inputs)
        for crystal in _read(resolve([item]), names, number, table, is_all=False)
    )


class NamedTable(NamedTuple):
    """Table of properties given by the caller."""

    path: Path
    rows: PropertyTable

    @classmethod
    def read(cls, path: str | Path) -> "NamedTable":
        """Read the table.

        Raises:
          InputError: the file is missing or damaged.
        """
        path = Path(path)
        if not path.exists():
            raise InputError(f"{path}: no such file; expected a table of properties")
        try:
            return cls(path, read_property_table(path))
        except InputError as error:
            raise InputError(f"{path}: {error}") from error


def _read(
    sources: Sequence[Any],
    targets: Targets,
    first: int,
    named: NamedTable | None,
    is_all: bool = True,
) -> Stream:
    """Read resolved inputs.

    Args:
      sources: files and objects.
      targets: properties to read.
      first: number of the first object.
      named: table of all structure files; None for the tables of their folders.
      is_all: True if no later source can match rows of the table.
    """
    if named is not None:
        sources = [s for s in sources if not _is_file(s, named.path)]
    names = _structure_names([s for s in sources if isinstance(s, SourceFile)])
    tables: dict[Path, PropertyTable] = {}
    for number, source in enumerate(sources, start=first):
        if not isinstance(source, SourceFile):
            yield _crystal_from_object(source, f"structure-{number}", targets)
        elif source.format in _STRUCTURE_PARSERS:
            folder = source.root or source.path.parent
            if named is None and folder not in tables:
                tables[folder] = {}
                yield from _load_table(folder, tables)
            table = tables[folder] if named is None else named.rows
            properties = _row_of(table, names[source.path], source.path)
            yield _crystal_from_file(source, names[source.path], properties, targets)
        else:
            yield from _guarded(_TABLE_READERS[source.format], source.path, targets)
    if named is None:
        yield from _without_structure(sources, names, tables)
    elif is_all:
        yield from _unused(named.rows, names, named.path)


def _is_file(source: Any, path: Path) -> bool:
    is_table = isinstance(source, SourceFile) and source.format == "csv"
    return is_table and source.path.samefile(path)


def _guarded(reader: Callable[[Path, Targets], Stream], path: Path, targets: Targets) -> Stream:
    """Read a file; yield one Rejected without id for a damaged one."""
    try:
        yield from reader(path, targets)
    except InputError as error:
        yield Rejected(id="", source=str(path), reason=str(error))


def _structure_names(files: Sequence[SourceFile]) -> dict[Path, str]:
    """Return an id per CIF and POSCAR file: its stem, or its path where stems repeat."""
    files = [file for file in files if file.format in _STRUCTURE_PARSERS]
    names = {file.path: stem_of(file.path) for file in files}
    for below_root in (True, False):
        repeats = {name for name, n in Counter(names.values()).items() if n > 1}
        for file in files:
            if names[file.path] in repeats:
                inside = below_root and file.root is not None
                path = file.path.relative_to(file.root) if inside else file.path  # type: ignore
                names[file.path] = path.with_name(stem_of(path)).as_posix()
    return names


def _load_table(folder: Path, tables: dict[Path, PropertyTable]) -> Stream:
    """Read the folder's property table, if any, into `tables`; yield a damaged one."""
    path = property_table_path(folder)
    if path is not None:
        try:
            tables[folder] = read_property_table(path)
        except InputError as error:
            yield Rejected(id="", source=str(path), reason=str(error))


def _row_of(table: PropertyTable, name: str, path: Path) -> Mapping[str, float]:
    """Return the row of the crystal's id, file stem or file name; else an empty one."""
    keys = (name, stem_of(path), path.name)
    return next((table[key] for key in keys if key in table), {})


def _without_structure(
    sources: Sequence[Any],
    names: Mapping[Path, str],
    tables: Mapping[Path, PropertyTable],
) -> Stream:
    """Yield rows without a structure file, of the tables of the given folders."""
    roots = {s.root for s in sources if isinstance(s, SourceFile) and s.root in tables}
    for root in sorted(root for root in roots if root is not None):
        below = {s.path for s in sources if isinstance(s, SourceFile) and s.root == root}
        known = {path: name for path, name in names.items() if path in below}
        yield from _unused(tables[root], known, property_table_path(root))


def _unused(rows: PropertyTable, names: Mapping[Path, str], table: Path | None) -> Stream:
    """Yield rows of a table that match none of the files `names`."""
    known = {key for path, name in names.items() for key in (name, stem_of(path), path.name)}
    for name in rows:
        if name not in known:
            reason = "missing structure: no CIF or POSCAR file has this name"
            yield Rejected(id=name, source=str(table), reason=reason)


def _crystal_from_file(
    file: SourceFile, name: str, properties: Mapping[str, float], targets: Targets
) -> Crystal | Rejected:
    """Read a CIF or POSCAR file."""
    try:
        text = read_text(file.path)
    except InputError as error:
        return Rejected(id="", source=str(file.path), reason=str(error))
    selected = select_properties(properties, targets)
    parser = _STRUCTURE_PARSERS[file.format]
    return parse_crystal(parser, text, id=name, source=str(file.path), targets=selected)


def _crystal_from_object(item: Any, fallback_id: str, targets: Targets) -> Crystal | Rejected:
    """Convert a pymatgen Structure, ASE Atoms or Crystal."""
    if isinstance(item, Crystal):
        return checked(dataclasses.replace(item, targets=select_properties(item.targets, targets)))
    source = type(item).__name__
    if is_atoms(item):
        return crystal_from_atoms(item, fallback_id=fallback_id, source=source, targets=targets)
    properties = item.properties or {}
    name = crystal_id(properties, fallback_id)
    selected = select_properties(properties, targets)
    return parse_crystal(cell_of, item, id=name, source=source, targets=selected)
