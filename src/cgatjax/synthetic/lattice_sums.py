"""Sums over a periodic lattice: Ewald's for charges, and direct ones for inverse powers."""

import math
from collections.abc import Sequence

import numpy as np

_ERFC_REACH = 6.5
"""erfc(6.5) < 1e-19: farther charges add nothing to the direct part of the Ewald sum."""

_SUMMED_SITES = 4000
"""Sites that are summed one by one around each site before the continuum takes over."""


def _lattice_points(basis: np.ndarray, radius: float) -> np.ndarray:
    """(m, 3) all integer combinations of the rows of `basis` shorter than `radius`."""
    reach = np.floor(radius * np.linalg.norm(np.linalg.inv(basis), axis=0)).astype(int)
    counts = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij"), axis=-1)
    points: np.ndarray = counts.reshape(-1, 3) @ basis
    return points[np.linalg.norm(points, axis=1) < radius]


def pair_distances(lattice: np.ndarray, frac_coords: np.ndarray, radius: float) -> np.ndarray:
    """Distances from each site to the images of each site, at least all those below `radius`.

    Args:
      lattice: (3, 3) lattice vectors as rows, any length unit.
      frac_coords: (n, 3) fractional coordinates.
      radius: in the same unit.

    Returns:
      (n, n, images) float64; infinity where an image is the site itself, or not below `radius`.
    """
    offsets = (frac_coords[:, None] - frac_coords[None, :]) @ lattice
    images = _lattice_points(lattice, radius + float(np.linalg.norm(offsets, axis=-1).max()))
    distance = np.linalg.norm(offsets[:, :, None] + images, axis=-1)
    return np.where((distance > 1e-9) & (distance < radius), distance, np.inf)


def electrostatic_matrix(
    lattice: np.ndarray, frac_coords: np.ndarray, splitting: float | None = None
) -> np.ndarray:
    """Ewald sums phi between sites: E = 1/2 k q^T phi q for charges q that add up to zero.

    Each entry is the potential at one site of unit charges on another site's sublattice in a
    neutralizing background, which cancels for neutral cells (P. P. Ewald, Ann. Phys. 369 (1921)
    253).

    Args:
      lattice: (3, 3) lattice vectors as rows, any length unit.
      frac_coords: (n, 3) fractional coordinates.
      splitting: inverse width eta of the Gaussians, 1/length; the result does not depend on it.

    Returns:
      (n, n) float64, symmetric, in 1/length.
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
    """1 for x <= 0, 0 for x >= 1, with three continuous derivatives between."""
    x = np.clip(x, 0, 1)
    smooth: np.ndarray = 1 - x**4 * (35 - 84 * x + 70 * x**2 - 20 * x**3)
    return smooth


def inverse_power_sums(
    lattice: np.ndarray, frac_coords: np.ndarray, exponents: Sequence[float] | np.ndarray
) -> np.ndarray:
    """Sums of d**-n over all images of one site seen from another, for several exponents n > 3.

    Some 4000 sites are summed one by one; a smooth window hands over to the integral over a
    continuum of the same density.

    Args:
      lattice: (3, 3) lattice vectors as rows, any length unit.
      frac_coords: (n, 3) fractional coordinates.
      exponents: (p,) powers, each above 3.

    Returns:
      (p, n, n) float64 in 1/length**n; a site does not see itself, but its own images.
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
