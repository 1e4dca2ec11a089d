"""Padded batches of crystal graphs with a fixed shape.

Graphs (or rows of a store) become `GraphArrays` (flat, unpadded), which `assemble` pads. All of it
is vectorized NumPy, without loops over crystals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import jax
import jraph
import numpy as np

from cgatjax.errors import InputError
from cgatjax.graphs.crystal_graph import CrystalGraph
from cgatjax.graphs.graph_arrays import GraphArrays

_ELEMENTS = 104
"""Atomic numbers 0..103; 0 is that of padding nodes."""


class BatchBudget(NamedTuple):
    """Fixed size of a batch, padding included.

    Attributes:
      graphs: number of crystals, at least one of them padding.
      nodes, edges: size of the crystal graphs.
      composition_nodes, composition_edges: size of the composition graphs.
    """

    graphs: int
    nodes: int
    edges: int
    composition_nodes: int
    composition_edges: int

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """Nodes and edges of the crystal graphs, then of the composition graphs."""
        return self[1:5]

    def holds(self, largest: np.ndarray) -> bool:
        """True if any single crystal of sizes up to (4,) `largest` fits."""
        return bool((largest < np.array(self.sizes) - 1).all())


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class CrystalBatch:
    """Padded batch of crystals; all leaves are arrays (NumPy outside jit, JAX inside).

    Attributes:
      crystal: graphs of sites. nodes {"element": (N,) int32 atomic number, "weight": (N,) float
        multiplicity}; edges {"shell": (E,) int32, "weight": (E,) float, number of such neighbors
        of one center site}; receivers are centers, senders neighbors.
      composition: one node per distinct element. nodes {"element", "fraction": (C,) float};
        one edge per ordered pair of distinct elements.
      targets: name -> (G,) float, 0 where unknown; per atom, in the target's unit.
      target_mask: name -> (G,) bool, True where the target is known.
      graph_mask: (G,) bool, True for crystals, False for padding.
    """

    crystal: jraph.GraphsTuple
    composition: jraph.GraphsTuple
    targets: dict[str, Any]
    target_mask: dict[str, Any]
    graph_mask: Any


def collate(
    graphs: Sequence[CrystalGraph],
    targets: Mapping[str, Sequence[float]] | None = None,
    budget: BatchBudget | None = None,
) -> CrystalBatch:
    """Pad crystal graphs to one batch.

    Args:
      graphs: reduced or unreduced graphs.
      targets: name -> one value per graph, NaN where unknown.
      budget: padded size; by default the smallest that fits, rounded up so that similar batches
        share a compilation.

    Raises:
      InputError: no graphs, or graphs larger than the budget.

    Examples:
      >>> from cgatjax.graphs.crystal_graph import CrystalGraph
      >>> chain = CrystalGraph.from_neighbors([11, 17], [[1, 1], [0, 0]], [[1, 1], [1, 1]])
      >>> batch = collate([chain, chain])
      >>> int(batch.graph_mask.sum())
      2
    """
    arrays = GraphArrays.from_graphs(graphs, targets)
    return assemble(arrays, budget or snug_budget(arrays))


def snug_budget(arrays: GraphArrays) -> BatchBudget:
    """Return the smallest rounded budget that holds the graphs."""
    composition = _Composition.of(arrays)
    return BatchBudget(
        graphs=len(arrays.n_node) + 1,
        nodes=_round_up(int(arrays.n_node.sum()) + 2, 16),
        edges=_round_up(int(arrays.n_edge.sum()) + 1, 128),
        composition_nodes=_round_up(len(composition.element) + 2, 8),
        composition_edges=_round_up(len(composition.receivers) + 1, 16),
    )


def default_float() -> np.dtype:
    """Return JAX's float type in this thread: float32, or float64 under `jax.enable_x64`."""
    return np.dtype(jax.dtypes.canonicalize_dtype(float))


