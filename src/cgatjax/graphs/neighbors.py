"""Nearest periodic images of every site, and their shells.

The search starts at a radius estimated from the density of the crystal and grows it if necessary,
so that few more images are found than kept. pymatgen's compiled `find_points_in_spheres` finds
them.

Order: neighbors of a site ascend in distance, compared as exact floats. Equal distances have the
order in which an 18 A search finds them, as in the released `prepare_data.py` with its stable sort:
by the 18 A cube of the image, then by descending cell image (i, j, k), then by descending site. The
cube enters the rule, not the radius of the search here, so that a graph does not depend on it.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from cgatjax.config import GraphConfig
from cgatjax.errors import StructureError
from cgatjax.graphs.shells import shell_boundary, shell_indices

MAX_SITES = 65535
"""Site indices are stored as uint16."""

MIN_DISTANCE = 1e-3
"""Angstrom; sites closer than this are duplicates of one site."""

SELF_DISTANCE = 1e-8
"""Angstrom; images closer than this are the site itself (the released code's number)."""

ORDER_CUBE = 18.0
"""Angstrom; edge of the cubes that order equal distances (the released code's search radius)."""

MAX_IMAGES, MAX_CUBES = 2e7, 1e6
"""Limits of a search; a real crystal needs thousands of either."""

_SEARCH_TOLERANCE = 1e-8
# A repeated search costs more than some images too many: 1.5 and 1.8 times the images kept in the
# first search were fastest on real crystals. "share" keeps more, and needs a whole last shell.
_OVERSHOOT = {"cut": 1.5, "share": 1.8}
# Radius factor of a repeated search: twice the volume.
_GROWTH = 1.25
# Cells; the search allocates cubes for the range of all coordinates. Nearer ones are not wrapped,
# because wrapping rounds, and rounding decides the order of equal distances.
_FAR_OUTSIDE = 4.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Neighbors:
    """Neighbors kept of each site, one entry per edge, ordered by center and distance.

    Attributes:
      center: (edges,) int64, ascending: the site whose neighbors are listed.
      neighbor: (edges,) int64, the site of the cell whose image is the neighbor.
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
    """Find all images within `radius` of each site, ordered; site i's begin at `start[i]`.

    The last image of each site is the site itself, at infinite distance; `count` excludes it.
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
    """Find the K nearest periodic images of every site and their shells.

    Args:
      lattice: (3, 3) float, lattice vectors as rows, in angstrom.
      frac_coords: (n, 3) float, fractional coordinates of any image of each site.
      config: K, shell tolerance, treatment of a partial last shell, and the largest radius.
      id: name of the crystal, for messages.

    Returns:
      K edges a site with `split_shell="cut"`; with "share" the whole last shell, weights summing
      to K.

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
    # The last shell may reach beyond the K nearest, and the search must reach beyond the shell:
    # margins for the rounding of distances, far below any distance between shells.
    end = shell_boundary(_first_of_last_shell(nearest, shell), config)
    if end.max() > images.radius * (1 - 1e-6):
        images = _search(lattice, positions, end.max() * (1 + 1e-5), id)
    return _share(images, shell, end)


def _first_of_last_shell(distance: np.ndarray, shell: np.ndarray) -> np.ndarray:
    """Return (n,) float, the first distance of the shell of the K-th neighbor."""
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
    # Neighbors in the shells before the last one; the other slots are shared by the last shell,
    # each member with weight slots / size. The weights sum to K and no site order decides.
    before = np.argmax(shell == shell[:, -1:], axis=1)
    slots = k - before
    size = np.bincount(center, minlength=n) - before
    divisor = np.gcd(slots, size)
    is_last = rank >= before[center]
    return Neighbors(
        center=center,
        neighbor=images.neighbor[kept],
        distance=images.distance[kept],
        # Members beyond the K-th neighbor have the index of the last shell.
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
    # Radius of the sphere that holds so many sites at the mean density.
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
    """Raise StructureError if a search could exhaust memory; `radius` is that of the first one."""
    # A sphere spans 2r/height + 1 cells along a vector. Needles and skewed cells of damaged files
    # have heights near zero.
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
    """Find all images within `radius` (angstrom) of each site, in the order of the module."""
    center, neighbor, cell, _ = _find_points_in_spheres()(
        positions, positions, r=radius, pbc=_PERIODIC, lattice=lattice, tol=_SEARCH_TOLERANCE
    )
    # Releases of pymatgen round distances differently, which changes the order of neighbors at
    # equal distances: compute them here, as the present release does.
    fractional = _times(positions, _inverse(lattice)[0])
    floor = np.floor(fractional)
    cell += floor[neighbor]
    place = _times(cell, lattice) + _times(fractional - floor, lattice)[neighbor]
    square = place - positions[center]
    square *= square
    distance = np.sqrt(square[:, 0] + square[:, 1] + square[:, 2])
    # The site itself is found once: sort it behind its neighbors instead of copying the arrays.
    distance[(distance <= SELF_DISTANCE) & (center == neighbor)] = np.inf
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
            f"{id!r}: sites {center[pair]} and {neighbor[pair]} are {distance[pair]:.2g} A apart, "
            f"expected at least {MIN_DISTANCE} A; remove one of them"
        )


def _tie_rank(
    positions: np.ndarray,
    center: np.ndarray,
    place: np.ndarray,
    cell: np.ndarray,
    neighbor: np.ndarray,
) -> np.ndarray:
    """Return (pairs,) int64 ranks of the images `place` (angstrom) at equal distances.

    From high to low bits: cube, cell along the three vectors (14 bits each), site (16 bits).
    """
    # The search divides space into cubes from this corner. Only the cube's place relative to that
    # of the center matters: pymatgen visits the 27 cubes around it in this order.
    corner = positions.min(axis=0) - (ORDER_CUBE + 2 * _SEARCH_TOLERANCE)
    cube = np.floor((place - corner) / ORDER_CUBE) @ _CUBE_STRIDES
    cube -= (np.floor((positions - corner) / ORDER_CUBE) @ _CUBE_STRIDES)[center]
    descending = (cell @ _CELL_STRIDES).astype(np.int64) * 2**16 + neighbor
    return cube.astype(np.int64) * 2**58 - descending


def _inverse(lattice: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the inverse, by cofactors, and the determinant in cubic angstrom.

    It rounds as pymatgen's search does: the last bit decides the cell of a site on a face.
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
    """Multiply (n, 3) rows by a (3, 3) matrix."""
    # By plain sums: BLAS rounds differently on different machines, and graphs must be equal.
    product = rows[:, 0:1] * matrix[0]
    product += rows[:, 1:2] * matrix[1]
    product += rows[:, 2:3] * matrix[2]
    return product


_PERIODIC = np.ones(3, dtype=np.int64)
_CUBE_STRIDES = np.array([9.0, 3.0, 1.0])
_CELL_STRIDES = np.array([2.0**28, 2.0**14, 1.0])


@cache
def _find_points_in_spheres() -> Any:
    """Return pymatgen's compiled search; imported late, because training does not need pymatgen."""
    from pymatgen.optimization.neighbors import find_points_in_spheres

    return find_points_in_spheres
