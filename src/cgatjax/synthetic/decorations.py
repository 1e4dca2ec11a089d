"""Decorations of structure types with ions, relaxed and filtered.

The population is fixed: it depends on the tables alone, not on the number of crystals requested.
For each structure type:

1. Make all neutral assignments of cations to the roles A, B, C and anions to X, Y with a different
   element on each role (of more than 6000 combinations of elements, a fixed random 6000).
2. Relax at low fidelity and keep those with plausible contacts: for every role the nearest ion of
   the other sign at 0.85 to 1.2 of the sum of radii, and no two anions below 0.8 of theirs.
3. Keep those with a negative low-fidelity formation energy.
4. Of several charge assignments of the same elements to the same sites (Fe2+ Ti4+ or Fe3+ Ti3+),
   keep the one of lowest low-fidelity energy: a network sees elements, not charges.
5. Keep at most 400, a fixed random selection, so that no structure type dominates.
"""

import functools
import itertools
import math
from dataclasses import dataclass

import numpy as np

from cgatjax.structures import SYMBOLS
from cgatjax.synthetic.born_lande import Fidelity, energy, energy_coefficients, equilibrium_scale
from cgatjax.synthetic.formation_energies import reference_energies
from cgatjax.synthetic.ions import ion_table
from cgatjax.synthetic.prototypes import Prototype, prototypes

CONTACT_RANGE = (0.85, 1.2)
"""Allowed distance of the nearest ion of the other sign, in units of the sum of radii."""

ANION_CONTACT = 0.8
"""Minimum distance of two anions, in units of the sum of radii."""

MOST_CANDIDATES = 6000
MOST_DECORATIONS = 400


@dataclass(frozen=True, eq=False)
class Decorations:
    """Relaxed crystals of one structure type, (m,) in angstrom, eV/atom and A^3/atom.

    `ions` are (m, roles) indices into `ion_table()`; the cell parameter is that of low fidelity.
    """

    prototype: Prototype
    ions: np.ndarray
    atomic_numbers: np.ndarray
    scale: np.ndarray
    e_form: dict[Fidelity, np.ndarray]
    volume: dict[Fidelity, np.ndarray]

    def __len__(self) -> int:
        return len(self.ions)

    def formula(self, index: int) -> str:
        """Format the formula with elements in the order of the roles, such as "BaTiO3"."""
        counts = self.prototype.role_counts // math.gcd(*self.prototype.role_counts.tolist())
        symbols = [SYMBOLS[z] for z in self.atomic_numbers[index]]
        pairs = zip(symbols, counts.tolist(), strict=True)
        return "".join(f"{symbol}{count if count > 1 else ''}" for symbol, count in pairs)


def neutral_decorations(prototype: Prototype) -> np.ndarray:
    """Enumerate all neutral assignments of ions as (m, roles) indices into `ion_table()`.

    Roles take different elements; of assignments that differ by a permutation of equivalent roles
    one is kept.
    """
    ions = ion_table()
    charge = np.array([ion.charge for ion in ions])
    element = np.array([ion.atomic_number for ion in ions])
    choices = [
        np.unique(charge[charge > 0 if cation else charge < 0]) for cation in prototype.is_cation
    ]
    blocks = []
    for charges in itertools.product(*choices):
        if np.dot(charges, prototype.role_counts) == 0:
            pools = [np.flatnonzero(charge == q) for q in charges]
            grid = np.stack(np.meshgrid(*pools, indexing="ij"), axis=-1)
            blocks.append(grid.reshape(-1, len(pools)))
    found = np.concatenate(blocks)
    elements = element[found]
    keep = np.ones(len(found), bool)
    for i, j in itertools.combinations(range(len(prototype.roles)), 2):
        keep &= elements[:, i] != elements[:, j]
    for i, j in prototype.equivalent_roles:
        keep &= elements[:, i] < elements[:, j]
    return found[keep]


def _selected(elements: np.ndarray, most: int) -> np.ndarray:
    """Select at random, with a fixed seed, at most `most` distinct rows; (m,) bool."""
    distinct, member = np.unique(elements, axis=0, return_inverse=True)
    chosen = np.zeros(len(distinct), bool)
    chosen[np.random.default_rng(0).permutation(len(distinct))[:most]] = True
    return chosen[member.reshape(-1)]


def has_plausible_contacts(prototype: Prototype, ions: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Check nearest distances against ionic radii (step 2 of the module docstring), (m,) bool.

    `ions` are (m, roles) indices into `ion_table()`, `scale` (m,) cell parameters in angstrom.
    """
    radius = np.array([ion.radius for ion in ion_table()])[ions]
    ratio = scale[:, None, None] * prototype.nearest / (radius[:, :, None] + radius[:, None, :])
    cation = prototype.is_cation
    unlike = cation[:, None] != cation
    nearest = np.where(unlike, ratio, np.inf).min(axis=2)
    fits = ((nearest > CONTACT_RANGE[0]) & (nearest < CONTACT_RANGE[1])).all(axis=1)
    anions = np.where(~cation[:, None] & ~cation, ratio, np.inf).min(axis=(1, 2))
    chosen: np.ndarray = fits & (anions > ANION_CONTACT)
    return chosen


def relax(
    prototype: Prototype, ions: np.ndarray, fidelity: Fidelity
) -> tuple[np.ndarray, np.ndarray]:
    """Compute cell parameters (m,) in angstrom and formation energies (m,) in eV/atom of
    decorations.

    `ions` are (m, roles) indices into `ion_table()`, neutral.
    """
    coefficients = energy_coefficients(
        prototype.potentials, prototype.power_sums, ion_table(), ions, fidelity
    )
    scale = equilibrium_scale(coefficients)
    references = reference_energies(fidelity)[ions] @ prototype.role_counts
    return scale, (energy(coefficients, scale) - references) / len(prototype.site_roles)


def decorate(prototype: Prototype) -> Decorations:
    """Make the population of one structure type (see the module docstring)."""
    element = np.array([ion.atomic_number for ion in ion_table()], dtype=np.uint8)
    ions = neutral_decorations(prototype)
    ions = ions[_selected(element[ions], MOST_CANDIDATES)]
    scale, e_form = relax(prototype, ions, "low")
    kept = np.flatnonzero(has_plausible_contacts(prototype, ions, scale) & (e_form < 0))
    kept = kept[np.argsort(e_form[kept], kind="stable")]
    _, lowest = np.unique(element[ions[kept]], axis=0, return_index=True)
    kept = kept[lowest]
    kept = kept[_selected(element[ions[kept]], MOST_DECORATIONS)]
    ions, scale, e_form = ions[kept], scale[kept], e_form[kept]
    high_scale, high_e_form = relax(prototype, ions, "high")
    site_volume = prototype.volume / len(prototype.site_roles)
    return Decorations(
        prototype=prototype,
        ions=ions,
        atomic_numbers=element[ions],
        scale=scale,
        e_form={"low": e_form, "high": high_e_form},
        volume={"low": site_volume * scale**3, "high": site_volume * high_scale**3},
    )


@functools.cache
def population() -> tuple[Decorations, ...]:
    """Make the populations of all structure types (once per process, takes seconds)."""
    return tuple(decorate(prototype) for prototype in prototypes())
