"""Parser of CIF text to the arrays of a crystal.

gemmi splits the text into tags and values and knows the space groups; the sites are expanded here.
What a file says about itself (formula, Z, volume, multiplicities) is compared with the result, and
contradictions are refused: a CIF that is read as another crystal is worse than none.
"""

import math
from collections.abc import Sequence

import numpy as np

from cgatjax.errors import StructureError
from cgatjax.structures.cif.checks import check_content, check_volume
from cgatjax.structures.cif.sites import COORDINATES, Site, sites_of
from cgatjax.structures.cif.symmetry import Symmetry, symmetries_of
from cgatjax.structures.cif.tags import CifTags, read_blocks
from cgatjax.structures.crystal import MAX_LENGTH, Cell
from cgatjax.structures.distances import closest_pair
from cgatjax.structures.elements import SYMBOLS

_LENGTHS = ("_cell_length_a", "_cell_length_b", "_cell_length_c")
_ANGLES = ("_cell_angle_alpha", "_cell_angle_beta", "_cell_angle_gamma")
_SAME_ATOM = 0.5
"""Angstrom; images of a site closer than this are one atom, or the file is wrong."""

_COINCIDENT = 0.05
"""Angstrom; sites of the list that are this close are at one position."""

_NOISE = 0.02
"""Angstrom; shift onto a special position that is allowed in files of any precision."""

_FLAT = 1e-8
"""Smallest square of the height of a unit vector over the plane of the others."""


def cell_of_cif(text: str) -> Cell:
    """Parse the one structure of a CIF text, in the cell of the CIF.

    Coordinates that are rounded thirds or sixths are taken as these fractions, and sites within
    their rounding of a special position are moved there.

    Raises:
      StructureError: malformed text, no structure or several, disordered or unknown sites, an
        unknown or ambiguous setting of the space group, or contradictions between the sites and
        the formula, Z, volume or multiplicities that the file states.
    """
    tags = _structure_block(text)
    lattice = _lattice(tags)
    check_volume(tags, lattice)
    sites = sites_of(tags)
    symmetries = symmetries_of(tags)
    fitting = [symmetry for symmetry in symmetries if symmetry.fits(lattice)]
    if not fitting:
        raise StructureError(
            f"the cell does not have the symmetry of {symmetries[0].name}; expected the setting "
            "that belongs to the cell, or the list of symmetry operations"
        )
    return _best_setting(tags, lattice, sites, fitting)


def _structure_block(text: str) -> CifTags:
    """Return the block with a cell and sites."""
    if "_cell_length_a" not in text.lower().replace(".", "_"):
        raise StructureError("expected CIF text with a unit cell; _cell_length_a is not in it")
    blocks = [block for block in read_blocks(text) if block.has("_cell_length_a")]
    found = [block for block in blocks if block.has(*COORDINATES)]
    if len(found) > 1:
        raise StructureError(f"expected one structure in the CIF, got {len(found)}; split it")
    if not found:
        raise StructureError("no sites: expected _atom_site_fract_x, y and z in the CIF")
    if (found[0].number("_cell_modulation_dimension") or 0) > 0:
        raise StructureError("modulated structure; expected a periodic one (an approximant)")
    return found[0]


def _lattice(tags: CifTags) -> np.ndarray:
    """Return the (3, 3) lattice, a along x and b in the xy plane."""
    values = [tags.number(tag) for tag in (*_LENGTHS, *_ANGLES)]
    for tag, value in zip((*_LENGTHS, *_ANGLES), values, strict=True):
        most = 180.0 if tag in _ANGLES else MAX_LENGTH
        if value is None or not 0 < value < most:
            raise StructureError(f"expected a number between 0 and {most:g} for {tag}, got {value}")
    a, b, c, alpha, beta, gamma = (float(value or 0) for value in values)
    cos_a, cos_b, cos_c = (_cosine(angle) for angle in (alpha, beta, gamma))
    sin_c = math.sqrt(1 - cos_c**2)
    c_x, c_y = cos_b, (cos_a - cos_b * cos_c) / sin_c
    square = 1 - c_x**2 - c_y**2
    if square <= _FLAT:
        raise StructureError(f"no cell has the angles {alpha}, {beta}, {gamma} (singular lattice)")
    c_z = math.sqrt(square)
    return np.array([[a, 0, 0], [b * cos_c, b * sin_c, 0], [c * c_x, c * c_y, c * c_z]])


def _cosine(degrees: float) -> float:
    """Return the cosine, exact for 60, 90 and 120 degrees, so that equal distances stay equal."""
    return {60.0: 0.5, 90.0: 0.0, 120.0: -0.5}.get(degrees, math.cos(math.radians(degrees)))


