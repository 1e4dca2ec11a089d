"""Read crystals from files, folders, patterns and Python objects as one stream.

Unusable crystals are yielded as `Rejected` with the reason; only a missing input (no such file, a
folder or pattern without a readable file) and a table that belongs to other files raise an error.
"""

import dataclasses
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cgatjax.errors import InputError, TargetError
from cgatjax.runtime import reading
from cgatjax.structures.archives.json_files import read_json
from cgatjax.structures.archives.parquet import read_parquet
from cgatjax.structures.ase_atoms import crystal_from_atoms, read_ase_database, read_extxyz
from cgatjax.structures.cif.parser import cell_of_cif
from cgatjax.structures.crystal import Cell, Crystal, Rejected, cell_of, checked, parse_crystal
from cgatjax.structures.csv_tables import PropertyRow, PropertyTable, read_csv, read_property_table
from cgatjax.structures.formats import Format, read_text, stem_of
from cgatjax.structures.inputs import (
    CrystalInput,
    SourceFile,
    is_atoms,
    is_single,
    property_table_path,
    resolve,
)
from cgatjax.structures.plausibility import MIN_DISTANCE, check_options, labeled_as, plausible
from cgatjax.structures.poscar import parse_poscar
from cgatjax.structures.properties import (
    CELL_VOLUME,
    check_target_names,
    crystal_id,
    select_properties,
)

logger = logging.getLogger("cgatjax")

Targets = tuple[str, ...] | None
Stream = Iterator[Crystal | Rejected]

_EXAMPLES = 3
"""Ids shown in messages."""

_TABLE_READERS: dict[Format, Callable[[Path, Targets], Stream]] = {
    "json": read_json,
    "parquet": read_parquet,
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
    min_distance: float = MIN_DISTANCE,
    per_atom: Sequence[str] = (),
    where: Mapping[str, str] | None = None,
) -> Stream:
    """Read crystals one after the other, file by file.

    Args:
      inputs: a path, a folder (all readable files in it and below, sorted; hidden files and other
        formats are skipped), a glob pattern, the text of a CIF file, a pymatgen Structure, an ASE
        Atoms object, a Crystal, or a list of these. The file name decides the format
        (`cgatjax.structures.formats.FORMATS`). The id of a CIF or POSCAR file is its stem (its
        path where stems repeat); its properties are read from `properties.csv` or `id_prop.csv` in
        the same folder. An iterator (anything but a list or tuple) is consumed lazily.
      targets: names of the properties to read, NaN where one is missing; None for every finite
        number found (see `select_properties`). "cell_volume" is that of the given cell, per atom,
        whatever the file says. Values keep the unit of the input.
      properties: CSV file with a row for each CIF or POSCAR file; None uses the tables in the
        folders of the files.
      min_distance: smallest allowed distance of two sites in angstrom; 0 allows any.
      per_atom: properties of the whole cell to divide by the number of sites.
      where: label -> value of the crystals to keep, such as {"functional": "PBE"} (any case); see
        `Crystal.labels`.

    Returns:
      An iterator over `Crystal`s, with a `Rejected` for each unusable crystal or file (with an
      empty id). Objects without an id are called "structure-N", N from 0.

    Raises:
      ConfigError: (while reading) a crystal lacks a label that `where` names.
      InputError: at once for a missing path, a folder or pattern without a readable file, an
        unknown format or an object of another type (for an iterator: when it is reached), for a
        missing or damaged table of properties, and for one whose ids match none of the files.
      TargetError: at once if the given table has no column for a target, unless archives or objects
        may have it.
      MissingExtraError: an extended XYZ file or ASE database without ASE installed.

    Examples:
      >>> from pymatgen.core import Lattice, Structure
      >>> iron = Structure(Lattice.cubic(2.8), ["Fe"], [[0, 0, 0]], properties={"id": "iron"})
      >>> [crystal] = read_crystals(iron)
      >>> crystal.id, crystal.n_sites
      ('iron', 1)
    """
    names = check_target_names(targets)
    check_options(min_distance, per_atom)
    table = None if properties is None else _read_named_table(properties, names)
    if is_single(inputs):
        inputs = [inputs]  # type: ignore[list-item]
    if isinstance(inputs, list | tuple):
        sources = resolve(inputs)
        if table is not None:
            sources = _without_table(sources, table.path)
            structures = _structure_names(sources)
            _require_matches(table, structures)
            if len(structures) == len(sources):
                _require_columns(table, names or ())
        found = _read(sources, names, 0, table)
    elif isinstance(inputs, Iterable):
        found = (
            crystal
            for number, item in enumerate(inputs)
            for crystal in _read(resolve([item]), names, number, table, is_all=False)
        )
    else:
        raise InputError(f"expected paths, structures or crystals, got {type(inputs).__name__}")
    found = plausible(labeled_as(found, where or {}), min_distance, per_atom)
    return map(with_cell_volume, found) if CELL_VOLUME in (names or ()) else found


