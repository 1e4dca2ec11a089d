"""Fit of a sparse Gaussian process: inducing points by k-means, evidence bound by Adam.

Length scales, amplitude, noise, constant and inducing points are fitted on batches of crystals; the
posterior over the inducing values is set to its optimum in one pass over all crystals at the end.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import optax
from scipy.cluster.vq import vq

from cgatjax.config import GPConfig
from cgatjax.errors import TargetError
from cgatjax.inference.gaussian_process import Process, SparseGP, best_posterior, bound

_ROUNDS = 20
"""Rounds of k-means; Adam moves the inducing points further."""
_SAMPLE = 50
"""Data points per inducing point in the sample of k-means."""


def fit_gp(
    embeddings: np.ndarray,
    values: np.ndarray,
    config: GPConfig | Mapping[str, Any] = GPConfig(),  # noqa: B008 - frozen
) -> SparseGP:
    """Fit a sparse Gaussian process.

    The time grows with crystals x inducing^2 and steps x inducing^3; the memory is three times that
    of the embeddings in float64.

    Args:
      embeddings: (crystals, d).
      values: (crystals,) of the property; crystals with NaN are left out.
      config: how to fit.

    Raises:
      TargetError: fewer than two known values, or all of them equal.
    """
    config = GPConfig.of(config)
    known = np.isfinite(values)
    x, y = np.asarray(embeddings[known], np.float64), np.asarray(values[known], np.float64)
    if len(y) < 2 or np.ptp(y) == 0:
        raise TargetError(
            f"a Gaussian process needs at least two different values, got {len(y)} known ones"
        )
    x_mean, x_std = x.mean(0), x.std(0)
    x_std = np.where(x_std > 0, x_std, 1.0)
    y_mean, y_std = float(y.mean()), float(y.std())
    x, y = (x - x_mean) / x_std, (y - y_mean) / y_std
    process = _start(x, config)
    process = best_posterior(config.kernel, process, x, y)
    process = _optimized(process, x, y, config)
    process = best_posterior(config.kernel, process, x, y)
    return SparseGP(
        kernel=config.kernel,
        process=process,
        x_mean=x_mean,
        x_std=x_std,
        y_mean=y_mean,
        y_std=y_std,
        n=len(y),
    )


def k_means(points: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Cluster points (n, d) into k <= n centers (k, d); a center without points stays."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(points))[: _SAMPLE * k]
    sample = points[chosen]
    centers = sample[:k].copy()
    for _ in range(_ROUNDS):
        nearest = vq(sample, centers)[0]
        counts = np.bincount(nearest, minlength=k)
        sums = np.zeros_like(centers)
        np.add.at(sums, nearest, sample)
        filled = counts > 0
        centers[filled] = sums[filled] / counts[filled, None]
    return centers


def _start(x: np.ndarray, config: GPConfig) -> Process:
    """Initialize: length scales of the data's extent, a tenth of the variance as noise."""
    size = min(config.inducing, len(x))
    inducing = x.copy() if size == len(x) else k_means(x, size, config.seed)
    scale = np.log(np.sqrt(x.shape[1]))
    return Process(
        inducing=inducing,
        log_scales=np.array(scale) if config.one_scale else np.full(x.shape[1], scale),
        log_amplitude=np.zeros(()),
        log_noise=np.array(0.5 * np.log(0.1)),
        constant=np.zeros(()),
        mean=np.zeros(size),
        factor=np.eye(size),
    )


def _optimized(process: Process, x: np.ndarray, y: np.ndarray, config: GPConfig) -> Process:
    """Maximize the bound by `steps` of Adam, batch after batch."""
    if config.steps == 0:
        return process
    rng, size = np.random.default_rng(config.seed), min(config.batch_size, len(x))
    optimizer = optax.adam(optax.cosine_decay_schedule(config.learning_rate, config.steps))

    def loss(process: Process, points: Any, values: Any) -> jax.Array:
        return -bound(config.kernel, process, points, values, len(x)) / len(x)

    @jax.jit
    def step(process: Process, state: Any, points: Any, values: Any) -> tuple[Process, Any]:
        gradient = jax.grad(loss)(process, points, values)
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(process, updates), state

    with jax.enable_x64(True):
        process = Process(*(jax.numpy.asarray(leaf) for leaf in process))
        state = optimizer.init(process)
        for _ in range(config.steps):
            rows = rng.choice(len(x), size, replace=False)
            process, state = step(process, state, x[rows], y[rows])
        return Process(*(np.asarray(leaf) for leaf in process))
