"""Closest pair of sites in a periodic crystal."""

import functools
import math
from typing import NamedTuple

import numpy as np

_ROWS = 512
"""Sites compared with all others at a time, which bounds the memory."""

_SMALL = 64
"""Sites up to which all pairs are compared at once, which is quicker than to select some."""

_MOST_IMAGES = 3
"""Neighboring cells searched in each direction of a reduced cell."""


class Pair(NamedTuple):
    """Two sites (equal for a site and its periodic image) and their distance in angstrom."""

    first: int
    second: int
    distance: float


def closest_pair(lattice: np.ndarray, frac_coords: np.ndarray, below: float) -> Pair | None:
    """Return the closest pair of sites that are less than `below` (angstrom) apart, or None.

    A vector shorter than `below` spans at most `below` over the spacing of lattice planes in each
    fractional coordinate. If this is at most a half, only the nearest image can be so close.
    """
    if below <= 0:
        return None
    try:
        reach = below / _plane_spacings(lattice)
        if reach.max() <= 0.5:
            return _closest_image(lattice, frac_coords, reach, below)
        lattice, frac_coords = _reduced(lattice, frac_coords)
        reach = below / _plane_spacings(lattice)
    except np.linalg.LinAlgError:  # flat up to rounding: lattice vectors cancel each other
        return Pair(0, 0, 0.0)
    most = [min(math.ceil(r + 0.5), _MOST_IMAGES) for r in reach]
    axes = [np.arange(-m, m + 1) for m in most]
    shifts = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    found = [_closest_shifted(lattice, frac_coords, shift, below) for shift in shifts]
    return min((pair for pair in found if pair), key=lambda pair: pair.distance, default=None)


def _plane_spacings(lattice: np.ndarray) -> np.ndarray:
    """Return the (3,) distances of neighboring lattice planes in angstrom."""
    reciprocal = np.linalg.inv(lattice)
    return 1 / np.sqrt(np.einsum("ij,ij->j", reciprocal, reciprocal))


def _closest_image(
    lattice: np.ndarray, coords: np.ndarray, reach: np.ndarray, below: float
) -> Pair | None:
    """Search the nearest images, in large cells first along one axis, which few pairs pass."""
    best: Pair | None = None
    n = len(coords)
    if 1 < n <= _SMALL:
        first, second = _pairs(n)
        apart = coords[first] - coords[second]
        apart -= np.rint(apart)
        return _closer(best, first, second, apart @ lattice, below)
    for start in range(0, n - 1, _ROWS):
        rows = slice(start, start + _ROWS)
        apart = coords[rows, None, 0] - coords[None, :, 0]
        near = np.abs(apart - np.rint(apart)) < reach[0]
        first, second = np.nonzero(near)
        first += start
        first, second = first[first < second], second[first < second]
        apart = coords[first] - coords[second]
        apart -= np.rint(apart)
        best = _closer(best, first, second, apart @ lattice, below)
    return best


@functools.lru_cache(maxsize=_SMALL)
def _pairs(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of all pairs of n sites."""
    return np.triu_indices(n, k=1)


def _closest_shifted(
    lattice: np.ndarray, coords: np.ndarray, shift: np.ndarray, below: float
) -> Pair | None:
    best: Pair | None = None
    n = len(coords)
    for start in range(0, n, _ROWS):
        stop = min(start + _ROWS, n)
        first, second = np.meshgrid(np.arange(start, stop), np.arange(n), indexing="ij")
        kept = first <= second if shift.any() else first < second
        first, second = first[kept], second[kept]
        apart = coords[first] - coords[second]
        apart += shift - np.round(apart)
        best = _closer(best, first, second, apart @ lattice, below)
    return best


def _closer(
    best: Pair | None, first: np.ndarray, second: np.ndarray, vectors: np.ndarray, below: float
) -> Pair | None:
    squares = np.einsum("ij,ij->i", vectors, vectors)
    if not len(squares):
        return best
    k = int(squares.argmin())
    distance = math.sqrt(squares[k])
    if distance >= min(below, best.distance if best else math.inf):
        return best
    return Pair(int(first[k]), int(second[k]), distance)


def _reduced(lattice: np.ndarray, coords: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shorten lattice vectors by each other until none becomes shorter (at most 100 times)."""
    basis = lattice.copy()
    for _ in range(100):
        norms = np.einsum("ij,ij->i", basis, basis)
        if norms.min() == 0.0:
            raise np.linalg.LinAlgError("lattice vectors cancel each other")
        ratios = np.round((basis @ basis.T) / norms[:, None])  # of vector j along vector i
        np.fill_diagonal(ratios, 0)
        i, j = np.unravel_index(np.abs(ratios).argmax(), (3, 3))
        if ratios[i, j] == 0:
            break
        basis[j] -= ratios[i, j] * basis[i]
    return basis, coords @ lattice @ np.linalg.inv(basis)
