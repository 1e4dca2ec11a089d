"""Multi-head networks on edges, and attention pooling of atoms into a crystal vector."""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from cgatjax.nn.initializers import uniform_fan_in
from cgatjax.nn.mlp import leaky_relu, matmul
from cgatjax.nn.segment import softmax_sum

Part = tuple[Array, Array | None]
"""Rows of features, and the row that each output reads (None: its own)."""


def projected(parts: Sequence[Part], kernel: Array, low_precision: bool = False) -> Array:
    """[a | b | …] @ kernel without the concatenation: every part is projected, then gathered."""
    terms, start = [], 0
    for rows, index in parts:
        stop = start + rows.shape[-1]
        term = matmul(rows, kernel[start:stop], low_precision)
        terms.append(term if index is None else term[index])
        start = stop
    return sum(terms[1:], terms[0])


class MultiHeadNetwork(nn.Module):
    """H small networks side by side: Dense -> LeakyReLU -> Dense on concatenated inputs.

    The first layer is factorised (docs/network.md, saving 2): W [a | b] = W_a a + W_b b. Each part
    is projected where it has fewest rows (nodes, or the shell table), then gathered.

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
        """Maps parts of widths d_1, d_2, … to (rows, heads, features)."""
        fan_in = sum(rows.shape[-1] for rows, _ in parts)
        shape = (self.heads, self.hidden)
        kernel = self.param("kernel_in", uniform_fan_in(fan_in), (fan_in, self.heads * self.hidden))
        x = self.param("bias_in", uniform_fan_in(fan_in), (self.heads * self.hidden,))
        x = leaky_relu(x + projected(parts, kernel, self.low_precision)).reshape(-1, *shape)
        init = uniform_fan_in(self.hidden)
        kernel_out = self.param("kernel_out", init, (*shape, self.features))
        bias_out = self.param("bias_out", init, (self.heads, self.features))
        heads_first = matmul(x.swapaxes(0, 1), kernel_out, self.low_precision)
        return heads_first.swapaxes(0, 1) + bias_out


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
        messages = MultiHeadNetwork(width, width, self.heads, self.low_precision, name="message")(
            (h, None)
        )
        pooled = softmax_sum(scores, messages, graph, composition.shape[0], weights=weights)
        return pooled.reshape(pooled.shape[0], -1) if self.concatenate else jnp.mean(pooled, 1)
