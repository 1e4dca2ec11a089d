"""Random initial weights, drawn by NumPy on the host.

Compiling JAX's own generators for hundreds of differently shaped weights takes most of a minute;
NumPy needs none of it. `Network.init` does not even run the network: it is traced for the shapes,
and `recording` tells which initializer made which weight.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

Draw = Callable[[np.random.Generator, Sequence[int]], np.ndarray]
"""Generator and shape -> random array."""
Init = Callable[..., Array]
"""Initializer: key, shape and dtype -> array."""
_RECORD: ContextVar[list[tuple[Array, Draw]] | None] = ContextVar("record", default=None)


@contextmanager
def recording() -> Iterator[list[tuple[Array, Draw]]]:
    """Have initializers return zeros, and list these with the functions that draw the weights."""
    drawn = list[tuple[Array, Draw]]()
    token = _RECORD.set(drawn)
    try:
        yield drawn
    finally:
        _RECORD.reset(token)


def uniform_fan_in(fan_in: int) -> Init:
    """Uniform in ±1/sqrt(fan_in): torch's default for weights and biases of a layer."""
    bound = fan_in**-0.5
    return _host_drawn(lambda random, shape: random.uniform(-bound, bound, shape))


def normal(variance: float = 1.0) -> Init:
    """Normal distribution of mean 0 and the given variance."""
    return _host_drawn(lambda random, shape: variance**0.5 * random.standard_normal(shape))


def uniform() -> Init:
    """Uniform in [0, 1)."""
    return _host_drawn(lambda random, shape: random.uniform(0, 1, shape))


def zeros() -> Init:
    """Zero."""
    return _host_drawn(lambda random, shape: np.zeros(shape))


def _host_drawn(draw: Draw) -> Init:
    def init(key: Array, shape: Sequence[int], dtype: jnp.dtype = jnp.float32) -> Array:
        def sample(key_data: np.ndarray) -> np.ndarray:
            random = np.random.default_rng(np.asarray(key_data).ravel().tolist())
            return np.asarray(draw(random, tuple(shape)), dtype)

        drawn = _RECORD.get()
        if drawn is not None:
            blank = jnp.zeros(tuple(shape), dtype)
            drawn.append((blank, draw))
            return blank
        key_data = jax.random.key_data(key)
        # Inside jit the key has no value yet: the host is called back when it has one.
        if isinstance(key_data, jax.core.Tracer):
            result = jax.ShapeDtypeStruct(tuple(shape), jax.dtypes.canonicalize_dtype(dtype))
            return jax.pure_callback(sample, result, key_data, vmap_method="sequential")
        return jnp.asarray(sample(np.asarray(key_data)))

    return init