def count_structures(inputs: Any) -> int | None:
    """Count the structures of inputs that hold one each.

    Returns:
      The number of CIF files, POSCAR files and objects; None with others among them, such as
      archives and generators, which would have to be read.
    """
    items = [inputs] if is_single(inputs) else inputs
    if not isinstance(items, list | tuple):
        return None
    sources = resolve(items)
    are_single = all(
        not isinstance(s, SourceFile) or s.format in _STRUCTURE_PARSERS for s in sources
    )
    return len(sources) if are_single else None


def with_cell_volume(item: Crystal | Rejected) -> Crystal | Rejected:
    """Add the volume of the cell, per atom, to the properties of a crystal."""
    if isinstance(item, Rejected):
        return item
    volume = item.volume / item.n_sites
    return dataclasses.replace(item, targets={**item.targets, CELL_VOLUME: volume})


def _read_named_table(path: str | Path, targets: Targets) -> PropertyTable:
    """Read the table of properties given by the caller."""
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file; expected a table of properties")
    with reading(path, "a table of properties"):
        return read_property_table(path, targets)


def _without_table(sources: Sequence[Any], path: Path) -> list[Any]:
    """Return the sources without the table of properties itself."""
    return [
        source
        for source in sources
        if not (
            isinstance(source, SourceFile) and source.format == "csv" and source.path.samefile(path)
        )
    ]


def _read(
    sources: Sequence[Any],
    targets: Targets,
    first: int,
    named: PropertyTable | None,
    is_all: bool = True,
) -> Stream:
    """Read resolved inputs, with a table of all structure files or those of their folders.

    `first` is the number of the first object; `is_all` says that no later source can match the
    table.
    """
    names = _structure_names(sources)
    tables: dict[Path, PropertyTable | None] = {}
    if named is not None and is_all:
        yield from _unmatched(named, names)
    for number, source in enumerate(sources, start=first):
        if not isinstance(source, SourceFile):
            yield _crystal_from_object(source, f"structure-{number}", targets)
        elif source.format in _STRUCTURE_PARSERS:
            folder = source.root or source.path.parent
            if named is None and folder not in tables:
                yield from _load_table(folder, tables, targets, names, source.root is not None)
            table = tables[folder] if named is None else named
            yield _crystal_from_file(source, names[source.path], table, targets)
        else:
            yield from _guarded(_TABLE_READERS[source.format], source.path, targets)


def _guarded(reader: Callable[[Path, Targets], Stream], path: Path, targets: Targets) -> Stream:
    """Read a file; yield one Rejected without id for a damaged one."""
    try:
        yield from reader(path, targets)
    except InputError as error:
        yield Rejected(id="", source=str(path), reason=str(error))


def _structure_names(sources: Sequence[Any]) -> dict[Path, str]:
    """Return an id per CIF and POSCAR file: its stem, or its path where stems repeat."""
    files = [s for s in sources if isinstance(s, SourceFile) and s.format in _STRUCTURE_PARSERS]
    names = {file.path: stem_of(file.path) for file in files}
    for below_root in (True, False):
        repeats = {name for name, n in Counter(names.values()).items() if n > 1}
        for file in files:
            if names[file.path] in repeats:
                inside = below_root and file.root is not None
                path = file.path.relative_to(file.root) if inside else file.path  # type: ignore
                names[file.path] = path.with_name(stem_of(path)).as_posix()
    return names


