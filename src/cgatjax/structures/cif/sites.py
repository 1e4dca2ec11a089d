"""Atom list of a CIF: elements, coordinates with their precision, stated multiplicities."""

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cgatjax.errors import StructureError
from cgatjax.structures.cif.tags import CifNumber, CifTags
from cgatjax.structures.crystal import OCCUPANCY_TOLERANCE
from cgatjax.structures.elements import SYMBOLS, atomic_number

COORDINATES = ("_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z")
_LARGEST_COORDINATE = 1e4
_COARSEST_DIGIT = 0.01
"""Precision assumed for coordinates of fewer decimals: 0.5 is exact, not 0.45 to 0.55."""


@dataclass(frozen=True)
class Site:
    """Row of the atom list: (3,) fractional coordinates, and the units of their last digits.

    The stated number of equivalent sites may be missing.
    """

    label: str
    number: int
    coords: np.ndarray
    precision: np.ndarray
    multiplicity: float | None


def sites_of(tags: CifTags) -> list[Site]:
    """Return the rows of the atom list, without dummy and empty sites."""
    columns = [tags.column(tag) for tag in COORDINATES]
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
            Site(
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
    """Check that an occupancy is 1 (True) or 0 (False); any other one is disorder."""
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

    Several readings are refused: "CO1" without a formula, "OH", "Al/Si".
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
