"""Template of a prototype: one reduced graph shared by all its decorations.

The network sees no distances, so the elements affect a graph only through the merging of equivalent
sites. Here sites are merged by site class instead of by element: merged sites then stay equivalent
for every assignment of elements to the classes (docs/guides/screening.md).
"""

import dataclasses
import functools
import itertools
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from cgatjax.config import GraphConfig
from cgatjax.errors import InputError
from cgatjax.graphs.crystal_graph import CrystalGraph, featurize
from cgatjax.graphs.hashes import graph_hash
from cgatjax.graphs.reduction import reduce_graph
from cgatjax.structures import SYMBOLS, Crystal, atomic_number
from cgatjax.synthetic.prototypes import Prototype

Classes = Literal["element", "orbit"]
MOST_CLASSES = 255
"""Class labels take the place of atomic numbers, which have 8 bits."""
MOST_PERMUTATIONS = 5040
"""Limit of permutations to test for equivalent classes; beyond it none is tested."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Template:
    """Structure type with classes of sites to put elements on.

    Attributes:
      crystal: the prototype.
      classes: names of the site classes, such as ("Sr", "Ti", "O").
      own: (classes,) uint8, atomic numbers of the prototype.
      counts: (classes,) int64, number of sites in each class.
      site_class: (sites,) int64, class of each site.
      graph: graph reduced by site class, valid for every decoration.
      node_class: (nodes,) int64, class of each node.
    """

    crystal: Crystal
    classes: tuple[str, ...]
    own: np.ndarray
    counts: np.ndarray
    site_class: np.ndarray
    graph: CrystalGraph
    node_class: np.ndarray

    @classmethod
    def of(cls, crystal: Crystal, config: GraphConfig, by: Classes = "element") -> "Template":
        """Make the template of a prototype for the graph options of a model.

        `by="element"` gives one class per element, named by its symbol; `by="orbit"` one per set of
        sites that the network cannot distinguish, named "O1", "O2".

        Raises:
          StructureError: the prototype cannot be featurized.
          InputError: more than 255 classes.
        """
        unreduced = featurize(crystal, config)
        site_class = _classes_of(unreduced, by)
        n = int(site_class.max()) + 1
        if n > MOST_CLASSES:
            raise InputError(f"{crystal.id!r}: expected at most {MOST_CLASSES} classes, got {n}")
        labels = (site_class + 1).astype(np.uint8)
        graph = reduce_graph(dataclasses.replace(unreduced, atomic_numbers=labels))
        first = np.unique(site_class, return_index=True)[1]
        own, node_class = crystal.atomic_numbers[first], graph.atomic_numbers.astype(np.int64) - 1
        return cls(
            crystal=crystal,
            classes=_names(own) if by == "orbit" else tuple(SYMBOLS[z] for z in own),
            own=own,
            counts=np.bincount(site_class),
            site_class=site_class,
            graph=dataclasses.replace(graph, atomic_numbers=own[node_class]),
            node_class=node_class,
        )

    def decorated(self, numbers: np.ndarray) -> Crystal:
        """Put elements of (classes,) atomic numbers on the sites, in the cell of the prototype."""
        elements = np.asarray(numbers, np.uint8)[self.site_class]
        return dataclasses.replace(
            self.crystal, id=self.name_of(numbers), atomic_numbers=elements, targets={}
        )

    def name_of(self, numbers: np.ndarray) -> str:
        """Name a decoration by the prototype's id and the elements in the order of the classes."""
        return f"{self.crystal.id}:{'-'.join(SYMBOLS[z] for z in np.asarray(numbers).tolist())}"

    @functools.cached_property
    def permutations(self) -> np.ndarray:
        """(p, classes) permutations of equivalent classes, without the identity.

        The assignments `numbers` and `numbers[permutation]` have the same graph, as graph hashes
        show. Empty if there are more than `MOST_PERMUTATIONS` to test.
        """
        n = len(self.classes)
        groups = [np.flatnonzero(self.counts == c).tolist() for c in sorted({*self.counts})]
        if math.prod(math.factorial(len(group)) for group in groups) > MOST_PERMUTATIONS:
            return np.empty((0, n), np.int64)
        found = []
        for choice in itertools.product(*map(itertools.permutations, groups)):
            order = np.arange(n)
            for group, images in zip(groups, choice, strict=True):
                order[group] = images
            if (order != np.arange(n)).any() and self._labeled_hash(order) == self._plain_hash:
                found.append(order)
        return np.array(found, np.int64).reshape(-1, n)

    @functools.cached_property
    def _plain_hash(self) -> int:
        return self._labeled_hash(np.arange(len(self.classes)))

    def _labeled_hash(self, labels: np.ndarray) -> int:
        numbers = (labels[self.node_class] + 1).astype(np.uint8)
        return graph_hash(dataclasses.replace(self.graph, atomic_numbers=numbers))


