"""Multi-head networks on edges, and attention pooling of atoms into a crystal embedding."""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from cgatjax.nn.edge_network import EdgeNetwork
from cgatjax.nn.mlp import GatheredRows, project, uniform_fan_in
from cgatjax.nn.segment import attend


class MultiHeadNetwork(nn.Module):
    """H networks Dense -> LeakyReLU -> Dense on concatenated inputs.

    Called MHN in docs/concepts/network.md.
    The first layer is factorized (`project`). Heads come first in every array from there on, so
    that the second layer is a plain batched product.

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

    def __call__(self, *parts: GatheredRows) -> Array:
        """Map parts of widths d_1, d_2, … to (heads, rows, features)."""
        return self.factors(*parts).apply(tuple(p.index for p in parts), self.low_precision)

    @nn.compact
    def factors(self, *parts: GatheredRows) -> EdgeNetwork:
        """Project the rows of each part, and collect all other factors."""
        fan_in = sum(part.rows.shape[-1] for part in parts)
        wide = self.heads * self.hidden
        kernel = self.param("kernel_in", uniform_fan_in(fan_in), (fan_in, wide))
        bias = self.param("bias_in", uniform_fan_in(fan_in), (wide,))
        init = uniform_fan_in(self.hidden)
        kernel_out = self.param("kernel_out", init, (self.heads, self.hidden, self.features))
        bias_out = self.param("bias_out", init, (self.heads, self.features))
        terms = project(parts, kernel, self.low_precision)
        return EdgeNetwork(
            rows=tuple(self._by_head(term.rows) for term in terms),
            bias_in=bias.reshape(self.heads, self.hidden),
            kernel_out=kernel_out,
            bias_out=bias_out,
        )

    def _by_head(self, rows: Array) -> Array:
        """Reshape (rows, H * hidden) to (H, rows, hidden)."""
        return rows.reshape(-1, self.heads, self.hidden).swapaxes(0, 1)


class AtomPooling(nn.Module):
    """Attention pooling over the atoms of each crystal: (nodes, D) -> (graphs, H*D or D).

    Scores from [h_i | c], messages from h_i; heads are concatenated (released) or averaged.
    """

    heads: int
    vector_attention: bool
    concatenate: bool
    low_precision: bool = False

    @nn.compact
    def __call__(self, h: Array, composition: Array, graph: Array, weights: Array) -> Array:
        """Pool h (nodes, D) with compositions (graphs, D), graph and multiplicity of each node."""
        width = h.shape[-1]
        score_width = width if self.vector_attention else 1
        scores = MultiHeadNetwork(
            width, score_width, self.heads, self.low_precision, name="attention"
        )(GatheredRows(h), GatheredRows(composition, graph))
        self.sow("intermediates", "scores", scores)
        messages = MultiHeadNetwork(width, width, self.heads, self.low_precision, name="message")(
            GatheredRows(h)
        )
        pooled = attend(scores, messages, graph, composition.shape[0], weights, ascending=True)
        if not self.concatenate:
            return jnp.mean(pooled, 0)
        return pooled.swapaxes(0, 1).reshape(pooled.shape[1], -1)
