"""Lattice sums: Ewald sums of charges, and direct sums of inverse powers."""

import math
from collections.abc import Sequence

import numpy as np

_ERFC_REACH = 6.5
"""erfc(6.5) < 1e-19: cutoff of the real-space part of the Ewald sum."""

_SUMMED_SITES = 4000
"""Number of sites summed explicitly around each site; beyond them the sum is an integral."""


def _lattice_points(basis: np.ndarray, radius: float) -> np.ndarray:
    """List all (m, 3) lattice vectors, with the rows of `basis` as basis, within `radius`."""
    reach = np.floor(radius * np.linalg.norm(np.linalg.inv(basis), axis=0)).astype(int)
    counts = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij"), axis=-1)
    points: np.ndarray = counts.reshape(-1, 3) @ basis
    return points[np.linalg.norm(points, axis=1) < radius]


def pair_distances(lattice: np.ndarray, frac_coords: np.ndarray, radius: float) -> np.ndarray:
    """Compute distances below `radius` from each site to the images of each site, (n, n, images).

    Infinity stands for a site itself and for images not below `radius`; any unit of length.
    """
    offsets = (frac_coords[:, None] - frac_coords[None, :]) @ lattice
    images = _lattice_points(lattice, radius + float(np.linalg.norm(offsets, axis=-1).max()))
    distance = np.linalg.norm(offsets[:, :, None] + images, axis=-1)
    return np.where((distance > 1e-9) & (distance < radius), distance, np.inf)


def electrostatic_matrix(
    lattice: np.ndarray, frac_coords: np.ndarray, splitting: float | None = None
) -> np.ndarray:
    """Compute Ewald sums phi (n, n) between sites: E = 1/2 k q^T phi q for charges q of zero sum.

    Each entry is the potential at one site of unit charges on the sublattice of another site in a
    neutralizing background, which cancels for neutral cells (P. P. Ewald, Ann. Phys. 369 (1921)
    253). The result, in 1/length, does not depend on `splitting`, the inverse width of the
    Gaussians.
    """
    volume = abs(float(np.linalg.det(lattice)))
    eta = splitting or math.sqrt(math.pi) / volume ** (1 / 3)
    distance = pair_distances(lattice, frac_coords, _ERFC_REACH / eta)
    near = np.isfinite(distance)
    direct = np.zeros_like(distance)
    direct[near] = np.fromiter(map(math.erfc, eta * distance[near]), float) / distance[near]
    waves = _lattice_points(2 * np.pi * np.linalg.inv(lattice).T, 2 * _ERFC_REACH * eta)
    squares = (waves**2).sum(axis=1)
    waves, squares = waves[squares > 0], squares[squares > 0]
    structure = np.exp(1j * (frac_coords @ lattice) @ waves.T)
    damped = np.exp(-squares / (4 * eta**2)) / squares
    phi: np.ndarray = direct.sum(axis=-1) - np.pi / (eta**2 * volume)
    phi += 4 * np.pi / volume * ((structure * damped) @ structure.conj().T).real
    phi[np.diag_indices(len(phi))] -= 2 * eta / math.sqrt(math.pi)
    return phi


def _window(x: np.ndarray) -> np.ndarray:
    """Decrease from 1 at x <= 0 to 0 at x >= 1, with three continuous derivatives."""
    x = np.clip(x, 0, 1)
    smooth: np.ndarray = 1 - x**4 * (35 - 84 * x + 70 * x**2 - 20 * x**3)
    return smooth


def inverse_power_sums(
    lattice: np.ndarray, frac_coords: np.ndarray, exponents: Sequence[float] | np.ndarray
) -> np.ndarray:
    """Sum d**-n over all images of one site around another, for p exponents n > 3: (p, n, n).

    About 4000 sites are summed explicitly; a smooth window switches to the integral over a
    continuum of the same density. The sum of a site with itself runs over its images.
    """
    volume = abs(float(np.linalg.det(lattice)))
    n_sites = len(frac_coords)
    outer = (3 * _SUMMED_SITES * volume / (4 * math.pi * n_sites)) ** (1 / 3)
    inner = outer / 2
    distance = pair_distances(lattice, frac_coords, outer)
    weight = _window((distance - inner) / (outer - inner))
    step = (outer - inner) / 2000
    radii = inner + (np.arange(2000) + 0.5) * step
    missing = 1 - _window((radii - inner) / (outer - inner))
    sums = np.empty((len(exponents), n_sites, n_sites))
    for k, n in enumerate(exponents):
        between = float((missing * radii ** (2 - n)).sum()) * step
        far = 4 * math.pi / volume * (between + outer ** (3 - n) / (n - 3))
        sums[k] = (weight * distance**-n).sum(axis=-1) + far
    return sums
