"""Element-wise losses on the normalized target: (…, 2) outputs, (…) targets -> (…) losses.

An output holds the prediction and s, the logarithm of its standard deviation. Only the robust
losses train s (reference: `utils.py`).
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

Loss = Callable[[Array, Array], Array]


def l1(output: Array, target: Array) -> Array:
    """Absolute error |y - t|.

    >>> float(l1(jnp.array([1.0, 0.0]), jnp.array(3.0)))
    2.0
    """
    return jnp.abs(output[..., 0] - target)


def l2(output: Array, target: Array) -> Array:
    """Squared error (y - t)^2.

    >>> float(l2(jnp.array([1.0, 0.0]), jnp.array(3.0)))
    4.0
    """
    return jnp.square(output[..., 0] - target)


def robust_l1(output: Array, target: Array) -> Array:
    """Robust L1 loss sqrt(2) |y - t| exp(-s) + s: a Laplace distribution of std exp(s)."""
    y, s = output[..., 0], output[..., 1]
    return 2**0.5 * jnp.abs(y - target) * jnp.exp(-s) + s


def robust_l2(output: Array, target: Array) -> Array:
    """Robust L2 loss (y - t)^2 exp(-2s) / 2 + s: a normal distribution of std exp(s)."""
    y, s = output[..., 0], output[..., 1]
    return 0.5 * jnp.square(y - target) * jnp.exp(-2 * s) + s


LOSSES: dict[str, Loss] = {"l1": l1, "l2": l2, "robust_l1": robust_l1, "robust_l2": robust_l2}


def predicts_std(loss: str) -> bool:
    """True if a model trained with this loss predicts a standard deviation."""
    return loss.startswith("robust")
