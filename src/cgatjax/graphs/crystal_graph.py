"""Crystal graphs: the neighbors of every site, with shell indices and weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import numpy as np

from cgatjax.config import GraphConfig
from cgatjax.errors import InputError
from cgatjax.graphs.neighbors import MAX_SITES, nearest_neighbors
from cgatjax.structures import MAX_ATOMIC_NUMBER, readable_formula, reduced_formula, to_crystal

NODE_COLUMNS = ("atomic_numbers", "node_multiplicity")
EDGE_COLUMNS = (
    "edge_center",
    "edge_neighbor",
    "edge_shell",
    "weight_numerator",
    "weight_denominator",
)
_DTYPES = {
    "atomic_numbers": np.uint8,
    "node_multiplicity": np.uint32,
    "site_class": np.uint16,
    "edge_center": np.uint16,
    "edge_neighbor": np.uint16,
    "edge_shell": np.uint8,
    "weight_numerator": np.uint16,
    "weight_denominator": np.uint16,
}


@dataclass(frozen=True, eq=False, kw_only=True)
class CrystalGraph:
    """Graph of a periodic crystal, one entry per edge, edges ordered by center.

    An unreduced graph has one node per site. In a reduced one (`reduce_graph`) a node is a class
    of sites that no number of message-passing steps can distinguish.

    Attributes:
      id: name of the crystal.
      atomic_numbers: (nodes,) uint8.
      node_multiplicity: (nodes,) uint32, number of sites of each node; their sum is `n_sites`.
      site_class: (sites,) uint16, the node of each site.
      edge_center: (edges,) uint16, ascending: the node whose neighbors are listed.
      edge_neighbor: (edges,) uint16, the neighbor.
      edge_shell: (edges,) uint8, shell index 1..K.
      weight_numerator, weight_denominator: (edges,) uint16; their quotient is the number of such
        neighbors of *one* site of the center's class (1 for an unreduced "cut" graph; a fraction
        in the last shell under "share"). Per center they sum to K.
      max_neighbors: K.
    """

    id: str = ""
    atomic_numbers: np.ndarray
    node_multiplicity: np.ndarray
    site_class: np.ndarray
    edge_center: np.ndarray
    edge_neighbor: np.ndarray
    edge_shell: np.ndarray
    weight_numerator: np.ndarray
    weight_denominator: np.ndarray
    max_neighbors: int = 24

    def __post_init__(self) -> None:
        for names in (NODE_COLUMNS, EDGE_COLUMNS):
            lengths = {name: len(getattr(self, name)) for name in names}
            if len(set(lengths.values())) > 1:
                raise InputError(f"{self.id!r}: expected arrays of one length, got {lengths}")

    @classmethod
    def packed(cls, id: str, max_neighbors: int, **arrays: np.ndarray) -> Self:
        """Make a graph of arrays whose numbers fit the types of its attributes."""
        columns = {name: array.astype(_DTYPES[name]) for name, array in arrays.items()}
        return cls(id=id, max_neighbors=max_neighbors, **columns)

    @classmethod
    def from_neighbors(
        cls, atomic_numbers: np.ndarray, neighbors: np.ndarray, shells: np.ndarray, *, id: str = ""
    ) -> Self:
        """Build an unreduced graph with K edges a site, all of weight 1.

        Args:
          atomic_numbers: (n,) integers.
          neighbors: (n, K) integers, neighbors of each site.
          shells: (n, K) integers, shell indices 1..K.
          id: name of the crystal.

        Raises:
          InputError: shapes do not fit, more than 65535 sites, or values that are not integers
            or out of range.

        Examples:
          >>> chain = CrystalGraph.from_neighbors([11, 17], [[1, 1], [0, 0]], [[1, 1], [1, 1]])
          >>> chain.n_nodes, chain.n_edges
          (2, 4)
        """
        numbers, neighbors, shells = map(np.asarray, (atomic_numbers, neighbors, shells))
        if (
            neighbors.ndim != 2
            or shells.shape != neighbors.shape
            or numbers.shape != neighbors.shape[:1]
        ):
            raise InputError(
                f"{id!r}: expected atomic numbers (n,), neighbors (n, K) and shells (n, K), "
                f"got {numbers.shape}, {neighbors.shape} and {shells.shape}"
            )
        n, k = neighbors.shape
        if not (1 <= n <= MAX_SITES and 1 <= k <= 255):
            raise InputError(
                f"{id!r}: expected 1..{MAX_SITES} sites and K in 1..255, got {n} and {k}"
            )
        _check_integers(id, "atomic_numbers", numbers, 1, MAX_ATOMIC_NUMBER)
        _check_integers(id, "neighbors", neighbors, 0, n - 1)
        _check_integers(id, "shells", shells, 1, k)
        ones = np.ones(n * k, dtype=np.int64)
        center = np.repeat(np.arange(n), k)
        edges = (center, neighbors.ravel(), shells.ravel(), ones, ones)
        return _unreduced(cls, numbers, edges, k, id)

    def __repr__(self) -> str:
        formula = readable_formula(reduced_formula(self.atomic_numbers[self.site_class]))
        name = f"{self.id!r}: " if self.id else ""
        return (
            f"{type(self).__name__}({name}{formula}, {self.n_sites} sites in {self.n_nodes} "
            f"classes, {self.n_edges} edges)"
        )

    @property
    def n_nodes(self) -> int:
        """Number of nodes (classes of sites)."""
        return len(self.atomic_numbers)

    @property
    def n_edges(self) -> int:
        """Number of (merged) edges."""
        return len(self.edge_center)

    @property
    def n_sites(self) -> int:
        """Number of sites of the crystal."""
        return len(self.site_class)

    @property
    def edge_weight(self) -> np.ndarray:
        """(edges,) float64 weights, per site of the center's class."""
        return self.weight_numerator / self.weight_denominator.astype(np.float64)

    @property
    def neighbors(self) -> np.ndarray:
        """(n, K) uint16 neighbors of each site; for an unreduced "cut" graph only.

        Raises:
          InputError: the graph is reduced or its sites do not have K edges of weight 1 each.
        """
        return self._dense("neighbors", self.edge_neighbor)

    @property
    def shells(self) -> np.ndarray:
        """(n, K) uint8 shell index of each neighbor; for an unreduced "cut" graph only.

        Raises:
          InputError: as for `neighbors`.
        """
        return self._dense("shells", self.edge_shell)

    def _dense(self, name: str, values: np.ndarray) -> np.ndarray:
        if self.n_nodes != self.n_sites:
            raise InputError(
                f"{self.id!r}: .{name} needs an unreduced graph, this one has {self.n_nodes} nodes "
                f"for {self.n_sites} sites; use the edge_* arrays, or do not reduce it"
            )
        per_node = np.bincount(self.edge_center, minlength=self.n_nodes)
        is_whole = (self.weight_numerator == 1) & (self.weight_denominator == 1)
        if (per_node != self.max_neighbors).any() or not is_whole.all():
            raise InputError(
                f"{self.id!r}: .{name} needs {self.max_neighbors} edges of weight 1 at every site, "
                "this graph has merged or shared ones; use the edge_* arrays and edge_weight"
            )
        return values.reshape(self.n_nodes, self.max_neighbors)


