"""What a reader yields: one crystal as plain arrays, or the reason why it is not one."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from cgatjax.errors import StructureError

MAX_ATOMIC_NUMBER = 103
"""Lawrencium: the last element of the matscholar table."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Crystal:
    """An ordered periodic crystal with its known properties.

    Attributes:
      id: name of the crystal, unique within a store.
      lattice: (3, 3) float64, lattice vectors as rows, in angstrom.
      frac_coords: (n, 3) float64, fractional coordinates of the sites.
      atomic_numbers: (n,) uint8, 1..103.
      targets: property name -> value, per atom where the property is extensive; NaN if unknown.
      source: the file (or object) that it came from, for messages.
    """

    id: str
    lattice: np.ndarray
    frac_coords: np.ndarray
    atomic_numbers: np.ndarray
    targets: Mapping[str, float] = field(default_factory=dict)
    source: str = ""

    @property
    def n_sites(self) -> int:
        """Number of sites in the cell."""
        return len(self.atomic_numbers)

    @property
    def volume(self) -> float:
        """Cell volume in cubic angstrom."""
        return abs(float(np.linalg.det(self.lattice)))


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """A crystal (or a whole file) that could not be used, and why.

    Attributes:
      id: name of the crystal; empty when a whole file is meant.
      source: the file that it stood in.
      reason: one sentence for people.
    """

    id: str
    source: str
    reason: str

    def error(self) -> StructureError:
        """The same as an exception, for callers that stop at the first bad crystal."""
        where = f"{self.id!r} in {self.source}" if self.id else self.source
        return StructureError(f"{where}: {self.reason} (skip such crystals with on_error='skip')")


def check_crystal(crystal: Crystal) -> str | None:
    """Says what makes a crystal unusable, or None if it is sound.

    Checked are shapes, finite numbers, known elements, and a lattice that spans space
    (volume above 1e-3 cubic angstrom a site). Coinciding sites are found by the neighbour search.
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
    volume = crystal.volume
    if not math.isfinite(volume) or volume < 1e-3 * n:
        return f"singular lattice: its volume is {volume:.3g} A^3 for {n} sites"
    return None
