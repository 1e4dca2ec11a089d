"""Sums and weighted softmax over groups of rows (the edges of a node, the nodes of a crystal)."""

import jax
import jax.numpy as jnp
import jraph
from jax import Array


def graph_index(n_node: Array, total: int) -> Array:
    """(total,) int32: the graph that each row belongs to, from the rows per graph."""
    return jnp.repeat(jnp.arange(n_node.shape[0]), n_node, total_repeat_length=total)


def segment_sum(values: Array, index: Array, size: int, *, ascending: bool = False) -> Array:
    """Sums rows with equal index: (rows, …) -> (size, …)."""
    return jraph.segment_sum(values, index, size, indices_are_sorted=ascending)


def softmax_sum(
    scores: Array,
    values: Array,
    index: Array,
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