def _best_setting(
    tags: CifTags, lattice: np.ndarray, sites: Sequence[Site], symmetries: Sequence[Symmetry]
) -> Cell:
    """Return the cell under the one symmetry that agrees with the file; StructureError without
    one.
    """
    found: list[tuple[Symmetry, Cell]] = []
    errors = []
    for symmetry in symmetries:
        try:
            coords, numbers = _expand(lattice, sites, symmetry)
            check_content(tags, numbers, symmetry)
            if len(symmetries) > 1 and closest_pair(lattice, coords, _SAME_ATOM):
                raise StructureError(f"sites coincide in the setting {symmetry.name}")
        except StructureError as error:
            errors.append(error)
        else:
            found.append((symmetry, (lattice, coords, numbers)))
    if not found:
        raise errors[0]
    if len(found) > 1 and not all(_is_same(found[0][1], cell) for _, cell in found[1:]):
        names = ", ".join(symmetry.name for symmetry, _ in found)
        raise StructureError(
            f"ambiguous setting: {names} all agree with the file; expected the origin and axes in "
            "the symbol, or the list of symmetry operations"
        )
    return found[0][1]


def _is_same(one: Cell, other: Cell) -> bool:
    """Check that two sets of sites in one lattice are equal."""
    if sorted(one[2].tolist()) != sorted(other[2].tolist()):
        return False
    apart = one[1][:, None] - other[1]
    near = (np.abs(apart - np.round(apart)) < 1e-4).all(axis=2)
    near &= one[2][:, None] == other[2]
    return bool(near.any(axis=0).all() and near.any(axis=1).all())


def _expand(
    lattice: np.ndarray, sites: Sequence[Site], symmetry: Symmetry
) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates (n, 3) and atomic numbers (n,) of all sites of the cell."""
    if len(symmetry.rotations) == 1:
        orbits = [site.coords[None] for site in sites]
    else:
        orbits = [_orbit(lattice, site, symmetry) for site in sites]
    for site, orbit in zip(sites, orbits, strict=True):
        _check_multiplicity(site, len(orbit), symmetry)
    kept = list(range(len(sites)))
    coords = np.concatenate(orbits)
    if closest_pair(lattice, coords, _COINCIDENT):
        kept = _without_listed_copies(lattice, sites, orbits)
        coords = np.concatenate([orbits[i] for i in kept])
    numbers = np.repeat(
        np.array([sites[i].number for i in kept], dtype=np.uint8), [len(orbits[i]) for i in kept]
    )
    return coords, numbers


def _orbit(lattice: np.ndarray, site: Site, symmetry: Symmetry) -> np.ndarray:
    """Return the (m, 3) equivalent positions of a site.

    Operations that leave the site in place, up to the rounding of its coordinates, are its
    stabilizer; the mean of their images is the exact special position.
    """
    images = symmetry.rotations @ site.coords + symmetry.translations
    apart = images - site.coords
    apart -= np.round(apart)
    distances = np.linalg.norm(apart @ lattice, axis=1)
    # The image of a rounded coordinate is off by up to three last digits (-x+y, and x itself).
    slack = np.maximum(4 * site.precision.max(), 4 * _NOISE / np.linalg.norm(lattice, axis=1))
    stays = (distances < _SAME_ATOM) & (np.abs(apart) <= slack).all(axis=1)
    shift = apart[stays].mean(axis=0)
    allowed = np.maximum(1.01 * site.precision, _NOISE / np.linalg.norm(lattice, axis=1))
    if not (np.abs(shift) <= allowed).all():
        stays = distances < 1e-6
        shift = apart[stays].mean(axis=0)
    images = symmetry.rotations @ (site.coords + shift) + symmetry.translations
    apart = images[:, None] - images
    apart -= np.round(apart)
    is_same = (np.abs(apart) < 1e-5).all(axis=2)
    orbit = images[is_same.argmax(axis=1) == np.arange(len(images))] % 1.0
    if len(orbit) * int(stays.sum()) != len(images):
        raise StructureError(
            f"{site.label} is near a special position of {symmetry.name}, but the rounding of its "
            "coordinates does not explain the difference; give more digits"
        )
    return orbit


def _check_multiplicity(site: Site, n: int, symmetry: Symmetry) -> None:
    """Compare the number of equivalent sites with the stated one.

    Some programs write the order of the site symmetry instead, which is accepted.
    """
    m = len(symmetry.rotations)
    if site.multiplicity is not None and site.multiplicity not in (n, m / n):
        raise StructureError(
            f"{site.label} has {n} equivalent sites by {symmetry.name}, but the file states "
            f"{site.multiplicity:g}"
        )


def _without_listed_copies(
    lattice: np.ndarray, sites: Sequence[Site], orbits: Sequence[np.ndarray]
) -> list[int]:
    """Return the indices of sites without those that symmetry makes of earlier ones."""
    coords = np.array([site.coords for site in sites])
    kept: list[int] = []
    for i, site in enumerate(sites):
        copies = []
        for j in kept:
            apart = coords[i] - orbits[j]
            apart -= np.round(apart)
            distances = np.linalg.norm(apart @ lattice, axis=1)
            if distances.min() < _COINCIDENT:
                copies.append(j)
                direct = coords[i] - coords[j]
                direct -= np.round(direct)
                is_direct = np.linalg.norm(direct @ lattice) < _COINCIDENT
                if is_direct or sites[j].number != site.number:
                    raise StructureError(
                        f"{sites[j].label} ({SYMBOLS[sites[j].number]}) and {site.label} "
                        f"({SYMBOLS[site.number]}) are at one position; expected one atom per site"
                    )
        if not copies:
            kept.append(i)
    return kept
