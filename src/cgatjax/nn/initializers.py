"""Random initial weights, drawn by NumPy on the host from a JAX key.

Compiling JAX's own generators for hundreds of differently shaped weights takes most of a minute;
NumPy needs none of it. The same key gives the same weights inside and outside jit.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

Init = Callable[..., Array]
"""Initializer: key, shape and dtype -> array."""
_Draw = Callable[[np.random.Generator, Sequence[int]], np.ndarray]


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


def _host_drawn(draw: _Draw) -> Init:
    def init(key: Array, shape: Sequence[int], dtype: jnp.dtype = jnp.float32) -> Array:
        def sample(key_data: np.ndarray) -> np.ndarray:
            random = np.random.default_rng(np.asarray(key_data).ravel().tolist())
            return np.asarray(draw(random, tuple(shape)), dtype)

        key_data = jax.random.key_data(key)
        # Inside jit the key has no value yet: the host is called back when it has one.
        if isinstance(key_data, jax.core.Tracer):
            result = jax.ShapeDtypeStruct(tuple(shape), jax.dtypes.canonicalize_dtype(dtype))
            return jax.pure_callback(sample, result, key_data, vmap_method="sequential")
        return jnp.asarray(sample(np.asarray(key_data)))

    return init
