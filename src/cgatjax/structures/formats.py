"""Files of crystals: their formats by name, and their content without compression."""

import bz2
import gzip
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from cgatjax.errors import InputError

Format = Literal["dcgat", "csv", "cif", "poscar", "extxyz", "ase-db"]

STRUCTURE_FORMATS: tuple[Format, ...] = ("cif", "poscar")
"""Formats of files that hold one structure and are named after it."""

FORMATS = (
    "DCGAT JSON (.json), CSV with a cif or poscar column (.csv), CIF (.cif), POSCAR (POSCAR*, "
    "CONTCAR*, .vasp, .poscar), extended XYZ (.extxyz, .xyz), each also .gz or .bz2, "
    "and ASE databases (.db, .json-db)"
)
"""What can be read, for messages."""

FREE_BYTES = 2**26
MAX_RATIO = 200
"""Decompressed data may have FREE_BYTES, or MAX_RATIO times the file's size; crystals have 10."""

_OPEN: dict[str, Callable[[Path], Any]] = {".gz": gzip.open, ".bz2": bz2.open}

_FORMAT_OF_SUFFIX: dict[str, Format] = {
    ".json": "dcgat",
    ".csv": "csv",
    ".cif": "cif",
    ".vasp": "poscar",
    ".poscar": "poscar",
    ".extxyz": "extxyz",
    ".xyz": "extxyz",
    ".db": "ase-db",
    ".json-db": "ase-db",
}


def _uncompressed_name(path: Path) -> str:
    return path.stem if path.suffix.lower() in _OPEN else path.name


def format_of(path: Path) -> Format | None:
    """The format that a file's name stands for, or None if it is not one that can be read."""
    name = _uncompressed_name(path)
    known = _FORMAT_OF_SUFFIX.get(Path(name).suffix.lower())
    if known == "ase-db" and name != path.name:
        return None
    if known is None and name.startswith(("POSCAR", "CONTCAR")):
        return "poscar"
    return known


def stem_of(path: Path) -> str:
    """The file's name without compression and format suffix: "mp-1.5.cif.gz" gives "mp-1.5"."""
    name = _uncompressed_name(path)
    return (
        name[: -len(Path(name).suffix)] if Path(name).suffix.lower() in _FORMAT_OF_SUFFIX else name
    )


def read_bytes(path: Path) -> bytes:
    """The content of a file, decompressed if its name ends in .gz or .bz2.

    Raises:
      InputError: the file is missing, empty or no regular file (a pipe has no end), or its
        compressed data are damaged, cut off, or far larger than any that hold crystals.
    """
    opener = _OPEN.get(path.suffix.lower())
    if path.exists() and not path.is_file():
        raise InputError("expected a regular file, not a folder, pipe or device")
    try:
        content = path.read_bytes() if opener is None else decompressed(path, opener)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        kind = path.suffix if opener else "readable"
        raise InputError(f"expected a complete {kind} file; it is damaged: {error}") from error
    if not content.strip():
        raise InputError("the file is empty; expected " + FORMATS)
    return content


def decompressed(path: Path, opener: Callable[[Path], Any]) -> bytes:
    """What a compressed file holds, as long as it is not a thousand times as much as the file.

    Args:
      path: the file.
      opener: `gzip.open` or `bz2.open`.

    Raises:
      InputError: more than FREE_BYTES and MAX_RATIO times the file's size.
      OSError, EOFError, zlib.error: damaged.
    """
    size = path.stat().st_size
    most = max(FREE_BYTES, MAX_RATIO * size)
    with opener(path) as stream:
        content = stream.read(most + 1) if size else b""
    if len(content) > most:
        raise InputError(
            f"{path}: its {size} bytes expand to more than {most}, as no crystals do; if you trust "
            "the file, decompress it yourself"
        )
    return content


def read_text(path: Path) -> str:
    """The content of a text file as UTF-8 (a byte-order mark is dropped).

    Raises:
      InputError: as `read_bytes`, or the text is not UTF-8.
    """
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"expected UTF-8 text: {error}; save the file as UTF-8") from error
