"""Segment sums and weighted segment softmax over groups of rows.

A group is the edges of one node, or the nodes of one crystal.
"""

import jax
import jax.numpy as jnp
import jraph
from jax import Array


def graph_index(n_node: Array, total: int) -> Array:
    """Graph of each row, (total,) int32, from the number of rows per graph, `total` in all."""
    # By bisection: `jnp.repeat` compiles to three times as many kernels, and counting all ends by
    # comparison costs the square of the batch.
    ends = jnp.cumsum(n_node)[:-1]
    return jnp.searchsorted(ends, jnp.arange(total), side="right").astype(jnp.int32)


def segment_sum(values: Array, index: Array, size: int, *, ascending: bool = False) -> Array:
    """Sum rows of equal index: (rows, …) -> (size, …)."""
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
    """Compute attention-weighted sums over groups: sum_e w_e exp(s_e) v_e / sum_e w_e exp(s_e).

    A row with weight m counts like m equal rows (docs/concepts/network.md, saving 3): this is how
    merged edges and reduced nodes enter. Empty groups give zero.

    Args:
      scores: (rows, channels or 1), float32 at least.
      values: (rows, channels).
      index: (rows,) group of each row.
      size: number of groups.
      weights: (rows,) multiplicities; all one by default.
      floor: added to the denominator (Roost's 1e-13).
      ascending: True if the index never decreases; sums are then quicker on accelerators.

    Returns:
      (size, channels).
    """
    # The maximum cancels in the quotient, so that no gradient is needed through it; without it a
    # score above 88 would overflow float32.
    largest = jraph.segment_max(
        jax.lax.stop_gradient(scores), index, size, indices_are_sorted=ascending
    )
    largest = jnp.where(jnp.isfinite(largest), largest, 0)  # -inf for empty groups
    shares = jnp.exp(scores - largest[index])
    if weights is not None:
        shares = shares * weights[:, None]
    total = segment_sum(shares, index, size, ascending=ascending) + floor
    mixed = segment_sum(shares * values, index, size, ascending=ascending)
    # Divided after the sum: there are fewer groups than rows.
    return mixed / jnp.where(total > 0, total, 1)


def attend(
    scores: Array,
    messages: Array,
    index: Array,
    size: int,
    weights: Array,
    ascending: bool = False,
) -> Array:
    """Apply `softmax_sum` per head: (heads, rows, channels) -> (heads, size, channels)."""

    def head(scores: Array, messages: Array) -> Array:
        return softmax_sum(scores, messages, index, size, weights=weights, ascending=ascending)

    return jax.vmap(head)(scores, messages)
