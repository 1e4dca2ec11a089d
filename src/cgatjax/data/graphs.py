"""The crystal graph: which sites see which, and through which shell."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False, kw_only=True)
class CrystalGraph:
    """A periodic crystal as a graph, one entry per edge, edges ordered by centre.

    An unreduced graph has one node per site. In a reduced one (`reduce_graph`) a node stands for
    a class of sites that no number of message-passing steps could tell apart.

    Attributes:
      id: name of the crystal.
      atomic_numbers: (nodes,) uint8.
      node_multiplicity: (nodes,) uint32, sites that a node stands for; their sum is `n_sites`.
      site_class: (sites,) uint16, the node of each site.
      edge_center: (edges,) uint16, ascending: the site that looks for neighbours.
      edge_neighbor: (edges,) uint16: the site found.
      edge_shell: (edges,) uint8, shell index 1..K.
      weight_numerator, weight_denominator: (edges,) uint16; their quotient is the number of
        neighbours of that kind seen from *one* site of the centre's class (1 for an unreduced
        "cut" graph; a fraction in the last shell under "share"). Per centre they sum to K.
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
        """(edges,) float64, weight of each edge seen from one site of the centre's class."""
        return self.weight_numerator / self.weight_denominator.astype(np.float64)
