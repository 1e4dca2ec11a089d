"""Multi-head edge networks as functions of their factors, in plain JAX."""

from typing import NamedTuple

import jax
from jax import Array

from cgatjax.nn.mlp import GatheredRows, add_gathered, leaky_relu, matmul


# Gathered again for the gradient: (heads, edges, hidden) is by far the largest array of a step, and
# a gather is cheaper than keeping it.
@jax.checkpoint
def _hidden(parts: tuple[GatheredRows, ...], bias: Array) -> Array:
    """Apply LeakyReLU to a sum of gathered projections."""
    return leaky_relu(add_gathered(parts) + bias)


class EdgeNetwork(NamedTuple):
    """Factors of H networks y = LeakyReLU(sum_p rows_p[index_p] + bias_in) K + bias_out.

    Attributes:
      rows: (heads, rows_p, hidden) projections of every part p, before their gathers.
      bias_in: (heads, hidden).
      kernel_out: (heads, hidden, features).
      bias_out: (heads, features).
    """

    rows: tuple[Array, ...]
    bias_in: Array
    kernel_out: Array
    bias_out: Array

    def apply(self, indices: tuple[Array | None, ...], low_precision: bool) -> Array:
        """Compute (heads, edges, features) for the edges that read row index_p of part p."""

        # The indices are those of all heads, so that only the rows are mapped over.
        def hidden(rows: tuple[Array, ...], bias: Array) -> Array:
            return _hidden(tuple(map(GatheredRows, rows, indices)), bias)

        x = jax.vmap(hidden)(self.rows, self.bias_in)
        return matmul(x, self.kernel_out, low_precision) + self.bias_out[:, None]
