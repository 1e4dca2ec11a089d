"""The composition vector (Roost): message passing among the elements of a crystal.

Source: Goodall & Lee, Nat. Commun. 11 (2020) 6280; reference file `roost_message.py`.
"""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from cgatjax.nn.initializers import normal, uniform_fan_in
from cgatjax.nn.mlp import Dense, Part, leaky_relu, projected
from cgatjax.nn.segment import softmax_sum

SOFTMAX_FLOOR = 1e-13


class _TwoLayer(nn.Module):
    """Dense -> LeakyReLU -> Dense on concatenated parts, first layer factorized."""

    hidden: int
    features: int

    @nn.compact
    def __call__(self, *parts: Part) -> Array:
        fan_in = sum(rows.shape[-1] for rows, _ in parts)
        kernel = self.param("kernel_in", uniform_fan_in(fan_in), (fan_in, self.hidden))
        x = self.param("bias_in", uniform_fan_in(fan_in), (self.hidden,))
        return Dense(self.features, name="out")(leaky_relu(x + projected(parts, kernel)))


class _WeightedAttention(nn.Module):
    """Softmax with gates w^p exp(score): w the atomic fraction, p learned, started from N(0, 1)."""

    hidden: int

    @nn.compact
    def __call__(
        self, parts: tuple[Part, ...], values: Array, fraction: Array, index: Array, size: int
    ) -> Array:
        power = self.param("power", normal(), ())
        scores = _TwoLayer(self.hidden, 1, name="gate")(*parts)
        return softmax_sum(
            scores,
            values,
            index,
            size,
            weights=fraction**power,
            floor=SOFTMAX_FLOOR,
            ascending=True,
        )


class _CompositionStep(nn.Module):
    """h <- h + attention-weighted messages of the other elements of the crystal."""

    hidden: int

    @nn.compact
    def __call__(self, h: Array, fraction: Array, receivers: Array, senders: Array) -> Array:
        parts = ((h, receivers), (h, senders))
        messages = _TwoLayer(self.hidden, h.shape[-1], name="message")(*parts)
        attention = _WeightedAttention(self.hidden, name="attention")
        return h + attention(parts, messages, fraction[senders], receivers, h.shape[0])


class CompositionNetwork(nn.Module):
    """Elements and fractions of each crystal -> composition vector (graphs, D).

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
        """Args: element vectors (C, 200), fractions, edges (P,), graph of each node, graphs."""
        h = Dense(self.width - 1, name="embedding")(vectors)
        h = jnp.concatenate([h, fraction[:, None].astype(h.dtype)], -1)
        for i in range(self.steps):
            h = _CompositionStep(self.hidden, name=f"step_{i}")(h, fraction, receivers, senders)
        pool = _WeightedAttention(self.hidden, name="pooling")
        return pool(((h, None),), h, fraction, graph, size)
