"""`Crystal`, an ordered crystal as plain arrays, and `Rejected`, an unusable one with a reason."""

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from cgatjax.errors import InputError, StructureError
from cgatjax.runtime import write_csv
from cgatjax.structures.elements import SYMBOLS, atomic_number, readable_formula, reduced_formula
from cgatjax.structures.properties import select_properties, writable

MAX_ATOMIC_NUMBER = len(SYMBOLS) - 1
"""Lawrencium: the last element of the matscholar table."""

MAX_LENGTH = 1e5
"""Angstrom; a longer lattice vector is a mistake in units, or damage."""

OCCUPANCY_TOLERANCE = 1e-8
"""An occupancy this close to 1 is full: it allows for float noise, not for disorder."""

_LONGEST_REASON = 500
"""Characters; messages quote the file, and a damaged one may hold a word of a megabyte."""

Cell = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Lattice (3, 3) in angstrom, fractional coordinates (n, 3), atomic numbers (n,)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Crystal:
    """An ordered periodic crystal with its known properties.

    Attributes:
      id: name of the crystal, unique within a store.
      lattice: (3, 3) float64, lattice vectors as rows, in angstrom.
      frac_coords: (n, 3) float64, fractional coordinates of the sites.
      atomic_numbers: (n,) uint8, 1..103.
      targets: property name -> value, per atom where the property is extensive; NaN if unknown.
      units: units of targets that the file states, where it does.
      labels: what the file states about the calculation, such as its functional.
      origins: calculators (name, version, hash of weights) that computed targets, where known.
      source: the file (or object) that it came from, for messages.
    """

    id: str
    lattice: np.ndarray
    frac_coords: np.ndarray
    atomic_numbers: np.ndarray
    targets: Mapping[str, float] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    source: str = ""

    def __repr__(self) -> str:
        numbers = self.atomic_numbers
        is_known = len(numbers) > 0 and numbers.min() >= 1 and numbers.max() < len(SYMBOLS)
        formula = f"{readable_formula(reduced_formula(numbers))}, " if is_known else ""
        return f"Crystal({self.id!r}: {formula}{self.n_sites} sites, {dict(self.targets)})"

    @property
    def n_sites(self) -> int:
        """Number of sites in the cell."""
        return len(self.atomic_numbers)

    @property
    def volume(self) -> float:
        """Cell volume in cubic angstrom."""
        with np.errstate(over="ignore", invalid="ignore"):
            return abs(float(np.linalg.det(self.lattice)))


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """Unusable crystal or file, with the reason.

    Attributes:
      id: name of the crystal; empty for a whole file.
      source: the file that it was read from.
      reason: one sentence, for messages.
    """

    id: str
    source: str
    reason: str

    def __post_init__(self) -> None:
        """Make id and reason printable and the reason short, whatever the file contains."""
        object.__setattr__(self, "id", writable(self.id))
        reason = writable(self.reason)
        if len(reason) > _LONGEST_REASON:
            reason = f"{reason[:_LONGEST_REASON]}... ({len(reason)} characters)"
        object.__setattr__(self, "reason", reason)

    def error(self, *, can_skip: bool = False) -> StructureError:
        """Return an exception with the same content, for callers that stop at the first one.

        Args:
          can_skip: True if the caller has an option to continue with other crystals.
        """
        where = f"{self.id!r} in {self.source}" if self.id else self.source
        skip = " (on_error='skip', or --on-error skip, lists such crystals and continues)"
        return StructureError(f"{where}: {self.reason}{skip if can_skip else ''}")


def write_rejected(path: Path, items: Iterable[Rejected]) -> None:
    """Write id, source and reason of unusable crystals to a CSV file."""
    write_csv(path, [("id", "source", "reason"), *((r.id, r.source, r.reason) for r in items)])


def structure_digest(crystal: Crystal, about: str = "") -> bytes:
    """Hash lattice, coordinates and elements, after a text about the crystal: 16 bytes."""
    digest = hashlib.blake2b(about.encode(), digest_size=16)
    for array, dtype in (
        (crystal.lattice, "<f8"),
        (crystal.frac_coords, "<f8"),
        (crystal.atomic_numbers, "u1"),
    ):
        digest.update(array.astype(dtype).tobytes())
    return digest.digest()


def check_crystal(crystal: Crystal) -> str | None:
    """Return the reason why a crystal is unusable, or None for a valid one.

    Checks shapes, finite numbers, known elements, and a nonsingular lattice (volume above 1e-3
    cubic angstrom per site) without entries above `MAX_LENGTH`.
    """
    n = crystal.n_sites
    if n == 0:
        return "no sites; expected at least one"
    if crystal.lattice.shape != (3, 3) or crystal.frac_coords.shape != (n, 3):
        return (
            f"expected a (3, 3) lattice and ({n}, 3) fractional coordinates, "
            f"got {crystal.lattice.shape} and {crystal.frac_coords.shape}"
        )
    if not np.isfinite(crystal.lattice).all() or not np.isfinite(crystal.frac_coords).all():
        return "lattice or coordinates hold NaN or infinity"
    outside = (crystal.atomic_numbers < 1) | (crystal.atomic_numbers > MAX_ATOMIC_NUMBER)
    if outside.any():
        first = int(crystal.atomic_numbers[outside][0])
        return f"unknown element with atomic number {first}; expected 1..{MAX_ATOMIC_NUMBER}"
    longest = float(np.abs(crystal.lattice).max())
    if longest > MAX_LENGTH:
        return f"a lattice vector of {longest:.3g} A; expected at most {MAX_LENGTH:g}: other units?"
    volume = crystal.volume
    if not math.isfinite(volume) or volume < 1e-3 * n:
        return f"singular lattice: its volume is {volume:.3g} A^3 for {n} sites"
    return None