def featurize(
    structure: Any, config: GraphConfig | Mapping[str, Any] | None = None, *, id: str = ""
) -> CrystalGraph:
    """Build the graph of a crystal, one node per site, not reduced.

    Args:
      structure: a `Crystal`, a pymatgen `Structure` or an ASE `Atoms`.
      config: neighbors, shells and search radius, or a dictionary of these options; the released
        ones if None.
      id: name of the crystal; a `Crystal` has its own.

    Returns:
      The graph, with edges in the order of `nearest_neighbors`.

    Raises:
      StructureError: the crystal cannot be used; the message names it and says why.
      InputError: `structure` is none of the three.

    Examples:
      >>> from pymatgen.core import Lattice, Structure
      >>> cell = Lattice.cubic(5.6)
      >>> salt = Structure.from_spacegroup("Fm-3m", cell, ["Na", "Cl"], [[0] * 3, [0.5] * 3])
      >>> graph = featurize(salt, GraphConfig.recommended())
      >>> graph.n_sites, graph.n_edges, graph.edge_shell[:6].tolist()
      (8, 208, [1, 1, 1, 1, 1, 1])
    """
    config = GraphConfig.of({} if config is None else config)
    crystal = to_crystal(structure, id=id)
    found = nearest_neighbors(crystal.lattice, crystal.frac_coords, config, id=crystal.id)
    weights = (found.weight_numerator, found.weight_denominator)
    edges = (found.center, found.neighbor, found.shell, *weights)
    return _unreduced(CrystalGraph, crystal.atomic_numbers, edges, config.max_neighbors, crystal.id)


def _check_integers(id: str, name: str, values: np.ndarray, low: int, high: int) -> None:
    """Raise InputError unless all `values` are integers in low..high."""
    if values.dtype.kind not in "iu":
        raise InputError(f"{id!r}: expected {name} as integers, got {values.dtype}")
    if values.size and (values.min() < low or values.max() > high):
        raise InputError(
            f"{id!r}: expected {name} in {low}..{high}, got {values.min()}..{values.max()}"
        )


G = TypeVar("G", bound=CrystalGraph)


def _unreduced(
    cls: type[G],
    atomic_numbers: np.ndarray,
    edges: tuple[np.ndarray, ...],
    max_neighbors: int,
    id: str,
) -> G:
    n = len(atomic_numbers)
    nodes = {"node_multiplicity": np.ones(n), "site_class": np.arange(n)}
    columns = dict(zip(EDGE_COLUMNS, edges, strict=True))
    return cls.packed(id, max_neighbors, atomic_numbers=atomic_numbers, **nodes, **columns)
