"""Batches of decorations of one template as device arrays, built from the elements alone."""

import dataclasses
import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from cgatjax.data.batching import CrystalBatch, collate, default_float
from cgatjax.graphs.crystal_graph import CrystalGraph
from cgatjax.screening.templates import Template


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class TemplateArrays:
    """Reduced graph of a template as device arrays.

    Attributes:
      node_class: (nodes,) int32, site class of each node.
      node_weight: (nodes,) number of sites merged into each node.
      centers, neighbors, shells: (edges,) int32.
      edge_weight: (edges,) number of neighbors merged into each edge.
      fraction: (classes,) fraction of the sites in each class.
      sizes: (2,) int32, numbers of nodes and edges. Arrays, not constants: XLA folds what is made
        of constants at compile time, which takes long.
    """

    node_class: Any
    node_weight: Any
    centers: Any
    neighbors: Any
    shells: Any
    edge_weight: Any
    fraction: Any
    sizes: Any

    @classmethod
    def of(cls, template: Template) -> "TemplateArrays":
        """Convert a template, with floats in the precision that JAX is set to."""
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
        )


def decorated_batch(template: TemplateArrays, numbers: Array) -> CrystalBatch:
    """Build a batch of all candidates (m, classes) and one padding graph (traceable by jit)."""
    m, n_nodes = len(numbers), len(template.node_class)
    is_real = jnp.arange(m + 1) < m
    numbers = numbers.astype(jnp.int32)
    placeholder = _placeholder_batch()
    crystal = placeholder.crystal._replace(
        nodes={
            "element": numbers[:, template.node_class].reshape(-1),
            "weight": jnp.tile(template.node_weight, m),
        },
        edges={"shell": jnp.tile(template.shells, m), "weight": jnp.tile(template.edge_weight, m)},
        receivers=_tiled_indices(template.centers, m, n_nodes),
        senders=_tiled_indices(template.neighbors, m, n_nodes),
        n_node=is_real * template.sizes[0],
        n_edge=is_real * template.sizes[1],
    )
    return dataclasses.replace(
        placeholder,
        crystal=crystal,
        composition=_composition(template.fraction, numbers),
        graph_mask=is_real,
    )


@functools.cache
def _placeholder_batch() -> CrystalBatch:
    """Batch with the right tree structure, whose arrays are all replaced."""
    ones = np.ones((1, 1), np.int64)
    return collate([CrystalGraph.from_neighbors(ones[0], 0 * ones, ones)])


def _tiled_indices(index: Array, m: int, n_nodes: int) -> Array:
    """Return (m * edges,) node indices of m copies of a graph, laid end to end."""
    return (index[None] + n_nodes * jnp.arange(m, dtype=jnp.int32)[:, None]).reshape(-1)


def _composition(fraction: Array, numbers: Array) -> Any:
    """Build the composition graphs of candidates, with a node for each distinct element.

    Shapes are static: C nodes per candidate. If several classes have the same element, the first
    class becomes the node and takes the sum of their fractions; the nodes of the other classes, and
    their edges, are moved to the end, into the padding graph.
    """
    m, n = numbers.shape
    same = numbers[:, :, None] == numbers[:, None, :]
    is_first = ~(same & np.tri(n, k=-1, dtype=bool)).any(2)
    total = (same * fraction[None, None, :]).sum(2)
    place = _selected_first(is_first.reshape(-1))
    node = place.reshape(m, n)
    one, other = np.nonzero(~np.eye(n, dtype=bool))
    is_edge = (is_first[:, one] & is_first[:, other]).reshape(-1)
    last = jnp.int32(m * n - 1)
    to_edge = _selected_first(is_edge)

    def edges(ends: np.ndarray) -> Array:
        values = jnp.where(is_edge, node[:, ends].reshape(-1), last)
        return jnp.zeros_like(values).at[to_edge].set(values, unique_indices=True)

    def nodes(values: Array) -> Array:
        return jnp.zeros_like(values).at[place].set(values, unique_indices=True)

    return _placeholder_batch().composition._replace(
        nodes={"element": nodes(numbers.reshape(-1)), "fraction": nodes(total.reshape(-1))},
        receivers=edges(one),
        senders=edges(other),
        n_node=_with_rest(is_first.sum(1, dtype=jnp.int32), m * n),
        n_edge=_with_rest(is_edge.reshape(m, -1).sum(1, dtype=jnp.int32), len(is_edge)),
    )


def _selected_first(selected: Array) -> Array:
    """Return the stable permutation (item -> new index) that moves selected items to the front."""
    selected_rank = jnp.cumsum(selected, dtype=jnp.int32)
    other_rank = jnp.cumsum(~selected, dtype=jnp.int32)
    count = selected.sum(dtype=jnp.int32)
    return jnp.where(selected, selected_rank - 1, count + other_rank - 1)


def _with_rest(counts: Array, total: int) -> Array:
    """Append the rest of the total, which belongs to the padding graph, to the graphs' counts."""
    return jnp.append(counts, jnp.int32(total) - counts.sum(dtype=jnp.int32))
