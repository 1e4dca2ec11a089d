"""Readers through ASE: Atoms objects, extended XYZ files, ASE databases (extra `ase`)."""

import io
import json
import math
import re
import sqlite3
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cgatjax.errors import InputError, MissingExtraError
from cgatjax.runtime import PARSE_ERRORS
from cgatjax.structures.crystal import Crystal, Rejected, cell_of, parse_crystal
from cgatjax.structures.formats import read_bytes, read_text, stem_of
from cgatjax.structures.properties import ID_KEYS, crystal_id

if TYPE_CHECKING:
    from ase import Atoms


_ID = re.compile(
    rf"""(?<!\S)(?P<key>{"|".join(ID_KEYS)})=(?:"(?P<quoted>[^"]+)"|(?P<plain>[^\s"'{{\[]\S*))"""
)


def _require_ase() -> None:
    try:
        import ase  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            "extended XYZ files and ASE databases need ASE: pip install ase"
        ) from error


def read_extxyz(path: Path, targets: Sequence[str] | None) -> Iterator[Crystal | Rejected]:
    """Yield the frames of an (extended) XYZ file.

    Properties are the values of the comment line and of the calculator (`energy` is not divided by
    the number of atoms; its unit is usually eV per cell). A frame without an id is called
    "STEM:N", N from 1. A malformed frame is rejected alone.

    Raises:
      InputError: the file is truncated, or a frame does not begin with its number of sites; the
        frames before it have been yielded.
      MissingExtraError: ASE is not installed.
    """
    _require_ase()
    from ase.io import read

    for number, frame in enumerate(_frames(read_text(path)), start=1):
        name = f"{stem_of(path)}:{number}"
        try:
            _require_few_columns(frame)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about ignored keys and renamed columns
                atoms: Any = read(io.StringIO(frame), index=0, format="extxyz")
        except PARSE_ERRORS as error:
            reason = f"frame {number} cannot be read as extended XYZ: {error}"
            yield Rejected(id=name, source=str(path), reason=reason)
            continue
        written = _written_ids(frame)
        yield crystal_from_atoms(
            atoms, fallback_id=name, source=str(path), targets=targets, properties=written
        )


def _written_ids(frame: str) -> dict[str, str]:
    """Return the ids of the comment line as text: ASE turns 007 into 7."""
    comment = frame.split("\n", 2)[1]
    return {match["key"]: match["quoted"] or match["plain"] for match in _ID.finditer(comment)}


def _require_few_columns(frame: str) -> None:
    """Refuse huge column counts: ASE allocates as many columns as the comment line announces."""
    announced = re.search(r'Properties="?([^"\s]+)', frame, re.IGNORECASE)
    counts = re.findall(r":(\d+)", announced[1]) if announced else []
    if any(len(count) > 3 for count in counts):
        raise ValueError(f"expected at most 999 columns of a property, got {counts}")


def _frames(text: str) -> Iterator[str]:
    """Split an XYZ text into frames: number of sites, comment line, one line per site.

    Lines that begin with VEC may follow, as in ASE.
    """
    lines = text.rstrip().split("\n")
    start, number = 0, 1
    while start < len(lines):
        count = lines[start].strip()
        if not (count.isascii() and count.isdecimal() and len(count) < 10):
            raise InputError(f"frame {number}: expected a number of sites, got {count!r:.80}")
        end = start + 2 + int(count)
        if end > len(lines):
            got = max(0, len(lines) - start - 2)
            raise InputError(f"frame {number}: expected {count} sites, got {got}: truncated?")
        while end < len(lines) and lines[end].lstrip().startswith("VEC"):
            end += 1
        yield "\n".join([*lines[start:end], ""])
        start, number = end, number + 1


def read_ase_database(path: Path, targets: Sequence[str] | None) -> Iterator[Crystal | Rejected]:
    """Yield the rows of an ASE database; properties are its key-value pairs and `energy`.

    A row without an id among its key-value pairs is called "STEM:N", N its row number.

    Raises:
      InputError: the file is empty or no ASE database.
      MissingExtraError: ASE is not installed.
    """
    _require_ase()
    from ase.db import connect
    from ase.io.formats import UnknownFileTypeError

    kind = "json" if path.suffix == ".json-db" else "db"
    _check_database(path, kind)
    try:
        for row in connect(str(path), type=kind).select():
            yield _crystal_of_row(row, f"{stem_of(path)}:{row.id}", str(path), targets)
    except (sqlite3.Error, UnknownFileTypeError, *PARSE_ERRORS) as error:
        raise InputError(f"expected an ASE database: {type(error).__name__}: {error}") from error


def _check_database(path: Path, kind: str) -> None:
    """Refuse special files and arrays shorter than announced, which ASE does not check."""
    if not path.is_file() or path.stat().st_size == 0:
        raise InputError("the file is empty or no regular file; expected an ASE database")
    if kind == "json":
        try:
            json.loads(read_bytes(path), object_hook=_require_whole_array)
        except (ValueError, TypeError, RecursionError) as error:
            raise InputError(f"expected an ASE database in JSON: {error}") from error


def _require_whole_array(item: dict[str, Any]) -> None:
    """Refuse announced shapes that differ from the data: ASE allocates them unchecked."""
    if "__ndarray__" in item:
        shape, _, data = item["__ndarray__"]
        size = math.prod([shape] if isinstance(shape, int) else shape)
        if size not in (len(data), len(data) // 2):  # complex numbers take two each
            raise ValueError(f"an array of shape {shape} has {len(data)} numbers")


def _crystal_of_row(
    row: Any, name: str, source: str, targets: Sequence[str] | None
) -> Crystal | Rejected:
    try:
        atoms = row.toatoms()
    except PARSE_ERRORS as error:
        reason = f"the row holds no crystal: {type(error).__name__}: {error}"
        return Rejected(id=name, source=source, reason=reason)
    pairs = row.key_value_pairs
    return crystal_from_atoms(
        atoms, fallback_id=name, source=source, targets=targets, properties=pairs
    )


def crystal_from_atoms(
    atoms: "Atoms",
    *,
    fallback_id: str,
    source: str,
    targets: Sequence[str] | None,
    properties: Mapping[str, Any] | None = None,
) -> Crystal | Rejected:
    """Convert an Atoms object with its `info` and calculator's results to a crystal.

    `properties` take precedence over both.
    """
    results = {} if atoms.calc is None else getattr(atoms.calc, "results", {})
    values = {**results, **atoms.info, **(properties or {})}
    name = crystal_id(values, fallback_id)
    return parse_crystal(cell_of, atoms, id=name, source=source, values=values, targets=targets)
