"""Parser of CIF text to the arrays of a crystal.

gemmi splits the text into tags and values and knows the space groups; the sites are expanded here.
What a file says about itself (formula, Z, volume, multiplicities) is compared with the result, and
contradictions are refused: a CIF that is read as another crystal is worse than none.
"""

import math
import re
import string
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cgatjax.errors import StructureError
from cgatjax.structures.cif.checks import check_content, check_volume
from cgatjax.structures.cif.symmetry import Symmetry, symmetries_of
from cgatjax.structures.cif.tags import CifNumber, CifTags, read_blocks
from cgatjax.structures.crystal import MAX_LENGTH, OCCUPANCY_TOLERANCE, Cell
from cgatjax.structures.distances import closest_pair
from cgatjax.structures.elements import SYMBOLS, atomic_number

_LENGTHS = ("_cell_length_a", "_cell_length_b", "_cell_length_c")
_ANGLES = ("_cell_angle_alpha", "_cell_angle_beta", "_cell_angle_gamma")
_COORDINATES = ("_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z")

_SAME_ATOM = 0.5
"""Angstrom; images of a site closer than this are one atom, or the file is wrong."""

_COINCIDENT = 0.05
"""Angstrom; sites of the list that are this close are at one position."""

_NOISE = 0.02
"""Angstrom; shift onto a special position that is allowed in files of any precision."""

_LARGEST_COORDINATE = 1e4

_FLAT = 1e-8
"""Smallest square of the height of a unit vector over the plane of the others."""

_COARSEST_DIGIT = 0.01
"""Precision assumed for coordinates of fewer decimals: 0.5 is exact, not 0.45 to 0.55."""


@dataclass(frozen=True)
class _Site:
    """Row of the atom list.

    Attributes:
      label: label, for messages.
      number: atomic number.
      coords: (3,) fractional coordinates.
      precision: (3,) unit of their last digits.
      multiplicity: stated number of equivalent sites, or None.
    """

    label: str
    number: int
    coords: np.ndarray
    precision: np.ndarray
    multiplicity: float | None


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
    sites = _sites(tags)
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
    found = [block for block in blocks if block.has(*_COORDINATES)]
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


def _sites(tags: CifTags) -> list[_Site]:
    """Return the rows of the atom list, without dummy and empty sites."""
    columns = [tags.column(tag) for tag in _COORDINATES]
    n = len(columns[0])
    if n == 0 or any(len(column) != n for column in columns):
        raise StructureError(f"no sites: the CIF lists {[len(c) for c in columns]} x, y and z")
    types = _per_site(tags, n, "_atom_site_type_symbol")
    labels = _per_site(tags, n, "_atom_site_label")
    names = [labels[i] or types[i] or f"site {i + 1}" for i in range(n)]
    occupancies = _per_site(tags, n, "_atom_site_occupancy")
    kinds = _per_site(tags, n, "_atom_site_calc_flag")
    hydrogens = _per_site(tags, n, "_atom_site_attached_hydrogens")
    multiplicities = _per_site(
        tags, n, "_atom_site_symmetry_multiplicity", "_atom_site_site_symmetry_multiplicity"
    )
    _require_one_disorder_group(_per_site(tags, n, "_atom_site_disorder_group"))
    formula = tags.text("_chemical_formula_sum") or ""
    sites = []
    for i, name in enumerate(names):
        if kinds[i] == "dum" or not _is_occupied(occupancies[i], name):
            continue
        if (_number_or_none(hydrogens[i]) or 0) > 0:
            raise StructureError(
                f"{name} has {hydrogens[i]} attached hydrogens (H) without positions; expected all "
                "atoms"
            )
        parsed = [_coordinate(column[i], name) for column in columns]
        sites.append(
            _Site(
                label=name,
                number=_element(types[i], labels[i], formula),
                coords=np.array([value for value, _ in parsed]),
                precision=np.array([digit for _, digit in parsed]),
                multiplicity=_number_or_none(multiplicities[i]),
            )
        )
    if not sites:
        raise StructureError("no sites; expected at least one")
    return sites


