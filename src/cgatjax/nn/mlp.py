"""Dense layers: initial weights, products of gathered rows, residual networks.

Initial weights are drawn by NumPy on the host: compiling JAX's own generators for hundreds of
differently shaped weights takes most of a minute.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

LEAKY_SLOPE = 0.01


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class GatheredRows:
    """Feature rows and a gather index into them; None means no gather.

    Many edges read few nodes, and many nodes few elements: a layer is applied to the few rows, and
    the gather comes last.
    """

    rows: Array
    index: Array | None = None

    def gather(self) -> Array:
        """Feature rows after the gather, one for each reader."""
        return self.rows if self.index is None else self.rows[self.index]

    def regather(self, index: Array) -> "GatheredRows":
        """Compose two gathers: re-index node rows, say, so that they are read per edge."""
        return GatheredRows(self.rows, index if self.index is None else self.index[index])


def leaky_relu(x: Array) -> Array:
    """LeakyReLU with torch's slope of 0.01."""
    return nn.leaky_relu(x, LEAKY_SLOPE)


def matmul_precision() -> str | None:
    """Return the default precision of float32 products where the caller is traced."""
    found: str | None = jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]
    return found


def matmul(x: Array, kernel: Array, low_precision: bool) -> Array:
    """Multiply x @ kernel; in low precision the factors are bfloat16 and the sum is float32."""
    return _low_matmul(x, kernel) if low_precision else x @ kernel


def _bfloat16_product(x: Array, y: Array) -> Array:
    return jnp.matmul(
        x.astype(jnp.bfloat16), y.astype(jnp.bfloat16), preferred_element_type=jnp.float32
    )


# Its own backward pass: JAX's would multiply the float32 cotangent with bfloat16 factors, which
# accelerators run at the speed of float32.
@jax.custom_vjp
def _low_matmul(x: Array, kernel: Array) -> Array:
    """Multiply (…, n, k) by (…, k, m), factors in bfloat16, in both passes."""
    return _bfloat16_product(x, kernel)


def _low_forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return _low_matmul(x, kernel), (x, kernel)


def _low_backward(kept: tuple[Array, Array], dy: Array) -> tuple[Array, Array]:
    x, kernel = kept
    dx = _bfloat16_product(dy, kernel.swapaxes(-1, -2))
    d_kernel = _bfloat16_product(x.swapaxes(-1, -2), dy)
    return dx.astype(x.dtype), d_kernel.astype(kernel.dtype)


_low_matmul.defvjp(_low_forward, _low_backward)


def project(
    parts: Sequence[GatheredRows], kernel: Array, low_precision: bool = False
) -> tuple[GatheredRows, ...]:
    """Multiply every part by its rows of a kernel; `add_gathered` of them is [a | b | …] @ kernel.

    W [a | b] = W_a a + W_b b: no concatenation is made, and each part is multiplied where it has
    fewest rows (docs/concepts/network.md, saving 2).
    """
    stops = itertools.accumulate(part.rows.shape[-1] for part in parts)
    return tuple(
        GatheredRows(
            matmul(part.rows, kernel[stop - part.rows.shape[-1] : stop], low_precision), part.index
        )
        for part, stop in zip(parts, stops, strict=True)
    )


def add_gathered(parts: Sequence[GatheredRows]) -> Array:
    """Sum of equally wide parts after their gathers, one row a reader."""
    first, *others = (part.gather() for part in parts)
    return sum(others, first)


class Dense(nn.Module):
    """Dense layer y = x W + b, initialized as in torch: (rows, in) -> (rows, features)."""

    features: int
    use_bias: bool = True
    low_precision: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Apply the layer."""
        init = uniform_fan_in(x.shape[-1])
        y = matmul(x, self.param("kernel", init, (x.shape[-1], self.features)), self.low_precision)
        return y + self.param("bias", init, (self.features,)) if self.use_bias else y


class ResidualHead(nn.Module):
    """Residual regression network: crystal embedding -> (prediction, log_std), both normalized.

    Each layer is relu(Dense(x)) [* alpha, ReZero] + skip, where skip is the identity or, between
    different widths, a Dense without bias (reference: `message_changed.py`).
    """

    widths: tuple[int, ...]
    rezero: bool
    low_precision: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Map (rows, embedding width) to (rows, 2)."""
        for i, width in enumerate(self.widths):
            y = nn.relu(Dense(width, low_precision=self.low_precision, name=f"layer_{i}")(x))
            if self.rezero:  # starts at 0: every layer is the identity before training
                y = y * self.param(f"alpha_{i}", zeros(), ())
            if x.shape[-1] != width:
                x = Dense(width, False, self.low_precision, name=f"skip_{i}")(x)
            x = x + y
        return Dense(2, name="out")(x)


Draw = Callable[[np.random.Generator, Sequence[int]], np.ndarray]
"""Generator and shape -> random array."""
Init = Callable[..., Array]
"""Initializer: key, shape and dtype -> zeros in place of the weights."""
_RECORD: ContextVar[list[tuple[Array, Draw]] | None] = ContextVar("record", default=None)


@contextmanager
def recording() -> Iterator[list[tuple[Array, Draw]]]:
    """List the zeros of initializers with the functions that draw the weights."""
    drawn = list[tuple[Array, Draw]]()
    token = _RECORD.set(drawn)
    try:
        yield drawn
    finally:
        _RECORD.reset(token)


def uniform_fan_in(fan_in: int) -> Init:
    """Uniform in ±1/sqrt(fan_in): torch's default for weights and biases of a layer."""
    bound = fan_in**-0.5
    return _drawn_by(lambda random, shape: random.uniform(-bound, bound, shape))


def normal(variance: float = 1.0) -> Init:
    """Normal distribution of mean 0 and the given variance."""
    return _drawn_by(lambda random, shape: variance**0.5 * random.standard_normal(shape))


def uniform() -> Init:
    """Uniform in [0, 1)."""
    return _drawn_by(lambda random, shape: random.uniform(0, 1, shape))


def zeros() -> Init:
    """Zero."""
    return _drawn_by(lambda random, shape: np.zeros(shape))


def _drawn_by(draw: Draw) -> Init:
    def init(key: Array, shape: Sequence[int], dtype: jnp.dtype = jnp.float32) -> Array:
        del key  # `Network.init` draws the weights, with functions that are listed here
        blank = jnp.zeros(tuple(shape), dtype)
        if (drawn := _RECORD.get()) is not None:
            drawn.append((blank, draw))
        return blank

    return init
