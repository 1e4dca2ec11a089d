"""Flat arrays of many crystal graphs: rows of a store, from which batches are assembled."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from cgatjax.errors import InputError
from cgatjax.graphs.crystal_graph import EDGE_COLUMNS, NODE_COLUMNS, CrystalGraph


@dataclass(frozen=True, eq=False, kw_only=True)
class GraphArrays:
    """Several crystal graphs end to end; node indices count within each crystal.

    Attributes:
      n_node, n_edge: (G,) int64, sizes of each graph.
      atomic_numbers, node_multiplicity: (N,).
      edge_center, edge_neighbor, edge_shell, weight_numerator, weight_denominator: (E,).
      targets: name -> (G,) float64, NaN where unknown.
    """

    n_node: np.ndarray
    n_edge: np.ndarray
    atomic_numbers: np.ndarray
    node_multiplicity: np.ndarray
    edge_center: np.ndarray
    edge_neighbor: np.ndarray
    edge_shell: np.ndarray
    weight_numerator: np.ndarray
    weight_denominator: np.ndarray
    targets: Mapping[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def from_graphs(
        cls, graphs: Sequence[CrystalGraph], targets: Mapping[str, Sequence[float]] | None = None
    ) -> Self:
        """Concatenate at least one graph; targets are name -> a value per graph."""
        if not graphs:
            raise InputError("expected at least one crystal graph to batch, got none")
        known = {name: np.asarray(v, np.float64) for name, v in (targets or {}).items()}
        for name, values in known.items():
            if values.shape != (len(graphs),):
                raise InputError(
                    f"target {name!r}: expected {len(graphs)} values, got shape {values.shape}"
                )
        flat = {
            name: np.concatenate([getattr(g, name) for g in graphs])
            for name in (*NODE_COLUMNS, *EDGE_COLUMNS)
        }
        return cls(
            n_node=np.array([g.n_nodes for g in graphs], np.int64),
            n_edge=np.array([g.n_edges for g in graphs], np.int64),
            targets=known,
            **flat,
        )


def ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return start, start + 1, …, start + length - 1 for each pair, one after another.

    >>> ranges(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + lengths, lengths)


def concatenate(pieces: Sequence[GraphArrays]) -> GraphArrays:
    """Concatenate several sets of graphs; all must have the same targets."""
    names = ("n_node", "n_edge", *NODE_COLUMNS, *EDGE_COLUMNS)
    targets = {t: np.concatenate([p.targets[t] for p in pieces]) for t in pieces[0].targets}
    merged = {name: np.concatenate([getattr(p, name) for p in pieces]) for name in names}
    return GraphArrays(**merged, targets=targets)


def separate(arrays: GraphArrays) -> Iterator[CrystalGraph]:
    """Yield the graphs one by one, without ids; any assignment of sites to classes will do."""
    nodes, edges = np.cumsum(arrays.n_node), np.cumsum(arrays.n_edge)
    for k, (last_node, last_edge) in enumerate(zip(nodes, edges, strict=True)):
        where = {name: slice(last_node - arrays.n_node[k], last_node) for name in NODE_COLUMNS}
        where |= {name: slice(last_edge - arrays.n_edge[k], last_edge) for name in EDGE_COLUMNS}
        columns = {name: getattr(arrays, name)[part] for name, part in where.items()}
        sites = np.repeat(np.arange(arrays.n_node[k]), columns["node_multiplicity"])
        yield CrystalGraph(site_class=sites.astype(np.uint16), **columns)


def reorder(arrays: GraphArrays, place: np.ndarray) -> GraphArrays:
    """Reorder graphs: position i of the result is graph place[i]."""
    flat: dict[str, np.ndarray] = {}
    for lengths, names in ((arrays.n_node, NODE_COLUMNS), (arrays.n_edge, EDGE_COLUMNS)):
        where = ranges((np.cumsum(lengths) - lengths)[place], lengths[place])
        flat |= {name: getattr(arrays, name)[where] for name in names}
    targets = {name: values[place] for name, values in arrays.targets.items()}
    return GraphArrays(
        n_node=arrays.n_node[place], n_edge=arrays.n_edge[place], targets=targets, **flat
    )
