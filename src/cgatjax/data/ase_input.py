"""Crystals through ASE: Atoms objects, extended XYZ files, ASE databases (extra `ase`)."""

import io
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cgatjax.data.files import read_text, stem_of
from cgatjax.data.properties import crystal_id, select_properties
from cgatjax.data.structures import Crystal, Rejected, cell_of, checked
from cgatjax.errors import InputError, MissingExtraError, StructureError

if TYPE_CHECKING:
    from ase import Atoms

_DAMAGE = (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, RuntimeError)
"""What ASE raises on malformed files: its readers have no exception of their own."""


def _require_ase() -> None:
    try:
        import ase  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            "extended XYZ files and ASE databases need ASE: pip install cgatjax[ase]"
        ) from error


def read_extxyz(path: Path, targets: Sequence[str] | None) -> Iterator[Crystal | Rejected]:
    """Yields the frames of an (extended) XYZ file.

    Properties are the values of the comment line and of the calculator (`energy` is then what the
    file says, usually eV for the whole cell: nothing is divided by the number of atoms). A frame
    without an id is called "STEM:N", N being its place in the file from 1.

    Raises:
      InputError: the file is damaged; the frames before the damage have been yielded.
      MissingExtraError: ASE is not installed.
    """
    _require_ase()
    from ase.io import iread

    text = read_text(path)
    frames = iread(io.StringIO(text), index=":", format="extxyz")
    number = 0
    while True:
        number += 1
        try:
            atoms = next(frames, None)
        except _DAMAGE as error:
            raise InputError(f"frame {number} cannot be read as extended XYZ: {error}") from error
        if atoms is None:
            return
        yield crystal_from_atoms(
            atoms, fallback_id=f"{stem_of(path)}:{number}", source=str(path), targets=targets
        )


def read_ase_database(path: Path, targets: Sequence[str] | None) -> Iterator[Crystal | Rejected]:
    """Yields the rows of an ASE database; properties are its key-value pairs and `energy`.

    A row without an id among its key-value pairs is called "STEM:N", N being its number there.

    Raises:
      InputError: the file is empty or no ASE database.
      MissingExtraError: ASE is not installed.
    """
    _require_ase()
    from ase.db import connect

    if path.stat().st_size == 0:
        raise InputError("the file is empty; expected an ASE database")
    kind = "json" if path.suffix == ".json-db" else "db"
    try:
        for row in connect(str(path), type=kind).select():
            yield crystal_from_atoms(
                row.toatoms(),
                fallback_id=f"{stem_of(path)}:{row.id}",
                source=str(path),
                targets=targets,
                properties=row.key_value_pairs,
            )
    except (sqlite3.Error, *_DAMAGE) as error:
        raise InputError(f"expected an ASE database: {type(error).__name__}: {error}") from error


def crystal_from_atoms(
    atoms: "Atoms",
    *,
    fallback_id: str,
    source: str,
    targets: Sequence[str] | None,
    properties: Mapping[str, Any] | None = None,
) -> Crystal | Rejected:
    """An Atoms object as a crystal.

    Args:
      atoms: the object; its properties are `atoms.info` and its calculator's results.
      fallback_id: the name if neither `atoms.info` nor `properties` hold an id.
      source: the file, for messages.
      targets: see `select_properties`.
      properties: further properties, which win over those of the object.
    """
    results = {} if atoms.calc is None else getattr(atoms.calc, "results", {})
    values = {**results, **atoms.info, **(properties or {})}
    name = crystal_id(values, fallback_id)
    try:
        lattice, coords, numbers = cell_of(atoms)
    except StructureError as error:
        return Rejected(id=name, source=source, reason=str(error))
    return checked(
        Crystal(
            id=name,
            lattice=lattice,
            frac_coords=coords,
            atomic_numbers=numbers,
            targets=select_properties(values, targets),
            source=source,
        )
    )
