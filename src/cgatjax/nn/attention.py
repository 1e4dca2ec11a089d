"""Multi-head networks on edges, and attention pooling of atoms into a crystal vector."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from cgatjax.nn.initializers import uniform_fan_in
from cgatjax.nn.mlp import Part, leaky_relu, matmul, projections, sum_of
from cgatjax.nn.segment import Index, softmax_sum


@jax.checkpoint
def _hidden(parts: tuple[Part, ...], bias: Array) -> Array:
    """LeakyReLU of a sum of gathered projections; gathered again for the gradient, not kept."""
    return leaky_relu(sum_of(parts) + bias)


class MultiHeadNetwork(nn.Module):
    """H small networks side by side: Dense -> LeakyReLU -> Dense on concatenated inputs.

    The first layer is factorized (docs/network.md, saving 2): W [a | b] = W_a a + W_b b. Each part
    is projected where it has fewest rows (nodes, or the shell table), then gathered. Heads come
    first in every array from there on, so that the second layer is a plain batched product.

    Attributes:
      hidden: hidden width per head.
      features: output width per head.
      heads: H.
      low_precision: bfloat16 matrix products.
    """

    hidden: int
    features: int
    heads: int
    low_precision: bool = False

    @nn.compact
    def __call__(self, *parts: Part) -> Array:
        """Maps parts of widths d_1, d_2, … to (heads, rows, features)."""
        fan_in = sum(rows.shape[-1] for rows, _ in parts)
        wide = self.heads * self.hidden
        kernel = self.param("kernel_in", uniform_fan_in(fan_in), (fan_in, wide))
        bias = self.param("bias_in", uniform_fan_in(fan_in), (wide,))
        init = uniform_fan_in(self.hidden)
        kernel_out = self.param("kernel_out", init, (self.heads, self.hidden, self.features))
        bias_out = self.param("bias_out", init, (self.heads, self.features))
        terms = projections(parts, kernel, self.low_precision)
        by_head = [self._by_head(rows) for rows, _ in terms]
        index = [row for _, row in terms]

        def hidden(rows: list[Array], bias: Array) -> Array:
            return _hidden(tuple(zip(rows, index, strict=True)), bias)

        x = jax.vmap(hidden)(by_head, bias.reshape(self.heads, self.hidden))
        return matmul(x, kernel_out, self.low_precision) + bias_out[:, None]

    def _by_head(self, rows: Array) -> Array:
        """(rows, H * hidden) -> (H, rows, hidden)."""
        return rows.reshape(-1, self.heads, self.hidden).swapaxes(0, 1)


def attend(
    scores: Array,
    messages: Array,
    index: Index,
    size: int,
    weights: Array,
    ascending: bool = False,
) -> Array:
    """`softmax_sum` for each head: (heads, rows, channels) -> (heads, size, channels)."""

    def head(scores: Array, messages: Array) -> Array:
        return softmax_sum(scores, messages, index, size, weights=weights, ascending=ascending)

    return jax.vmap(head)(scores, messages)


class AtomPooling(nn.Module):
    """Attention over the atoms of each crystal: scores from [h_i | c], messages from h_i.

    Heads are concatenated (released) or averaged: (nodes, D) -> (graphs, H*D or D).
    """

    heads: int
    vector_attention: bool
    concatenate: bool
    low_precision: bool = False

    @nn.compact
    def __call__(self, h: Array, composition: Array, graph: Array, weights: Array) -> Array:
        """Args: (nodes, D), (graphs, D), graph of each node (nodes,), sites it stands for."""
        width = h.shape[-1]
        score_width = width if self.vector_attention else 1
        scores = MultiHeadNetwork(
            width, score_width, self.heads, self.low_precision, name="attention"
        )((h, None), (composition, graph))
        self.sow("intermediates", "scores", scores)
        messages = MultiHeadNetwork(width, width, self.heads, self.low_precision, name="message")(
            (h, None)
        )
        pooled = attend(scores, messages, graph, composition.shape[0], weights, ascending=True)
        if not self.concatenate:
            return jnp.mean(pooled, 0)
        return pooled.swapaxes(0, 1).reshape(pooled.shape[1], -1)
