"""Structure types: sites of a primitive cell, each with a role that takes an ion.

A role is a letter: A, B, C take cations, X, Y take anions. Lengths are in units of the cell
parameter a. Coordinates are in `prototype_table`.
"""

import functools
import itertools
import re
from dataclasses import dataclass

import numpy as np

from cgatjax.errors import InputError
from cgatjax.synthetic.born_lande import EXPONENTS
from cgatjax.synthetic.lattice_sums import electrostatic_matrix, inverse_power_sums, pair_distances
from cgatjax.synthetic.prototype_table import PROTOTYPE_TABLE

_CENTRING = {
    "P": np.eye(3),
    "F": np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2,
    "I": np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]]) / 2,
    "R": np.array([[2, 1, 1], [-1, 1, 1], [-1, -2, 1]]) / 3,
}


@dataclass(frozen=True, eq=False)
class Prototype:
    """Structure type at scale a = 1.

    Attributes:
      name: name of the type, which starts the ids of its crystals.
      spacegroup: space-group number.
      lattice: (3, 3) primitive lattice vectors as rows, in units of a.
      frac_coords: (n, 3) fractional coordinates in the primitive cell.
      roles: role letters, cations first.
      site_roles: (n,) index of each site into `roles`.
    """

    name: str
    spacegroup: int
    lattice: np.ndarray
    frac_coords: np.ndarray
    roles: tuple[str, ...]
    site_roles: np.ndarray

    @property
    def role_counts(self) -> np.ndarray:
        """(roles,) number of sites of each role in the primitive cell."""
        return np.bincount(self.site_roles, minlength=len(self.roles))

    @property
    def is_cation(self) -> np.ndarray:
        """(roles,) bool, True for roles that take cations."""
        return np.array([role in "ABC" for role in self.roles])

    @property
    def volume(self) -> float:
        """Volume of the primitive cell in units of a**3."""
        return abs(float(np.linalg.det(self.lattice)))

    def _by_role(self, site_values: np.ndarray) -> np.ndarray:
        member = np.eye(len(self.roles))[self.site_roles]
        summed: np.ndarray = member.T @ site_values @ member
        return summed

    @functools.cached_property
    def potentials(self) -> np.ndarray:
        """(roles, roles) Ewald sums at a = 1, summed over the sites of each role."""
        return self._by_role(electrostatic_matrix(self.lattice, self.frac_coords))

    @functools.cached_property
    def power_sums(self) -> np.ndarray:
        """(12, roles, roles) sums of d**-n at a = 1 for n = EXPONENTS[1:], summed by role."""
        return self._by_role(inverse_power_sums(self.lattice, self.frac_coords, EXPONENTS[1:]))

    @functools.cached_property
    def nearest(self) -> np.ndarray:
        """(roles, roles) shortest distance between sites of two roles, in units of a."""
        reach = 3 * self.volume ** (1 / 3)
        distance = pair_distances(self.lattice, self.frac_coords, reach).min(axis=-1)
        nearest = np.full((len(self.roles), len(self.roles)), np.inf)
        np.minimum.at(nearest, (self.site_roles[:, None], self.site_roles[None, :]), distance)
        return nearest

    @functools.cached_property
    def equivalent_roles(self) -> tuple[tuple[int, int], ...]:
        """Pairs i < j of symmetry-equivalent roles for ions of one sign."""
        sums = np.concatenate([self.potentials[None], self.power_sums])
        pairs = []
        for i, j in itertools.combinations(range(len(self.roles)), 2):
            order = np.arange(len(self.roles))
            order[[i, j]] = j, i
            same = np.allclose(sums, sums[:, order][:, :, order], rtol=1e-9, atol=1e-9)
            if same and self.is_cation[i] == self.is_cation[j]:
                pairs.append((i, j))
        return tuple(pairs)


def _coordinate(expression: str, parameters: dict[str, float]) -> float:
    """Evaluate a sum of fractions and parameters, such as "1/2-x" or "2x"."""
    total = 0.0
    for sign, factor, name, number in re.findall(
        r"([+-]?)(?:(\d?)([a-z])|(\d+(?:/\d+)?))", expression
    ):
        if name:
            value = int(factor or 1) * parameters[name]
        else:
            numerator, _, denominator = number.partition("/")
            value = int(numerator) / int(denominator or 1)
        total += -value if sign == "-" else value
    return total


def _points(words: list[str], parameters: dict[str, float]) -> list[list[float]]:
    points = []
    for word in words:
        point = [_coordinate(part, parameters) for part in word.removeprefix("±").split(",")]
        points.append(point)
        if word.startswith("±"):
            points.append([-x for x in point])
    return points


def _build(header: str, roles: dict[str, list[str]]) -> Prototype:
    name, spacegroup, centring, axial_ratio, *assignments = header.split()
    parameters = {key: float(value) for key, value in (a.split("=") for a in assignments)}
    conventional = np.diag([1.0, 1.0, float(axial_ratio)])
    if 143 <= int(spacegroup) <= 194:
        conventional[1, :2] = -0.5, np.sqrt(0.75)
    basis = _CENTRING[centring]
    groups = [_points(words, parameters) for words in roles.values()]
    frac_coords = np.concatenate([np.array(group) for group in groups]) @ np.linalg.inv(basis)
    frac_coords -= np.floor(frac_coords + 1e-9)
    site_roles = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    lattice = basis @ conventional
    return Prototype(name, int(spacegroup), lattice, frac_coords, tuple(roles), site_roles)


@functools.cache
def prototypes() -> tuple[Prototype, ...]:
    """Parse all structure types, with two to eighteen sites in the primitive cell."""
    blocks = re.split(r"\n(?=\S)", PROTOTYPE_TABLE.strip())
    built = []
    for block in blocks:
        header, *lines = block.splitlines()
        roles: dict[str, list[str]] = {}
        for line in lines:
            first, *words = line.split()
            letter = first if first.isalpha() and len(first) == 1 else ""
            role = letter or next(reversed(roles))
            roles.setdefault(role, []).extend(words if letter else [first, *words])
        built.append(_build(header, roles))
    return tuple(built)


def find_prototype(name: str) -> Prototype:
    """Look up a structure type by name.

    Raises:
      InputError: unknown name.
    """
    for prototype in prototypes():
        if prototype.name == name:
            return prototype
    known = ", ".join(prototype.name for prototype in prototypes())
    raise InputError(f"expected a structure type, one of {known}; got {name!r}")