def assemble(
    arrays: GraphArrays, budget: BatchBudget, real: np.dtype | None = None
) -> CrystalBatch:
    """Pad flat graphs to a budget, or raise InputError if they do not fit.

    By jraph's convention the first padding graph holds all padding nodes and edges. `real` is the
    dtype of weights, fractions and targets, `default_float` if None.
    """
    composition = _Composition.of(arrays)
    used = BatchBudget(
        len(arrays.n_node),
        len(arrays.atomic_numbers),
        len(arrays.edge_center),
        len(composition.element),
        len(composition.receivers),
    )
    needed = used._replace(
        graphs=used.graphs + 1, nodes=used.nodes + 1, composition_nodes=used.composition_nodes + 1
    )
    if any(n > b for n, b in zip(needed[:5], budget[:5], strict=True)):
        raise InputError(
            f"expected a batch of at most {budget}, got {used} (and one padding graph)"
        )
    graph_of_edge_start = np.repeat(np.cumsum(arrays.n_node) - arrays.n_node, arrays.n_edge)
    real = default_float() if real is None else real
    crystal = jraph.GraphsTuple(
        nodes={
            "element": _padded(arrays.atomic_numbers, budget.nodes, 0, np.int32),
            "weight": _padded(arrays.node_multiplicity, budget.nodes, 1, real),
        },
        edges={
            "shell": _padded(arrays.edge_shell, budget.edges, 0, np.int32),
            "weight": _padded(
                arrays.weight_numerator / arrays.weight_denominator.astype(np.float64),
                budget.edges,
                1,
                real,
            ),
        },
        receivers=_padded_index(arrays.edge_center + graph_of_edge_start, used.nodes, budget[1:3]),
        senders=_padded_index(arrays.edge_neighbor + graph_of_edge_start, used.nodes, budget[1:3]),
        globals=None,
        n_node=_padded_counts(arrays.n_node, budget.graphs, budget.nodes),
        n_edge=_padded_counts(arrays.n_edge, budget.graphs, budget.edges),
    )
    masks = {
        name: _padded(np.isfinite(v), budget.graphs, 0, bool) for name, v in arrays.targets.items()
    }
    values = {
        name: _padded(np.nan_to_num(v), budget.graphs, 0, real)
        for name, v in arrays.targets.items()
    }
    return CrystalBatch(
        crystal=crystal,
        composition=composition.padded(used, budget, real),
        targets=values,
        target_mask=masks,
        graph_mask=np.arange(budget.graphs) < used.graphs,
    )


@dataclass(frozen=True, eq=False)
class _Composition:
    """Composition graphs of a batch, flat and unpadded; indices count over the batch."""

    n_node: np.ndarray
    n_edge: np.ndarray
    element: np.ndarray
    fraction: np.ndarray
    receivers: np.ndarray
    senders: np.ndarray

    @classmethod
    def of(cls, arrays: GraphArrays) -> Self:
        n_graph = len(arrays.n_node)
        graph = np.repeat(np.arange(n_graph), arrays.n_node)
        counts = np.bincount(
            graph * _ELEMENTS + arrays.atomic_numbers,
            weights=arrays.node_multiplicity,
            minlength=n_graph * _ELEMENTS,
        ).reshape(n_graph, _ELEMENTS)
        owner, element = np.nonzero(counts)
        n_node = np.bincount(owner, minlength=n_graph)
        first = np.cumsum(n_node) - n_node
        local = np.arange(len(owner)) - first[owner]
        others = n_node[owner] - 1
        receivers = np.repeat(np.arange(len(owner)), others)
        rank = np.arange(len(receivers)) - np.repeat(np.cumsum(others) - others, others)
        # The ranks 0..n-2 of the others, shifted past the node's own place.
        skip_self = rank + (rank >= local[receivers])
        return cls(
            n_node=n_node,
            n_edge=n_node * (n_node - 1),
            element=element,
            fraction=counts[owner, element] / counts.sum(1)[owner],
            receivers=receivers,
            senders=first[owner[receivers]] + skip_self,
        )

    def padded(self, used: BatchBudget, budget: BatchBudget, real: np.dtype) -> jraph.GraphsTuple:
        sizes = budget[3:5]
        return jraph.GraphsTuple(
            nodes={
                "element": _padded(self.element, sizes[0], 0, np.int32),
                "fraction": _padded(self.fraction, sizes[0], 1, real),
            },
            edges=None,
            receivers=_padded_index(self.receivers, used.composition_nodes, sizes),
            senders=_padded_index(self.senders, used.composition_nodes, sizes),
            globals=None,
            n_node=_padded_counts(self.n_node, budget.graphs, sizes[0]),
            n_edge=_padded_counts(self.n_edge, budget.graphs, sizes[1]),
        )


def _padded(values: np.ndarray, size: int, fill: float, dtype: np.dtype | type) -> np.ndarray:
    out = np.full(size, fill, dtype)
    out[: len(values)] = values
    return out


def _padded_counts(counts: np.ndarray, graphs: int, total: int) -> np.ndarray:
    out = np.zeros(graphs, np.int32)
    out[: len(counts)] = counts
    out[len(counts)] = total - counts.sum()
    return out


def _padded_index(index: np.ndarray, n_real: int, sizes: tuple[int, int]) -> np.ndarray:
    """Return the node indices of the edges, padding edges spread evenly over the padding nodes.

    They ascend, as those of real edges do. With all of them at one node, its scattered sum would be
    one long chain of additions to the same address.
    """
    n_nodes, n_edges = sizes
    out = np.empty(n_edges, np.int32)
    out[: len(index)] = index
    spare = n_edges - len(index)
    out[len(index) :] = n_real + np.arange(spare) * (n_nodes - n_real) // max(spare, 1)
    return out


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
