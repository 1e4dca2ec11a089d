"""Sums and weighted softmax over groups of rows (the edges of a node, the nodes of a crystal)."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import jraph
from jax import Array


@jax.tree_util.register_static
@dataclass(frozen=True)
class Each:
    """An index that names every row so many times, in order: [0, 0, 0, 1, 1, 1, …].

    What needs a gather or a scattered sum with other indices is a broadcast or a sum over an axis
    with this one.
    """

    times: int


Index = Array | Each
"""The row of another array that each row belongs to."""


def read(rows: Array, index: Index) -> Array:
    """The rows that are named, in the order of the index."""
    return jnp.repeat(rows, index.times, axis=0) if isinstance(index, Each) else rows[index]


def graph_index(n_node: Array, total: int) -> Array:
    """(total,) int32: the graph that each row belongs to, from the rows per graph."""
    return jnp.repeat(jnp.arange(n_node.shape[0]), n_node, total_repeat_length=total)


def segment_sum(values: Array, index: Array, size: int, *, ascending: bool = False) -> Array:
    """Sums rows with equal index: (rows, …) -> (size, …)."""
    return jraph.segment_sum(values, index, size, indices_are_sorted=ascending)


def softmax_sum(
    scores: Array,
    values: Array,
    index: Index,
    size: int,
    *,
    weights: Array | None = None,
    floor: float = 0.0,
    ascending: bool = False,
) -> Array:
    """Attention-weighted sum over groups: sum_e w_e exp(s_e) v_e / sum_e w_e exp(s_e).

    A row with weight m counts like m equal rows (docs/network.md, saving 3): this is how merged
    edges and reduced nodes enter. The maximum is taken out of the exponent before, and the division
    comes after the sum, on groups instead of rows. Empty groups give zero.

    Args:
      scores: (rows, channels or 1), float32 at least.
      values: (rows, channels).
      index: (rows,) group of each row.
      size: number of groups.
      weights: (rows,) multiplicities; all one by default.
      floor: added to the denominator (Roost's 1e-13).
      ascending: whether the index is; sums are then quicker on accelerators.

    Returns:
      (size, channels).
    """
    if isinstance(index, Each):
        return _dense_softmax_sum(scores, values, size, weights, floor)
    largest = jraph.segment_max(
        jax.lax.stop_gradient(scores), index, size, indices_are_sorted=ascending
    )
    largest = jnp.where(jnp.isfinite(largest), largest, 0)
    shares = jnp.exp(scores - largest[index])
    if weights is not None:
        shares = shares * weights[:, None]
    total = segment_sum(shares, index, size, ascending=ascending) + floor
    mixed = segment_sum(shares * values, index, size, ascending=ascending)
    return mixed / jnp.where(total > 0, total, 1)


def _dense_softmax_sum(
    scores: Array, values: Array, size: int, weights: Array | None, floor: float
) -> Array:
    """`softmax_sum` over groups of equal size that follow each other."""
    scores, values = (x.reshape(size, -1, x.shape[-1]) for x in (scores, values))
    shares = jnp.exp(scores - jax.lax.stop_gradient(scores).max(1, keepdims=True))
    if weights is not None:
        shares = shares * weights.reshape(size, -1, 1)
    return (shares * values).sum(1) / (shares.sum(1) + floor)
