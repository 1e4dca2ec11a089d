"""The nearest periodic images of every site, and the shells that they form.

The radius of the search grows from the density of the crystal, so that few more images are found
than are kept. Distances are those of pymatgen's compiled `find_points_in_spheres`.

Order: neighbors of a site ascend in distance, compared as exact floats. Equal distances are
ordered as an 18 A search delivers them (what the released `prepare_data.py` sorts, stably): by the
18 A cube that the image lies in, then by descending cell image (i, j, k), then by descending site.
The cube, not the radius of our own search, enters the rule: a graph does not depend on how far we
happened to look.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from cgatjax.config import GraphConfig
from cgatjax.errors import StructureError

MAX_SITES = 65535
"""Site indices are stored as uint16."""

MIN_DISTANCE = 1e-3
"""Angstrom; sites closer than this stand on one place, which no crystal does."""

SELF_DISTANCE = 1e-8
"""Angstrom; a site is not its own neighbor (the same number as in the released code's search)."""

ORDER_CUBE = 18.0
"""Angstrom; edge of the cubes that order equal distances (the released code's search radius)."""

MAX_IMAGES, MAX_CUBES = 2e7, 1e6
"""What a search may visit, and sort it into; a real crystal needs thousands of them."""

_SEARCH_TOLERANCE = 1e-8
_GROWTH = 1.25
_OVERSHOOT = {"cut": 1.5, "share": 1.8}  # images sought over images kept: fastest on real crystals
_FAR_OUTSIDE = 4.0  # cells; coordinates beyond are wrapped, for the search spans all of them


@dataclass(frozen=True, eq=False, kw_only=True)
class Neighbors:
    """The neighbors kept around each site, one entry per edge, ordered by center and distance.

    Attributes:
      center: (edges,) int64, ascending: the site that looks for neighbors.
      neighbor: (edges,) int64, the site of the cell whose image was found.
      distance: (edges,) float64, angstrom.
      shell: (edges,) int64, shell index of the center, 1..K.
      weight_numerator, weight_denominator: (edges,) int64, weight of the edge as a reduced
        fraction: 1/1, or (slots left)/(shell size) in a last shell that is shared.
    """

    center: np.ndarray
    neighbor: np.ndarray
    distance: np.ndarray
    shell: np.ndarray
    weight_numerator: np.ndarray
    weight_denominator: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class _Images:
    """Every image within `radius` of each site, ordered; those of site i begin at `start[i]`.

    The last image of each site is the site itself, at an infinite distance; `count` leaves it out.
    """

    radius: float
    center: np.ndarray
    neighbor: np.ndarray
    distance: np.ndarray
    start: np.ndarray
    count: np.ndarray


def nearest_neighbors(
    lattice: np.ndarray, frac_coords: np.ndarray, config: GraphConfig, *, id: str = ""
) -> Neighbors:
    """Finds the K nearest periodic images of every site and their shells.

    Args:
      lattice: (3, 3) float, lattice vectors as rows, in angstrom.
      frac_coords: (n, 3) float, fractional coordinates; any image of a site will do.
      config: K, shell rule, what to do with a shell that K ends in, and the largest radius.
      id: name of the crystal, for messages.

    Returns:
      K edges a site under `split_shell="cut"`; under "share" the whole last shell, weights
      summing to K.

    Raises:
      StructureError: more than 65535 sites, two sites closer than 1e-3 A, a site with fewer than
        K neighbors within `config.max_radius`, or a cell so long or skewed that the search would
        visit `MAX_IMAGES` or `MAX_CUBES`.
    """
    n = len(frac_coords)
    if n > MAX_SITES:
        raise StructureError(
            f"{id!r}: expected at most {MAX_SITES} sites, got {n}; use a smaller cell"
        )
    lattice = np.ascontiguousarray(lattice, dtype=np.float64)
    frac_coords = np.asarray(frac_coords, dtype=np.float64)
    if np.abs(frac_coords).max() > _FAR_OUTSIDE:
        frac_coords = frac_coords % 1.0
    positions = _times(frac_coords, lattice)
    images = _search_until_enough(lattice, positions, config, id)
    nearest = images.distance[images.start[:, None] + np.arange(config.max_neighbors)]
    shell = shell_indices(nearest, config)
    if config.split_shell == "cut":
        return _cut(images, shell)
    end = _boundary(_first_of_last_shell(nearest, shell), config)
    if end.max() > images.radius * (1 - 1e-6):
        images = _search(lattice, positions, end.max() * (1 + 1e-5), id)
    return _share(images, shell, end)


def shell_indices(distance: np.ndarray, config: GraphConfig) -> np.ndarray:
    """Numbers the shells that sorted distances form.

    The index starts at 1 and rises by one whenever a neighbor is farther than the current
    shell's *first* distance by more than the tolerance (`CGAT/prepare_data.py`).

    Args:
      distance: (n, K) float, ascending along the second axis, in angstrom.
      config: tolerance, absolute or relative to the shell's first distance.

    Returns:
      (n, K) int64, from 1.
    """
    step = distance[:, 1:] > _boundary(distance[:, :-1], config)
    shell = np.ones(distance.shape, dtype=np.int64)
    np.cumsum(step, axis=1, out=shell[:, 1:])
    shell[:, 1:] += 1
    # Steps between consecutive distances are the rule, unless many small ones add up.
    first = np.maximum.accumulate(np.where(_starts(shell), distance, 0.0), axis=1)
    drifts = (distance > _boundary(first, config)).any(axis=1)
    if drifts.any():
        shell[drifts] = _shell_indices_by_column(distance[drifts], config)
    return shell


def _shell_indices_by_column(distance: np.ndarray, config: GraphConfig) -> np.ndarray:
    """The rule of `shell_indices`, literally, one column after the other."""
    shell = np.ones(distance.shape, dtype=np.int64)
    first = distance[:, 0].copy()
    for column in range(1, distance.shape[1]):
        is_farther = distance[:, column] > _boundary(first, config)
        first[is_farther] = distance[is_farther, column]
        shell[:, column] = shell[:, column - 1] + is_farther
    return shell


def _starts(shell: np.ndarray) -> np.ndarray:
    """(n, K) bool, True where a shell begins."""
    begins = np.ones(shell.shape, dtype=bool)
    np.not_equal(shell[:, 1:], shell[:, :-1], out=begins[:, 1:])
    return begins


def _boundary(first: np.ndarray, config: GraphConfig) -> np.ndarray:
    """The largest distance that still belongs to the shell that begins at `first`."""
    if config.tolerance_kind == "absolute":
        return first + config.shell_tolerance
    return first * (1.0 + config.shell_tolerance)


def _first_of_last_shell(distance: np.ndarray, shell: np.ndarray) -> np.ndarray:
    """(n,) float, first distance of the shell that holds the K-th neighbor."""
    column = np.argmax(shell == shell[:, -1:], axis=1)
    return distance[np.arange(len(distance)), column]


def _cut(images: _Images, shell: np.ndarray) -> Neighbors:
    n, k = shell.shape
    kept = (images.start[:, None] + np.arange(k)).ravel()
    ones = np.ones(n * k, dtype=np.int64)
    return Neighbors(
        center=np.repeat(np.arange(n), k),
        neighbor=images.neighbor[kept],
        distance=images.distance[kept],
        shell=shell.ravel(),
        weight_numerator=ones,
        weight_denominator=ones,
    )


def _share(images: _Images, shell: np.ndarray, end: np.ndarray) -> Neighbors:
    n, k = shell.shape
    kept = np.flatnonzero(images.distance <= end[images.center])
    center = images.center[kept]
    rank = kept - images.start[center]
    before = np.argmax(shell == shell[:, -1:], axis=1)  # neighbors in the shells that are whole
    slots = k - before
    size = np.bincount(center, minlength=n) - before
    divisor = np.gcd(slots, size)
    is_last = rank >= before[center]
    return Neighbors(
        center=center,
        neighbor=images.neighbor[kept],
        distance=images.distance[kept],
        shell=shell[center, np.minimum(rank, k - 1)],
        weight_numerator=np.where(is_last, (slots // divisor)[center], 1),
        weight_denominator=np.where(is_last, (size // divisor)[center], 1),
    )


def _search_until_enough(
    lattice: np.ndarray, positions: np.ndarray, config: GraphConfig, id: str
) -> _Images:
    k = config.max_neighbors
    sought = k * _OVERSHOOT[config.split_shell]
    site_volume = abs(_inverse(lattice)[1]) / len(positions)
    radius = min((3 * sought * site_volume / (4 * math.pi)) ** (1 / 3), config.max_radius)
    _require_compact(lattice, positions, radius, config.max_radius, id)
    while True:
        images = _search(lattice, positions, radius, id)
        if images.count.min() >= k:
            return images
        if radius >= config.max_radius:
            site = int(np.argmin(images.count))
            raise StructureError(
                f"{id!r}: site {site} has {images.count[site]} neighbors within "
                f"{config.max_radius:g} A, expected at least {k}; raise max_radius or lower "
                "max_neighbors"
            )
        radius = min(radius * _GROWTH, config.max_radius)


def _require_compact(
    lattice: np.ndarray, positions: np.ndarray, radius: float, max_radius: float, id: str
) -> None:
    """Bounds time and memory of the searches; `radius` is that of the first, the smallest."""
    heights = 1 / np.sqrt((_inverse(lattice)[0] ** 2).sum(axis=0))
    images = len(positions) * math.prod(2 * max_radius / h + 2 for h in heights.tolist())
    extent = positions.max(axis=0) - positions.min(axis=0)
    cubes = math.prod(length / radius + 3 for length in extent.tolist())
    if not (images <= MAX_IMAGES and cubes <= MAX_CUBES):
        raise StructureError(
            f"{id!r}: the cell is too long or too skewed to search for neighbors: heights "
            f"{heights.round(4).tolist()} A, sites spread over {extent.round(1).tolist()} A; "
            "use its reduced cell"
        )


def _search(lattice: np.ndarray, positions: np.ndarray, radius: float, id: str) -> _Images:
    """All images within `radius` (angstrom) of each site, in the order that the module states."""
    center, neighbor, cell, _ = _find_points_in_spheres()(
        positions, positions, r=radius, pbc=_PERIODIC, lattice=lattice, tol=_SEARCH_TOLERANCE
    )
    # The search's own distances round differently in different releases of pymatgen, and with
    # them the order of neighbors that are equally far: compute them here, as it now does.
    fractional = _times(positions, _inverse(lattice)[0])
    floor = np.floor(fractional)
    cell += floor[neighbor]
    place = _times(cell, lattice) + _times(fractional - floor, lattice)[neighbor]
    square = place - positions[center]
    square *= square
    distance = np.sqrt(square[:, 0] + square[:, 1] + square[:, 2])
    distance[(distance <= SELF_DISTANCE) & (center == neighbor)] = np.inf  # sorts a site behind all
    _require_apart(center, neighbor, distance, id)
    order = np.lexsort((_tie_rank(positions, center, place, cell, neighbor), distance, center))
    found = np.bincount(center, minlength=len(positions))
    return _Images(
        radius=radius,
        center=center,
        neighbor=neighbor[order],
        distance=distance[order],
        start=np.cumsum(found) - found,
        count=found - 1,
    )


def _require_apart(center: np.ndarray, neighbor: np.ndarray, distance: np.ndarray, id: str) -> None:
    pair = int(distance.argmin())
    if distance[pair] < MIN_DISTANCE:
        raise StructureError(
            f"{id!r}: sites {center[pair]} and {neighbor[pair]} stand on one place "
            f"({distance[pair]:.2g} A apart, expected at least {MIN_DISTANCE} A); remove one"
        )


def _tie_rank(
    positions: np.ndarray,
    center: np.ndarray,
    place: np.ndarray,
    cell: np.ndarray,
    neighbor: np.ndarray,
) -> np.ndarray:
    """(pairs,) int64, order of the images `place` (angstrom) among those equally far from a site.

    From high to low bits: cube, cell along the three vectors (14 bits each), site (16 bits).
    """
    corner = positions.min(axis=0) - (ORDER_CUBE + 2 * _SEARCH_TOLERANCE)
    cube = np.floor((place - corner) / ORDER_CUBE) @ _CUBE_STRIDES
    cube -= (np.floor((positions - corner) / ORDER_CUBE) @ _CUBE_STRIDES)[center]
    descending = (cell @ _CELL_STRIDES).astype(np.int64) * 2**16 + neighbor
    return cube.astype(np.int64) * 2**58 - descending


def _inverse(lattice: np.ndarray) -> tuple[np.ndarray, float]:
    """Inverse by cofactors, rounded as in pymatgen's search (it decides what counts as wrapped).

    Also returns the determinant, in cubic angstrom.
    """
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = lattice.tolist()
    cofactors = np.array(
        [
            [by * cz - bz * cy, az * cy - ay * cz, ay * bz - az * by],
            [bz * cx - bx * cz, ax * cz - az * cx, az * bx - ax * bz],
            [bx * cy - by * cx, ay * cx - ax * cy, ax * by - ay * bx],
        ]
    )
    volume = ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx)
    return cofactors * (1.0 / volume), volume


def _times(rows: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(n, 3) rows times a (3, 3) matrix, by plain sums: BLAS rounds differently per machine."""
    product = rows[:, 0:1] * matrix[0]
    product += rows[:, 1:2] * matrix[1]
    product += rows[:, 2:3] * matrix[2]
    return product


_PERIODIC = np.ones(3, dtype=np.int64)
_CUBE_STRIDES = np.array([9.0, 3.0, 1.0])
_CELL_STRIDES = np.array([2.0**28, 2.0**14, 1.0])


@cache
def _find_points_in_spheres() -> Any:
    """pymatgen's compiled search, imported when first needed: training machines lack pymatgen."""
    from pymatgen.optimization.neighbors import find_points_in_spheres

    return find_points_in_spheres
