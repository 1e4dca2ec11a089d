"""Dense layers with the reference's initialization, and the residual regression head."""

import itertools
from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from cgatjax.nn.initializers import uniform_fan_in
from cgatjax.nn.segment import Each, Index, read

LEAKY_SLOPE = 0.01

Part = tuple[Array, Index | None]
"""Rows of features, and the row that each of its users reads (None: each its own)."""


def rows_of(part: Part) -> Array:
    """The features that each user of a part reads, one row a user."""
    rows, row = part
    return rows if row is None else read(rows, row)


def seen(part: Part, index: Index) -> Part:
    """The part as seen by users of its users: edges, say, that read the states of their nodes."""
    rows, row = part
    if isinstance(row, Each):
        return rows_of(part), index
    return rows, index if row is None else read(row, index)


def leaky_relu(x: Array) -> Array:
    """LeakyReLU with torch's slope of 0.01."""
    return nn.leaky_relu(x, LEAKY_SLOPE)


def matmul(x: Array, kernel: Array, low_precision: bool) -> Array:
    """x @ kernel; in low precision the factors are bfloat16 and the sum is float32."""
    if not low_precision:
        return x @ kernel
    return jnp.matmul(
        x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16), preferred_element_type=jnp.float32
    )


def projected(parts: Sequence[Part], kernel: Array, low_precision: bool = False) -> Array:
    """[a | b | …] @ kernel without the concatenation: every part is projected, then gathered."""
    return sum_of(projections(parts, kernel, low_precision))


def projections(
    parts: Sequence[Part], kernel: Array, low_precision: bool = False
) -> tuple[Part, ...]:
    """Every part times its rows of the kernel; their `sum_of` is [a | b | …] @ kernel."""
    stops = itertools.accumulate(rows.shape[-1] for rows, _ in parts)
    return tuple(
        (matmul(rows, kernel[stop - rows.shape[-1] : stop], low_precision), row)
        for (rows, row), stop in zip(parts, stops, strict=True)
    )


def sum_of(parts: Sequence[Part]) -> Array:
    """The sum of equally wide parts, one row a user."""
    first, *others = (rows_of(part) for part in parts)
    return sum(others, first)


class Dense(nn.Module):
    """y = x W + b, initialized as torch does: (rows, in) -> (rows, features)."""

    features: int
    use_bias: bool = True
    low_precision: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Applies the layer."""
        init = uniform_fan_in(x.shape[-1])
        y = matmul(x, self.param("kernel", init, (x.shape[-1], self.features)), self.low_precision)
        return y + self.param("bias", init, (self.features,)) if self.use_bias else y


class ResidualHead(nn.Module):
    """The regression network: crystal embedding -> (prediction, log_std), both normalized.

    Each layer is relu(Dense(x)) [* alpha, ReZero] + skip, where skip is the identity or, between
    different widths, a Dense without bias (reference: `message_changed.py`).
    """

    widths: tuple[int, ...]
    rezero: bool
    low_precision: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """(rows, embedding width) -> (rows, 2)."""
        for i, width in enumerate(self.widths):
            y = nn.relu(Dense(width, low_precision=self.low_precision, name=f"layer_{i}")(x))
            if self.rezero:
                y = y * self.param(f"alpha_{i}", nn.initializers.zeros, ())
            if x.shape[-1] != width:
                x = Dense(width, False, self.low_precision, name=f"skip_{i}")(x)
            x = x + y
        return Dense(2, name="out")(x)
