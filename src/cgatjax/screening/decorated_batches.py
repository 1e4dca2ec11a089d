"""The network on many decorations of one prototype: elements in, outputs out.

All decorations have the same graph, so a batch is that graph as often as there are candidates, made
inside the compiled function from the elements alone: no search for neighbors, no padding, nothing
but one byte a class goes to the device. Prototypes with equal numbers of nodes, edges and classes
share a compilation.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from cgatjax.config import ModelConfig
from cgatjax.data.batching import CrystalBatch, collate, default_float
from cgatjax.errors import MismatchError
from cgatjax.graphs.crystal_graph import CrystalGraph
from cgatjax.inference.prediction import embed_of, forward_of
from cgatjax.inference.predictor import Predictor
from cgatjax.screening.templates import Template
from cgatjax.structures.elements import ElementTable

CPU_BYTES, DEVICE_BYTES = 2**22, 2**31
"""Memory that the largest array of a batch may take, on a CPU (its cache) and on other devices."""
FEWEST, MOST = 64, 65536
"""Candidates in a batch."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class TemplateArrays:
    """A template's reduced graph as arrays of the device.

    Attributes:
      node_class: (nodes,) int32, the class whose element a node has.
      node_weight: (nodes,) sites that a node stands for.
      centers, neighbors, shells: (edges,) int32.
      edge_weight: (edges,) neighbors of that kind seen from one center.
      fraction: (classes,) share of each class in the sites.
      sizes: (2,) int32, nodes and edges once more: as constants XLA would count them out at length.
      in_degree: edges of every node where all have as many, static; 0 where they have not.
    """

    node_class: Any
    node_weight: Any
    centers: Any
    neighbors: Any
    shells: Any
    edge_weight: Any
    fraction: Any
    sizes: Any
    in_degree: int = field(default=0, metadata={"static": True})

    @classmethod
    def of(cls, template: Template) -> "TemplateArrays":
        """The arrays in the precision that JAX is set to."""
        graph, real = template.graph, default_float()
        return cls(
            node_class=template.node_class.astype(np.int32),
            node_weight=graph.node_multiplicity.astype(real),
            centers=graph.edge_center.astype(np.int32),
            neighbors=graph.edge_neighbor.astype(np.int32),
            shells=graph.edge_shell.astype(np.int32),
            edge_weight=graph.edge_weight.astype(real),
            fraction=(template.counts / template.counts.sum()).astype(real),
            sizes=np.array([graph.n_nodes, graph.n_edges], np.int32),
            in_degree=_common_degree(graph),
        )


def _common_degree(graph: CrystalGraph) -> int:
    """Edges of every node, merged ones counted once; 0 where nodes have various numbers."""
    degrees = set(np.bincount(graph.edge_center, minlength=graph.n_nodes).tolist())
    return degrees.pop() if len(degrees) == 1 else 0


