"""Energy and volume at the minimum of an isotropic scan of the cell."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from cgatjax.labeling.calculators import Calculator
from cgatjax.structures import Crystal

STRAINS = np.linspace(-0.06, 0.06, 7)
"""Linear strains of the first scan."""
LARGEST = 0.3
"""Linear strain at which the search for a minimum ends."""


def scan_cell(calculator: Calculator, crystal: Crystal) -> tuple[float, float] | str:
    """Find the minimum of the energy (eV) over the volume (cubic angstrom), or the reason of a
    failure.

    All coordinates are fixed in the cell. The scan goes on in steps of the first one where the
    lowest energy is at its end. The minimum is that of the cubic polynomial in V^(-2/3) (Birch,
    Phys. Rev. 71 (1947) 809) through the lowest energy and its neighbors.
    """
    step = float(STRAINS[1] - STRAINS[0])
    known: dict[int, float] = {}
    order: Sequence[int] = range(-3, 4)
    while True:
        found = calculator.energies([strained(crystal, k * step) for k in order])
        for k, energy in zip(order, found, strict=True):
            if isinstance(energy, str):
                return f"at a strain of {k * step:.2f}: {energy}"
            known[k] = energy
        lowest = min(known, key=lambda k: known[k])
        if min(known) < lowest < max(known):
            break
        end = lowest + (1 if lowest == max(known) else -1)
        if abs(end * step) > LARGEST:
            return f"the energy has no minimum within linear strains of {LARGEST:g}"
        order = (end,)
    near = sorted(known, key=lambda k: (abs(k - lowest), k))[:4]
    volumes = np.array([crystal.volume * (1 + k * step) ** 3 for k in near])
    x = volumes ** (-2 / 3)
    scale = x[0]
    polynomial = np.polynomial.Polynomial.fit(x / scale, [known[k] for k in near], 3)
    low, high = (crystal.volume * (1 + (lowest + d) * step) ** 3 for d in (-1, 1))
    grid = np.linspace(low, high, 401)
    energies = polynomial(grid ** (-2 / 3) / scale)
    best = int(np.argmin(energies))
    return float(energies[best]), float(grid[best])


def strained(crystal: Crystal, strain: float) -> Crystal:
    """Scale all lattice vectors of a crystal by 1 + strain."""
    return dataclasses.replace(crystal, lattice=crystal.lattice * (1 + strain))
