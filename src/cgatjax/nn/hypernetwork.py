"""The hypernetwork: a small network whose weights are produced per row from another input."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from cgatjax.nn.initializers import normal, uniform, uniform_fan_in
from cgatjax.nn.mlp import matmul

LAYERS = 4
"""Layers of the produced network (reference: `H_Net`, three hidden ones and the last)."""
PRODUCER_LAYERS = 4
"""Tanh layers of the network that produces the weights of one layer."""
NORM_EPSILON = 1e-5
"""torch's LayerNorm epsilon."""


def layer_norm(x: Array) -> Array:
    """LayerNorm without scale or offset over the last axis, statistics in float32 at least."""
    centred = x - x.mean(-1, keepdims=True)
    return centred * jax.lax.rsqrt((centred * centred).mean(-1, keepdims=True) + NORM_EPSILON)


class _WeightProducer(nn.Module):
    """z -> weights (rows, D, D) [out, in] and bias (rows, D) of one layer."""

    width: int
    low_precision: bool

    @nn.compact
    def __call__(self, z: Array) -> tuple[Array, Array]:
        width = self.width
        for i in range(PRODUCER_LAYERS):
            fan_in = z.shape[-1]
            kernel = self.param(f"kernel_{i}", normal(2 / fan_in), (fan_in, width))
            bias = self.param(f"bias_{i}", uniform_fan_in(fan_in), (width,))
            z = nn.tanh(matmul(z, kernel, self.low_precision) + bias)
        size = width * width + width
        kernel = self.param("kernel_out", normal(2e-2 / width), (width, size))
        bias = self.param("bias_out", uniform_fan_in(width), (size,))
        flat = matmul(z, kernel, self.low_precision) + bias
        return flat[:, : width * width].reshape(-1, width, width), flat[:, width * width :]


class Hypernetwork(nn.Module):
    """Hyper(x; z) of docs/network.md: (rows, D), (rows, D) -> (rows, D)."""

    width: int
    low_precision: bool = False

    @nn.compact
    def __call__(self, x: Array, z: Array) -> Array:
        """Applies the network that z produces to x, row by row."""
        for i in range(LAYERS):
            producer = _WeightProducer(self.width, self.low_precision, name=f"layer_{i}")
            weights, bias = producer(z)
            x = jnp.einsum("noi,ni->no", weights, x) + bias
            if i < LAYERS - 1:
                x = nn.tanh(layer_norm(x))
        return x


class DampedHypernetwork(nn.Module):
    """Hyper with its input mixed by a learned damping d: z = d*start + (1 - d)*x.

    In the first step (`first`) z is the current state. d is kept in [0, 1] by a projection after
    each optimiser step (`optim.project_damping`), not here.
    """

    width: int
    first: bool
    low_precision: bool = False

    @nn.compact
    def __call__(self, x: Array, state: Array, start: Array) -> Array:
        """Update (rows, D) from the mixed messages x, the current and the start state."""
        if self.first:
            z = state
        else:
            damping = self.param("damping", uniform(), ())
            z = damping * start + (1 - damping) * x
        return Hypernetwork(self.width, self.low_precision, name="hyper")(x, z)