class DecoratedPredictor:
    """Predicts decorations of one template.

    Attributes:
      predictor: one model or an ensemble.
      target: the property.
      batch_size: candidates in a batch; the last one is filled up with repeats.
    """

    def __init__(
        self, predictor: Predictor, template: Template, target: str, batch_size: int | None = None
    ) -> None:
        """Puts the weights and the graph on the device.

        Raises:
          MismatchError: the network's table of shells is too short for the graph.
        """
        config = predictor.model.config
        if template.graph.max_neighbors > config.max_shells:
            raise MismatchError(
                f"{template.crystal.id!r}: {template.graph.max_neighbors} neighbors a site, the "
                f"model's table has {config.max_shells} shells"
            )
        self.predictor, self.target = predictor, target
        embeds = predictor.reads_embeddings
        self._output = "embedding" if embeds else target
        self.batch_size = batch_size or suitable_batch(config, template)
        members = predictor.members[:1] if embeds else predictor.members
        self._members = [jax.device_put(member.params) for member in members]
        self._arrays = jax.device_put(TemplateArrays.of(template))
        self._function = _compiled(config, predictor.model.element_table, embeds)

    def __call__(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of decorations, in the target's unit.

        Args:
          numbers: (m, classes) atomic numbers that the element table knows.

        Returns:
          (m,) float64 each; the standard deviation is NaN where there is none.
        """
        running = [
            [self._function(params, self._arrays, batch)[self._output] for params in self._members]
            for batch in self._batches(numbers)
        ]
        if not running:
            return np.empty(0), np.empty(0)
        outputs = np.concatenate([np.stack(jax.device_get(rows)) for rows in running], axis=1)
        return self.predictor.moments(self.target, outputs[:, : len(numbers)])

    def _batches(self, numbers: np.ndarray) -> Iterator[np.ndarray]:
        size = self.batch_size
        for start in range(0, len(numbers), size):
            rows = np.arange(start, start + size)
            yield numbers[np.minimum(rows, len(numbers) - 1)].astype(np.uint8)


def suitable_batch(config: ModelConfig, template: Template) -> int:
    """Candidates in a batch whose largest array fits the memory that is best for the device."""
    graph, width = template.graph, config.node_dim
    hidden = config.heads * int((2 * width + config.edge_dim) / 1.5)
    numbers = max(graph.n_nodes * width * (width + 1), graph.n_edges * hidden)
    room = CPU_BYTES if jax.default_backend() == "cpu" else DEVICE_BYTES
    fitting = max(room // (4 * numbers), 1)
    return min(max(2 ** (fitting.bit_length() - 1), FEWEST), MOST)


@functools.lru_cache(maxsize=8)
def _compiled(
    config: ModelConfig, table: ElementTable, embeds: bool
) -> Callable[..., dict[str, Array]]:
    """Compiled: parameters, template, (m, classes) elements -> {target: (m, 2)}, or embeddings."""
    forward = embed_of(config, table) if embeds else forward_of(config, table)

    def run(params: Any, template: TemplateArrays, numbers: Array) -> dict[str, Array]:
        outputs = forward(params, decorated_batch(template, numbers))
        return {name: rows[: len(numbers)] for name, rows in outputs.items()}

    return jax.jit(run)


def decorated_batch(template: TemplateArrays, numbers: Array) -> CrystalBatch:
    """A batch of all candidates and one padding graph, made of arrays alone (inside jit).

    Args:
      template: of C classes, N nodes, E edges.
      numbers: (m, C) atomic numbers.
    """
    m, n_nodes = len(numbers), len(template.node_class)
    is_real = jnp.arange(m + 1) < m
    numbers = numbers.astype(jnp.int32)
    skeleton = _skeleton()
    crystal = skeleton.crystal._replace(
        nodes={
            "element": numbers[:, template.node_class].reshape(-1),
            "weight": jnp.tile(template.node_weight, m),
        },
        edges={
            "shell": jnp.tile(template.shells, m),
            "weight": jnp.tile(template.edge_weight, m),
        },
        receivers=_laid_end_to_end(template.centers, m, n_nodes),
        senders=_laid_end_to_end(template.neighbors, m, n_nodes),
        n_node=is_real * template.sizes[0],
        n_edge=is_real * template.sizes[1],
    )
    return dataclasses.replace(
        skeleton,
        crystal=crystal,
        composition=_composition(template.fraction, numbers),
        graph_mask=is_real,
        in_degree=template.in_degree,
    )


@functools.cache
def _skeleton() -> CrystalBatch:
    """Some batch, for the form alone: every array of it is replaced."""
    ones = np.ones((1, 1), np.int64)
    return collate([CrystalGraph.from_neighbors(ones[0], 0 * ones, ones)])


def _laid_end_to_end(index: Array, m: int, n_nodes: int) -> Array:
    """(m * edges,) node indices of m copies of a graph."""
    return (index[None] + n_nodes * jnp.arange(m, dtype=jnp.int32)[:, None]).reshape(-1)


def _composition(fraction: Array, numbers: Array) -> Any:
    """Composition graphs of candidates: a node for each distinct element.

    Room is made for C nodes a candidate. Where two classes have one element, its first class is
    the node, with both fractions; the others are moved to the end, into the padding graph, and so
    are their edges.
    """
    m, n = numbers.shape
    same = numbers[:, :, None] == numbers[:, None, :]
    is_first = ~(same & np.tri(n, k=-1, dtype=bool)).any(2)
    total = (same * fraction[None, None, :]).sum(2)
    place = _first_true(is_first.reshape(-1))
    node = place.reshape(m, n)
    one, other = np.nonzero(~np.eye(n, dtype=bool))
    is_edge = (is_first[:, one] & is_first[:, other]).reshape(-1)
    last = jnp.int32(m * n - 1)
    to_edge = _first_true(is_edge)

    def edges(ends: np.ndarray) -> Array:
        values = jnp.where(is_edge, node[:, ends].reshape(-1), last)
        return jnp.zeros_like(values).at[to_edge].set(values, unique_indices=True)

    def nodes(values: Array) -> Array:
        return jnp.zeros_like(values).at[place].set(values, unique_indices=True)

    return _skeleton().composition._replace(
        nodes={"element": nodes(numbers.reshape(-1)), "fraction": nodes(total.reshape(-1))},
        receivers=edges(one),
        senders=edges(other),
        n_node=_with_rest(is_first.sum(1, dtype=jnp.int32), m * n),
        n_edge=_with_rest(is_edge.reshape(m, -1).sum(1, dtype=jnp.int32), len(is_edge)),
    )


def _first_true(chosen: Array) -> Array:
    """Where each goes if those chosen come first and all else stays in order: a permutation."""
    chosen_before = jnp.cumsum(chosen, dtype=jnp.int32)
    others_before = jnp.cumsum(~chosen, dtype=jnp.int32)
    count = chosen.sum(dtype=jnp.int32)
    return jnp.where(chosen, chosen_before - 1, count + others_before - 1)


def _with_rest(counts: Array, total: int) -> Array:
    """Counts of the graphs and, last, what is left for the padding graph."""
    return jnp.append(counts, jnp.int32(total) - counts.sum(dtype=jnp.int32))