def _classes_of(graph: CrystalGraph, by: Classes) -> np.ndarray:
    """Return the (sites,) class of each site, numbered in order of appearance."""
    values = graph.atomic_numbers if by == "element" else reduce_graph(graph).site_class
    number: dict[int, int] = {}
    return np.array([number.setdefault(value, len(number)) for value in values.tolist()])


def _names(own: np.ndarray) -> tuple[str, ...]:
    """Name classes by symbol, with numbers if several share an element: ("Fe", "O1", "O2")."""
    symbols = [SYMBOLS[z] for z in own.tolist()]
    total, seen = Counter(symbols), Counter[str]()
    names = []
    for symbol in symbols:
        seen[symbol] += 1
        names.append(symbol if total[symbol] == 1 else f"{symbol}{seen[symbol]}")
    return tuple(names)


MOST = 2**62
"""Limit of the number of assignments, which are counted in 64 bits."""


@dataclass(frozen=True)
class Assignments:
    """Cartesian product of the lists of elements of all site classes.

    Attributes:
      pools: distinct atomic numbers of each class.

    Raises:
      InputError: no class, an empty list, an element twice in one, or too many assignments.
    """

    pools: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        if not self.pools:
            raise InputError("expected at least one site class to put elements on, got none")
        for position, pool in enumerate(self.pools):
            if not pool or len(set(pool)) != len(pool):
                symbols = [SYMBOLS[number] for number in pool]
                raise InputError(
                    f"class {position}: expected a list of different elements, got {symbols}"
                )
        if self.n >= MOST:
            raise InputError(
                f"expected fewer than {MOST:.3g} assignments, got {self.n:.3g}; give shorter lists "
                "of elements"
            )

    @property
    def n(self) -> int:
        """Number of assignments."""
        return math.prod(len(pool) for pool in self.pools)

    def at(self, start: int, stop: int) -> np.ndarray:
        """Return (stop - start, classes) uint8 atomic numbers of the assignments start..stop - 1.

        >>> Assignments(((11, 19), (9, 17, 35))).at(2, 4).tolist()
        [[11, 35], [19, 9]]
        """
        if not 0 <= start <= stop <= self.n:
            raise InputError(f"expected numbers within 0..{self.n}, got {start}..{stop}")
        rest = np.arange(start, stop, dtype=np.int64)
        columns = []
        for pool in reversed(self.pools):
            rest, digit = np.divmod(rest, len(pool))
            columns.append(np.array(pool, np.uint8)[digit])
        return np.stack(columns[::-1], axis=1)


def elements_of(symbols: Sequence[str]) -> tuple[int, ...]:
    """Convert distinct element symbols, at least one, to atomic numbers, or raise InputError."""
    numbers = tuple(atomic_number(symbol) for symbol in symbols)
    repeated = sorted({SYMBOLS[n] for n in numbers if numbers.count(n) > 1})
    if not numbers or repeated:
        raise InputError(
            f"expected different element symbols, got {repeated[0]!r} twice"
            if repeated
            else "expected at least one element symbol, got an empty list"
        )
    return numbers


STAND_INS = {"A": "Sr", "B": "Ti", "C": "Zr", "X": "O", "Y": "F"}
"""Role -> element that stands on its sites until a screening puts others there."""
SOURCE = "structure type"
SHORTEST = 2.2
"""Shortest distance between two sites in angstrom; the cells are not relaxed."""


def split_prototypes(inputs: Any) -> tuple[list[Prototype], Any]:
    """Separate structure types from other inputs of a screening; None if there are no others."""
    if not isinstance(inputs, list | tuple):
        return [], inputs
    types = [item for item in inputs if isinstance(item, Prototype)]
    others: Sequence[Any] = [item for item in inputs if not isinstance(item, Prototype)]
    return types, others or (None if types else inputs)


def template_of(prototype: Prototype, config: GraphConfig, by: Classes) -> Template:
    """Make the template of a structure type, whose classes of sites are its roles A, B, X, ..."""
    stand_ins = np.array([atomic_number(STAND_INS[role]) for role in prototype.roles], np.uint8)
    crystal = Crystal(
        id=prototype.name,
        lattice=prototype.lattice * SHORTEST / prototype.nearest.min(),
        frac_coords=prototype.frac_coords.copy(),
        atomic_numbers=stand_ins[prototype.site_roles],
        source=SOURCE,
    )
    template = Template.of(crystal, config, by)
    role_of = dict(zip((SYMBOLS[z] for z in stand_ins), prototype.roles, strict=True))
    names = (re.fullmatch(r"([A-Z][a-z]?)(\d*)", name) for name in template.classes)
    classes = tuple(role_of[m[1]] + m[2] for m in names if m)
    return dataclasses.replace(template, classes=classes)