def _load_table(
    folder: Path,
    tables: dict[Path, PropertyTable | None],
    targets: Targets,
    names: Mapping[Path, str],
    is_whole_folder: bool,
) -> Stream:
    """Read the folder's property table, if any, into `tables`.

    Yields a damaged one, and the rows without a file if the whole folder is read.
    """
    tables[folder] = None
    path = property_table_path(folder)
    if path is None:
        return
    try:
        table = read_property_table(path, targets)
        if is_whole_folder:
            below = {p: name for p, name in names.items() if p.is_relative_to(folder)}
            _require_matches(table, below)
            yield from _unmatched(table, below)
        tables[folder] = table
    except InputError as error:
        reason = str(error).removeprefix(f"{path}: ")
        yield Rejected(id="", source=str(path), reason=reason)


def _keys(name: str, path: Path) -> tuple[str, str, str]:
    """Return the ids that a row of a structure file may have."""
    return name, stem_of(path), path.name


def _require_matches(table: PropertyTable, names: Mapping[Path, str]) -> None:
    """Check that at least one row belongs to one of the files, and log how many do."""
    matched = {key for path, name in names.items() for key in _keys(name, path)} & set(table.rows)
    if table.rows and not matched:
        files = f"{len(names)} CIF and POSCAR files ({_examples(list(names.values()))})"
        raise InputError(
            f"{table.path}: none of its {len(table.rows)} ids ({_examples(list(table.rows))}) is "
            f"the name of one of the {files}"
        )
    logger.info("%s", dataclasses.replace(table.summary, n_matched=len(matched)))


def _require_columns(table: PropertyTable, targets: Sequence[str]) -> None:
    """Check that the table, the only source of properties, has a column for each target.

    Raises:
      TargetError: a column is missing.
    """
    known = {column.name for column in table.summary.columns} | {CELL_VOLUME}
    if missing := [name for name in targets if name not in known]:
        raise TargetError(f"{table.path}: no column for target(s) {missing}; it has {table.titles}")


def _unmatched(table: PropertyTable, names: Mapping[Path, str]) -> Stream:
    """Yield the rows that belong to none of the files."""
    known = {key for path, name in names.items() for key in _keys(name, path)}
    missing = [name for name in table.rows if name not in known]
    for name in missing:
        reason = (
            "missing structure: no CIF or POSCAR file has this name; "
            f"{len(missing)} of {len(table.rows)} rows have none, the {len(names)} files are "
            f"called {_examples(list(names.values()))}"
        )
        yield Rejected(id=name, source=str(table.path), reason=reason)


def _examples(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > _EXAMPLES else ""
    return ", ".join(repr(name) for name in names[:_EXAMPLES]) + more


def _crystal_from_file(
    file: SourceFile, name: str, table: PropertyTable | None, targets: Targets
) -> Crystal | Rejected:
    """Read a CIF or POSCAR file with the properties in its row of the table."""
    source = str(file.path)
    rows = {} if table is None else table.rows
    row = next((rows[key] for key in _keys(name, file.path) if key in rows), PropertyRow({}))
    if row.problem is not None and table is not None:
        return Rejected(id=name, source=str(table.path), reason=row.problem)
    try:
        text = read_text(file.path, is_ascii=True)
    except InputError as error:
        return Rejected(id="", source=source, reason=str(error))
    return parse_crystal(
        _STRUCTURE_PARSERS[file.format],
        text,
        id=name,
        source=source,
        values=row.values,
        targets=targets,
        units=None if table is None else table.units,
    )


def _crystal_from_object(item: Any, fallback_id: str, targets: Targets) -> Crystal | Rejected:
    """Convert a pymatgen Structure, ASE Atoms, Crystal or the text of a CIF file."""
    if isinstance(item, str):
        return parse_crystal(
            cell_of_cif, item, id=fallback_id, source="CIF text", values={}, targets=targets
        )
    if isinstance(item, Crystal):
        return checked(dataclasses.replace(item, targets=select_properties(item.targets, targets)))
    source = type(item).__name__
    if is_atoms(item):
        return crystal_from_atoms(item, fallback_id=fallback_id, source=source, targets=targets)
    values = item.properties or {}
    name = crystal_id(values, fallback_id)
    return parse_crystal(cell_of, item, id=name, source=source, values=values, targets=targets)
