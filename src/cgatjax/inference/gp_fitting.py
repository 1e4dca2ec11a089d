"""Fit of a Gaussian process: exact for few crystals, sparse for many.

Sparse: length scales, amplitude, noise, constant and inducing points (first by k-means) maximize
the evidence bound by Adam, on batches of crystals; the posterior over the inducing values is set to
its optimum in one pass over all crystals at the end. Exact: all crystals are inducing points, for
which that posterior is the one of exact regression, and the other parameters maximize the evidence
by L-BFGS.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import optax
from scipy.cluster.vq import vq
from scipy.optimize import minimize

from cgatjax.config import GPConfig
from cgatjax.errors import TargetError
from cgatjax.inference.gaussian_process import (
    JITTER,
    Kernel,
    Process,
    SparseGP,
    best_posterior,
    bound,
    evidence,
    padded,
)
from cgatjax.runtime.progress import progress

_EXACT = ("log_scales", "log_amplitude", "log_noise", "constant")
"""Parameters of exact regression."""
EXACT_STEPS = 25
"""L-BFGS steps of an exact fit; more raise the evidence, but not the accuracy on new crystals."""
_ROUNDS = 20
"""Rounds of k-means; Adam moves the inducing points further."""
_SAMPLE = 50
"""Data points per inducing point in the sample of k-means."""


def fit_gp(
    embeddings: np.ndarray,
    values: np.ndarray,
    config: GPConfig | Mapping[str, Any] = GPConfig(),  # noqa: B008 - frozen
    *,
    show_progress: bool | None = None,
) -> SparseGP:
    """Fit a Gaussian process, an exact one if that is cheaper (see `is_exact`).

    The time of a sparse fit grows with crystals x inducing^2 and steps x inducing^3, that of an
    exact one with crystals^3; the memory is three times that of the embeddings in float64.

    Args:
      embeddings: (crystals, d).
      values: (crystals,) of the property; crystals with NaN are left out.
      config: how to fit.
      show_progress: show progress on standard error; by default in terminals and notebooks.

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
    if is_exact(len(y), config):
        process = _exact(_start(x, config.replace(inducing=len(y))), x, y, config, show_progress)
    else:
        process = _start(x, config)
        process = best_posterior(config.kernel, process, x, y)
        process = _optimized(process, x, y, config, show_progress)
    process = best_posterior(config.kernel, _noise_above_jitter(process), x, y)
    return SparseGP(
        kernel=config.kernel,
        process=process,
        x_mean=x_mean,
        x_std=x_std,
        y_mean=y_mean,
        y_std=y_std,
        n=len(y),
    )


def is_exact(n: int, config: GPConfig) -> bool:
    """True if an exact fit to n crystals costs no more operations than a sparse one.

    With the default options that is the case up to some 1,200 crystals.
    """
    size, batch = min(config.inducing, n), min(config.batch_size, n)
    return EXACT_STEPS * n**3 <= config.steps * size**2 * (size + batch)


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


def _exact(
    process: Process, x: np.ndarray, y: np.ndarray, config: GPConfig, show_progress: bool | None
) -> Process:
    """Maximize the evidence of all crystals by L-BFGS."""
    points, known = padded(x)
    values = np.pad(y, (0, len(points) - len(y)))
    start = np.concatenate([np.ravel(getattr(process, name)) for name in _EXACT])

    def function(flat: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = _loss_and_gradient(
            config.kernel, config.one_scale, flat, points, values, known
        )
        # A covariance that is not positive definite: the line search takes a shorter step.
        return (float(value), np.asarray(gradient)) if np.isfinite(value) else (1e10, 0 * flat)

    with jax.enable_x64(True), progress("fit", EXACT_STEPS, shown=show_progress) as advance:
        found = minimize(
            function,
            start,
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": EXACT_STEPS},
            callback=lambda flat: advance(1, ""),
        )
    fitted = _parameters(found.x, config.one_scale)
    return process._replace(**{name: np.asarray(v) for name, v in fitted.items()})


def _noise_above_jitter(process: Process) -> Process:
    """Keep the noise above the jitter, below which the evidence does not depend on it.

    Smooth values (volumes per atom) drive it to nothing, and the posterior of observations without
    noise is singular.
    """
    least = 0.5 * np.log(JITTER) + process.log_amplitude
    return process._replace(log_noise=np.maximum(process.log_noise, least))


def _parameters(flat: Any, one_scale: bool) -> dict[str, Any]:
    """Name the parameters of exact regression in a vector of all of them."""
    parts = (flat[0] if one_scale else flat[:-3]), flat[-3], flat[-2], flat[-1]
    return dict(zip(_EXACT, parts, strict=True))


def _loss(
    kernel: Kernel, one_scale: bool, flat: Any, points: Any, values: Any, known: Any
) -> jax.Array:
    rest = dict.fromkeys(("inducing", "mean", "factor"))
    process = Process(**_parameters(flat, one_scale), **rest)
    return -evidence(kernel, process, points, values, known) / known.sum()


_loss_and_gradient = jax.jit(jax.value_and_grad(_loss, argnums=2), static_argnums=(0, 1))
"""One program for all fits of a kernel whose padded sizes agree."""


def _optimized(
    process: Process, x: np.ndarray, y: np.ndarray, config: GPConfig, show_progress: bool | None
) -> Process:
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

    with jax.enable_x64(True), progress("fit", config.steps, shown=show_progress) as advance:
        process = Process(*(jax.numpy.asarray(leaf) for leaf in process))
        state = optimizer.init(process)
        for _ in range(config.steps):
            rows = rng.choice(len(x), size, replace=False)
            process, state = step(process, state, x[rows], y[rows])
            # JAX returns before the step is done; progress counts finished ones.
            jax.block_until_ready(process.constant)
            advance(1, "")
        return Process(*(np.asarray(leaf) for leaf in process))
