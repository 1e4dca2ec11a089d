"""Resolve inputs (paths, folders, glob patterns, objects) to files and objects."""

import glob
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from cgatjax.errors import InputError
from cgatjax.structures.crystal import Crystal
from cgatjax.structures.formats import (
    FORMATS,
    STRUCTURE_FORMATS,
    Format,
    format_of,
    format_of_content,
)

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core import Structure

CrystalInput = Union[str, Path, Crystal, "Structure", "Atoms"]
"""Input of the readers: a path, folder, pattern, the text of a CIF file, or an object."""

PROPERTY_TABLES = ("properties.csv", "id_prop.csv")
"""File names of the property table of a folder of structure files; CGCNN uses the second."""

_BY_NAME = ("cif", "poscar", "extxyz", "ase-db")
"""Formats that the name decides: texts of many forms, and JSON databases of ASE."""

_PROPERTY_PLACES = (
    (
        STRUCTURE_FORMATS,
        "properties of CIF and POSCAR files are read from properties.csv beside them, or from a "
        "CSV file given as properties (--properties)",
    ),
    (("json",), 'properties in JSON are read from "data", or from beside "structure" or "atoms"'),
    (("parquet",), "properties in Parquet are its columns of numbers"),
    (("csv",), "properties in a table are its columns of numbers"),
    (("extxyz",), "properties of extended XYZ are key=value pairs of the comment line"),
    (("ase-db",), "properties in ASE databases are key-value pairs and the energy"),
    (("object",), "properties of objects are read from .properties, .info or .targets"),
)


@dataclass(frozen=True)
class SourceFile:
    """File to read, and the given folder that contains it, if one was given."""

    path: Path
    format: Format
    root: Path | None = None


def _is_a(item: Any, module: str, name: str) -> bool:
    """Check isinstance without an import: if an instance exists, its module is loaded."""
    cls = getattr(sys.modules.get(module), name, None)
    return cls is not None and isinstance(item, cls)


def is_atoms(item: Any) -> bool:
    """Check whether an object is an ASE Atoms."""
    return _is_a(item, "ase.atoms", "Atoms")


def is_single(item: Any) -> bool:
    """Check whether an object is one input, not a collection (a Structure can be iterated)."""
    is_structure = _is_a(item, "pymatgen.core.structure", "IStructure")
    return isinstance(item, str | Path | Crystal) or is_structure or is_atoms(item)


def is_cif_text(item: Any) -> bool:
    """Check whether a string is the content of a CIF file: a path has one line."""
    return isinstance(item, str) and "\n" in item and "_cell_length_a" in item


def resolve(items: Sequence[Any]) -> list[Any]:
    """Replace paths, folders and patterns by `SourceFile`s; objects and CIF text are kept."""
    resolved: list[Any] = []
    for item in items:
        if is_cif_text(item):
            resolved.append(item)
        elif isinstance(item, str | Path):
            resolved += _files_of(item)
        elif is_single(item):
            resolved.append(item)
        else:
            raise InputError(
                "expected a path, CIF text, a pymatgen Structure, ASE Atoms or a Crystal, "
                f"got {type(item).__name__}: {item!r:.80}"
            )
    return resolved


def property_advice(inputs: Any) -> str:
    """Describe the places of properties in inputs of these kinds, for messages."""
    items = resolve(list(inputs) if isinstance(inputs, list | tuple) else [inputs])
    kinds = {item.format if isinstance(item, SourceFile) else "object" for item in items}
    return "; ".join(text for places, text in _PROPERTY_PLACES if kinds & set(places))


def _files_of(name: str | Path) -> list[SourceFile]:
    path = Path(name)
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except OSError as error:  # a text instead of a path is too long for one
        raise InputError(f"{str(name)[:80]!r}: expected a path: {error.strerror}") from error
    if is_folder:
        if files := _readable_below(path):
            return files
        raise InputError(f"{path}: the folder holds no file that can be read; expected {FORMATS}")
    if exists:
        kind = format_of(path)
        if kind not in _BY_NAME:
            kind = format_of_content(path) or kind
        if kind is None:
            raise InputError(
                f"{path}: cannot tell its format by content or name; expected {FORMATS}"
            )
        return [SourceFile(path, kind)]
    if not glob.has_magic(str(name)):
        raise InputError(f"{path}: no such file or folder")
    matches = [Path(match) for match in sorted(_matches(str(name)))]
    found = [
        file
        for match in matches
        for file in (_readable_below(match) if match.is_dir() else _readable([match], None))
    ]
    files = list({file.path: file for file in found}.values())
    if not files:
        raise InputError(
            f"{name}: matches {len(matches)} files, none of which can be read; expected {FORMATS}"
        )
    return files


def _matches(pattern: str) -> set[str]:
    """Return the matching paths; "**" follows no linked folder, as links may form loops."""
    head, deep, tail = pattern.partition("**")
    if not deep or (head and not head.endswith(os.sep)) or (tail and not tail.startswith(os.sep)):
        return set(glob.glob(pattern))
    found: set[str] = set()
    for base in glob.glob(head) if head else [""]:
        for folder, below, _ in os.walk(base or os.curdir):
            below[:] = [name for name in below if not name.startswith(".")]
            inside = _matches(os.path.join(glob.escape(folder), tail.lstrip(os.sep) or "*"))
            found |= {name for name in inside if not (os.path.islink(name) and os.path.isdir(name))}
    return found


def _readable_below(folder: Path) -> list[SourceFile]:
    """Return readable files below a folder, without the property table of structure files."""
    visible = [
        path
        for path in sorted(folder.rglob("*"))
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    files = _readable([path for path in visible if path.is_file()], folder)
    if any(file.format in STRUCTURE_FORMATS for file in files):
        files = [f for f in files if f.path != property_table_path(folder)]
    return files


def _readable(paths: Iterable[Path], root: Path | None) -> list[SourceFile]:
    kinds = ((path, format_of(path)) for path in paths)
    return [
        SourceFile(path, kind if kind in _BY_NAME else format_of_content(path) or kind, root)
        for path, kind in kinds
        if kind is not None
    ]


def property_table_path(folder: Path) -> Path | None:
    """Return the path of the folder's property table, or None."""
    return next((folder / n for n in PROPERTY_TABLES if (folder / n).is_file()), None)