def _per_site(tags: CifTags, n: int, *names: str) -> list[str]:
    """Return a column of the atom list, "" for missing values."""
    column = tags.column(*names)
    if len(column) != n:
        return [""] * n
    return ["" if value in ("?", ".") else value.strip() for value in column]


def _number_or_none(text: str) -> float | None:
    number = CifNumber.parse(text)
    return None if number is None else number.value


def _is_occupied(text: str, name: str) -> bool:
    """Check that an occupancy is 1 (True) or 0 (False).

    Raises:
      StructureError: any other occupancy.
    """
    if not text:
        return True
    value = _number_or_none(text)
    if value is not None and abs(value - 1.0) <= OCCUPANCY_TOLERANCE:
        return True
    if value == 0.0:
        return False
    raise StructureError(
        f"{name} is disordered (occupancy {text}); expected occupancy 1, use an ordered approximant"
    )


def _require_one_disorder_group(groups: Sequence[str]) -> None:
    named = sorted({group for group in groups if group not in ("", "0")})
    if len(named) > 1:
        raise StructureError(
            f"the sites are disordered (groups {', '.join(named)}); use an ordered approximant"
        )


def _coordinate(text: str, name: str) -> tuple[float, float]:
    """Return a coordinate and its precision; a rounded k/6 becomes the exact fraction."""
    number = CifNumber.parse(text)
    if number is None or abs(number.value) > _LARGEST_COORDINATE:
        raise StructureError(f"{name} has no position; expected a number, got {text!r:.40}")
    value, digit = number.value, number.last_digit
    if digit > 0 and not number.is_refined and digit <= 1e-3:
        sixth = round(6 * value) / 6
        # Half a digit if rounded, one if cut (0.6666); within it the file cannot tell them apart.
        if abs(value - sixth) < digit * (1 + 1e-6):
            value = sixth
    return value, min(digit, _COARSEST_DIGIT)


def _element(kind: str, label: str, formula: str) -> int:
    """Return the atomic number by type symbol ("Fe3+"), or else by label ("Fe1", "FeM1").

    Raises:
      StructureError: no element, or several readings ("CO1" without a formula, "OH", "Al/Si").
    """
    text = kind or label
    letters = text[: len(text) - len(text.lstrip(string.ascii_letters))]
    rest = text[len(letters) :]
    is_pure = not re.search(r"[A-Za-z]" if kind else r"[/,]", rest)
    candidates = [letters.capitalize()]
    if not kind:
        first_two = letters[:2] if letters[1:2].islower() else letters[:1]
        may_hold_hydrogen = letters[1:2] in ("H", "W", "h", "w")  # OH, NH4, water
        if len(letters) > len(first_two) and not may_hold_hydrogen:
            candidates.append(first_two)
    elements = [symbol for symbol in dict.fromkeys(candidates) if symbol in SYMBOLS[1:]]
    if len(elements) > 1:
        stated = re.findall(r"[A-Z][a-z]?", formula)
        elements = [symbol for symbol in elements if symbol in stated]
    if is_pure and letters == "D":
        return 1
    if is_pure and len(elements) == 1 and (kind or letters[:1].isupper()):
        return atomic_number(elements[0])
    raise StructureError(
        f"unknown element {text!r}; expected _atom_site_type_symbol with the symbol of one element"
    )


def _best_setting(
    tags: CifTags, lattice: np.ndarray, sites: Sequence[_Site], symmetries: Sequence[Symmetry]
) -> Cell:
    """Return the cell under the one symmetry that agrees with the file.

    Raises:
      StructureError: no symmetry agrees, or several do and give different crystals.
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
    lattice: np.ndarray, sites: Sequence[_Site], symmetry: Symmetry
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


def _orbit(lattice: np.ndarray, site: _Site, symmetry: Symmetry) -> np.ndarray:
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


def _check_multiplicity(site: _Site, n: int, symmetry: Symmetry) -> None:
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
    lattice: np.ndarray, sites: Sequence[_Site], orbits: Sequence[np.ndarray]
) -> list[int]:
    """Return the indices of sites without those that symmetry makes of earlier ones.

    Raises:
      StructureError: two sites are listed at one position.
    """
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