def checked(crystal: Crystal) -> Crystal | Rejected:
    """Return the crystal if `check_crystal` accepts it, otherwise a `Rejected`."""
    reason = check_crystal(crystal)
    if reason is None:
        return crystal
    return Rejected(id=crystal.id, source=crystal.source, reason=reason)


def parse_crystal(
    parser: Callable[[Any], Cell],
    content: Any,
    *,
    id: str,
    source: str,
    values: Mapping[str, Any],
    targets: Sequence[str] | None,
    units: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    origins: Mapping[str, str] | None = None,
) -> Crystal | Rejected:
    """Parse the structure `content` and select properties: a checked crystal, or why there is none.

    `parser` returns arrays or raises StructureError; `values` may be of any type
    (`select_properties`).
    """
    try:
        selected = select_properties(values, targets)
        lattice, frac_coords, numbers = parser(content)
    except StructureError as error:
        return Rejected(id=id, source=source, reason=str(error))
    return checked(
        Crystal(
            id=id,
            lattice=lattice,
            frac_coords=frac_coords,
            atomic_numbers=numbers,
            targets=selected,
            units=units or {},
            labels=labels or {},
            origins=origins or {},
            source=source,
        )
    )


def to_crystal(
    structure: Any, *, id: str = "", targets: Mapping[str, float] | None = None, source: str = ""
) -> Crystal:
    """Convert a structure object to a checked `Crystal`.

    Neither pymatgen nor ASE is imported: their objects are recognized by their attributes.

    Args:
      structure: a `Crystal`, a pymatgen `Structure` or an ASE `Atoms`.
      id: name of the crystal; "" leaves that of a `Crystal` as it is.
      targets: its properties; None leaves those of a `Crystal` as they are.
      source: where it comes from; "" leaves that of a `Crystal` as it is.

    Raises:
      StructureError: disordered sites, elements unknown, not periodic in three directions, or
        anything else that `check_crystal` finds.
      InputError: `structure` is none of the three.

    Examples:
      >>> from pymatgen.core import Lattice, Structure
      >>> iron = Structure(Lattice.cubic(2.8), ["Fe"], [[0, 0, 0]])
      >>> to_crystal(iron, id="iron").atomic_numbers.tolist()
      [26]
    """
    if isinstance(structure, Crystal):
        crystal = structure
        changes: dict[str, Any] = {"id": id, "targets": targets, "source": source}
        given = {name: value for name, value in changes.items() if value}
        crystal = replace(crystal, **given) if given else crystal
    else:
        try:
            lattice, frac_coords, numbers = cell_of(structure)
        except InputError as error:
            raise type(error)(f"{id!r}: {error}") from error
        crystal = Crystal(
            id=id,
            lattice=lattice,
            frac_coords=frac_coords,
            atomic_numbers=numbers,
            targets=dict(targets or {}),
            source=source,
        )
    reason = check_crystal(crystal)
    if reason is not None:
        raise StructureError(f"{crystal.id!r}: {reason}")
    return crystal


def cell_of(structure: Any) -> Cell:
    """Return the arrays (copies) of a pymatgen `Structure` or an ASE `Atoms`.

    Raises:
      StructureError: disordered sites, unknown elements, a singular ASE cell, or not periodic in
        three directions.
      InputError: `structure` is neither of the two.
    """
    if hasattr(structure, "lattice") and hasattr(structure, "frac_coords"):
        _require_periodic(structure.lattice.pbc)
        lattice, coords = structure.lattice.matrix, structure.frac_coords
        numbers = [_atomic_number(site, index) for index, site in enumerate(structure)]
    elif hasattr(structure, "get_scaled_positions") and hasattr(structure, "numbers"):
        _require_periodic(structure.pbc)
        _require_full_occupancy(structure.info.get("occupancy", {}))
        lattice = np.array(structure.cell)
        with np.errstate(over="ignore", invalid="ignore"):
            if not np.isfinite(lattice).all() or np.linalg.det(lattice) == 0.0:
                raise StructureError(f"singular lattice {lattice.tolist()}")
        coords, numbers = structure.get_scaled_positions(wrap=False), list(structure.numbers)
    else:
        raise InputError(
            "expected a Crystal, a pymatgen Structure or an ASE Atoms, "
            f"got {type(structure).__name__}"
        )
    return (
        np.array(lattice, dtype=np.float64),
        np.array(coords, dtype=np.float64).reshape(-1, 3),
        np.array(numbers, dtype=np.uint8),
    )


def _atomic_number(site: Any, index: int) -> int:
    """Return the atomic number of a pymatgen site, which must hold one atom of occupancy 1."""
    amounts = list(site.species.items())
    if len(amounts) != 1 or abs(amounts[0][1] - 1.0) > OCCUPANCY_TOLERANCE:
        raise StructureError(
            f"site {index} is disordered ({site.species_string}); expected one element "
            "with occupancy 1, use an ordered approximant"
        )
    return atomic_number(amounts[0][0].symbol)


def _require_full_occupancy(occupancy: Mapping[str, Mapping[str, float]]) -> None:
    """Check `atoms.info["occupancy"]` of ASE's readers: kind of site -> element -> occupancy."""
    for amounts in occupancy.values():
        if len(amounts) != 1 or any(abs(a - 1.0) > OCCUPANCY_TOLERANCE for a in amounts.values()):
            raise StructureError(
                f"a site is disordered ({dict(amounts)}); expected one element with occupancy 1"
            )


def _require_periodic(pbc: Any) -> None:
    if not all(pbc):
        raise StructureError(
            f"expected a cell periodic in three directions, got pbc {[bool(p) for p in pbc]}; "
            "set pbc to True if periodic images are meant"
        )
