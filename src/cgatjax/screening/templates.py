"""Template of a prototype: one reduced graph shared by all its decorations.

The network sees no distances, so the elements affect a graph only through the merging of equivalent
sites. Here sites are merged by site class instead of by element: merged sites then stay equivalent
for every assignment of elements to the classes (docs/guides/screening.md).
"""

import dataclasses
import functools
import itertools
import math
from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cgatjax.config import GraphConfig
from cgatjax.errors import InputError
from cgatjax.graphs.crystal_graph import CrystalGraph, featurize
from cgatjax.graphs.hashes import graph_hash
from cgatjax.graphs.reduction import reduce_graph
from cgatjax.structures.crystal import Crystal
from cgatjax.structures.elements import SYMBOLS

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
        """Make the template of a prototype.

        Args:
          crystal: the prototype.
          config: graph options of the model.
          by: "element": one class per element, named by its symbol; "orbit": one class per set of
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
        """Put other elements on the sites, in the cell of the prototype.

        Args:
          numbers: (classes,) atomic numbers.
        """
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
