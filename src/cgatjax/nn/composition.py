"""Composition vector (Roost): message passing among the elements of a crystal.

Source: Goodall & Lee, Nat. Commun. 11 (2020) 6280; reference file `roost_message.py`.
"""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from cgatjax.nn.mlp import (
    Dense,
    GatheredRows,
    add_gathered,
    leaky_relu,
    normal,
    project,
    uniform_fan_in,
)
from cgatjax.nn.segment import softmax_sum

SOFTMAX_FLOOR = 1e-13
"""Added to the denominator of the softmax (`roost_message.py`)."""


class _TwoLayer(nn.Module):
    """Dense -> LeakyReLU -> Dense on concatenated parts, first layer factorized."""

    hidden: int
    features: int

    @nn.compact
    def __call__(self, *parts: GatheredRows) -> Array:
        fan_in = sum(part.rows.shape[-1] for part in parts)
        kernel = self.param("kernel_in", uniform_fan_in(fan_in), (fan_in, self.hidden))
        x = self.param("bias_in", uniform_fan_in(fan_in), (self.hidden,))
        return Dense(self.features, name="out")(
            leaky_relu(x + add_gathered(project(parts, kernel)))
        )


class _WeightedAttention(nn.Module):
    """Weighted softmax with gates w^p exp(score): w the atomic fraction, p learned."""

    hidden: int

    @nn.compact
    def __call__(
        self,
        parts: tuple[GatheredRows, ...],
        values: Array,
        fraction: Array,
        index: Array,
        size: int,
    ) -> Array:
        power = self.param("power", normal(), ())
        scores = _TwoLayer(self.hidden, 1, name="gate")(*parts)
        return softmax_sum(
            scores,
            values,
            index,
            size,
            # A multiplicity of the softmax: w^p exp(s) is the gate, without a logarithm of w.
            weights=fraction**power,
            floor=SOFTMAX_FLOOR,
            ascending=True,
        )


class _CompositionStep(nn.Module):
    """Composition message passing: h <- h + weighted messages of the crystal's other elements."""

    hidden: int

    @nn.compact
    def __call__(self, h: Array, fraction: Array, receivers: Array, senders: Array) -> Array:
        parts = (GatheredRows(h, receivers), GatheredRows(h, senders))
        messages = _TwoLayer(self.hidden, h.shape[-1], name="message")(*parts)
        attention = _WeightedAttention(self.hidden, name="attention")
        return h + attention(parts, messages, fraction[senders], receivers, h.shape[0])


class CompositionNetwork(nn.Module):
    """Composition network: elements and fractions of each crystal -> vector (graphs, D).

    Attributes:
      width: D; the fraction takes the last of the D channels.
      steps: message-passing steps.
      hidden: width of the hidden layers.
    """

    width: int
    steps: int
    hidden: int

    @nn.compact
    def __call__(
        self,
        vectors: Array,
        fraction: Array,
        receivers: Array,
        senders: Array,
        graph: Array,
        size: int,
    ) -> Array:
        """Encode element vectors (C, 200), fractions (C,), edges (P,), graph of each node (C,)."""
        h = Dense(self.width - 1, name="embedding")(vectors)
        h = jnp.concatenate([h, fraction[:, None].astype(h.dtype)], -1)
        for i in range(self.steps):
            h = _CompositionStep(self.hidden, name=f"step_{i}")(h, fraction, receivers, senders)
        pool = _WeightedAttention(self.hidden, name="pooling")
        return pool((GatheredRows(h),), h, fraction, graph, size)
