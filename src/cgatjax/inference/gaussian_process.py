"""Sparse variational Gaussian process: evidence bound, optimal posterior, predictions.

Inducing points stand for the data (Hensman, Fusi, Lawrence, UAI 2013, arXiv:1309.6835), whitened by
the Cholesky factor of their covariance: q(v) = N(mean, factor factor^T) with inducing values
u = constant + L v. Everything is computed in float64, whatever the precision of the networks.

Shapes: N crystals, M inducing points, d features of a crystal. The bound is evaluated on
batches and is, in expectation over them, that of all data.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.linalg import solve_triangular

from cgatjax.errors import InputError

Kernel = Literal["rbf", "matern52"]
JITTER = 1e-6
"""Added to the diagonal of the inducing points' covariance, as a fraction of the variance."""
GRID = 64
"""Inducing points and crystals of an exact fit are padded to multiples of this number."""
BLOCK = 2048
"""Crystals whose covariance with the inducing points is in memory at a time."""


class Process(NamedTuple):
    """Parameters of a sparse process over standardized features; all float64.

    Attributes:
      inducing: (M, d) inducing points.
      log_scales: (d,) logarithms of the length scales, or () for one of all directions.
      log_amplitude: () of the standard deviation of the function.
      log_noise: () of that of an observation around the function.
      constant: () mean of the function far from all data.
      mean: (M,) of the whitened inducing values.
      factor: (M, M) lower-triangular factor of their covariance.
    """

    inducing: Any
    log_scales: Any
    log_amplitude: Any
    log_noise: Any
    constant: Any
    mean: Any
    factor: Any


@dataclass(frozen=True, eq=False, kw_only=True)
class SparseGP:
    """Fitted Gaussian process from crystal embeddings to one property.

    Attributes:
      kernel: "rbf" (squared exponential) or "matern52".
      process: the parameters.
      x_mean, x_std: (d,) mean and std that standardize the embeddings.
      y_mean, y_std: mean and std of the property, in its unit.
      n: number of crystals it was fitted to.
    """

    kernel: Kernel
    process: Process
    x_mean: np.ndarray
    x_std: np.ndarray
    y_mean: float
    y_std: float
    n: int

    @property
    def noise(self) -> float:
        """Standard deviation of an observation around the function, in the property's unit."""
        return float(np.exp(self.process.log_noise)) * self.y_std

    def predict(self, embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predict mean and standard deviation of an observation, (crystals,) float64.

        Args:
          embeddings: (crystals, d).

        Raises:
          InputError: the embeddings have another width than the fitted ones.
        """
        if embeddings.ndim != 2 or embeddings.shape[1] != len(self.x_mean):
            raise InputError(
                f"expected embeddings (crystals, {len(self.x_mean)}), got {embeddings.shape}"
            )
        points = (np.asarray(embeddings, np.float64) - self.x_mean) / self.x_std
        mean, variance = posterior(self.kernel, self.process, points)
        observed = variance + np.exp(2 * float(self.process.log_noise))
        return mean * self.y_std + self.y_mean, np.sqrt(observed) * self.y_std


def covariance(kernel: Kernel, process: Process, a: Array, b: Array) -> Array:
    """Compute covariances (A, B) of the function at points (A, d) and (B, d)."""
    scales = jnp.exp(process.log_scales)
    a, b = a / scales, b / scales
    squared = jnp.square(a).sum(1)[:, None] + jnp.square(b).sum(1) - 2 * a @ b.T
    squared = jnp.maximum(squared, 0)
    variance = jnp.exp(2 * process.log_amplitude)
    if kernel == "rbf":
        return variance * jnp.exp(-squared / 2)
    # The square root has no derivative at 0, where the kernel's derivative is 0.
    distance = jnp.sqrt(5 * jnp.maximum(squared, 1e-20))
    return variance * (1 + distance + 5 * squared / 3) * jnp.exp(-distance)


def padded(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pad points (N, d) to one of few sizes, so that compiled programs are used again.

    The second array is 1 for points that are known, 0 for the padding.
    """
    extra = -len(points) % GRID
    return np.pad(points, ((0, extra), (0, 0))), np.pad(np.ones(len(points)), (0, extra))


def _factor(own: Array, ridge: Array, known: Array) -> Array:
    """Factorize a covariance (P, P) plus a ridge; padding has a variance of 1 and no covariance."""
    return jnp.linalg.cholesky(own * known[:, None] * known + jnp.diag(ridge * known + 1 - known))


def whitened(kernel: Kernel, process: Process, points: Array, known: Array | None = None) -> Array:
    """Compute L^-1 K(inducing, points), (M, points); L L^T is the inducing covariance.

    `known` is 0 for padded inducing points, whose rows are 0; None if there are none.
    """
    known = jnp.ones(len(process.inducing)) if known is None else known
    own = covariance(kernel, process, process.inducing, process.inducing)
    factor = _factor(own, JITTER * jnp.exp(2 * process.log_amplitude), known)
    cross = covariance(kernel, process, process.inducing, points) * known[:, None]
    return solve_triangular(factor, cross, lower=True)


def moments(kernel: Kernel, process: Process, points: Array) -> tuple[Array, Array]:
    """Compute mean and variance of the function at points, (points,) each."""
    a = whitened(kernel, process, points)
    prior = jnp.exp(2 * process.log_amplitude)
    spread = jnp.square(jnp.tril(process.factor).T @ a).sum(0)
    variance = jnp.maximum(prior - jnp.square(a).sum(0), 0) + spread
    return process.constant + process.mean @ a, variance


def bound(kernel: Kernel, process: Process, points: Array, values: Array, n: int) -> Array:
    """Estimate the evidence lower bound of n data from a batch of them.

    n/B sum [log N(y | mean, noise) - variance / (2 noise^2)] - KL(q(v) || N(0, 1)).
    """
    mean, variance = moments(kernel, process, points)
    noise = jnp.exp(2 * process.log_noise)
    error = jnp.square(values - mean) + variance
    fit = -0.5 * (jnp.log(2 * jnp.pi * noise) + error / noise)
    factor = jnp.tril(process.factor)
    logdet = jnp.log(jnp.square(jnp.diag(factor))).sum()
    size = len(process.mean)
    divergence = jnp.square(factor).sum() + jnp.square(process.mean).sum() - size - logdet
    return n * fit.mean() - 0.5 * divergence


def evidence(
    kernel: Kernel, process: Process, points: Array, values: Array, known: Array | None = None
) -> Array:
    """Compute the log marginal likelihood of exact regression, log N(values | constant, K + noise).

    Inducing points and the posterior of the process are not used. Time and memory grow with the
    cube and the square of the number of points. `known` is 0 for padding, which changes nothing.
    """
    known = jnp.ones(len(points)) if known is None else known
    own = covariance(kernel, process, points, points)
    ridge = jnp.exp(2 * process.log_noise) + JITTER * jnp.exp(2 * process.log_amplitude)
    factor = _factor(own, ridge, known)
    solved = solve_triangular(factor, (values - process.constant) * known, lower=True)
    logdet = 2 * jnp.log(jnp.diag(factor)).sum()
    return -0.5 * (jnp.square(solved).sum() + logdet + known.sum() * jnp.log(2 * jnp.pi))


def best_posterior(
    kernel: Kernel, process: Process, points: np.ndarray, values: np.ndarray
) -> Process:
    """Set q(v) to its optimum for the other parameters, in one pass over the data.

    With Gaussian noise it has a closed form (Titsias, AISTATS 2009): with a = L^-1 K(inducing,
    points) and b = 1 + a a^T / noise^2 it is N(b^-1 a (y - constant) / noise^2, b^-1).
    """
    size = len(process.mean)
    square, weighted = np.eye(size), np.zeros(size)
    noise = np.exp(2 * float(process.log_noise))
    for start, a in _blocks(kernel, process, points):
        square += a @ a.T / noise
        weighted += a @ (values[start : start + a.shape[1]] - float(process.constant)) / noise
    inverse = np.linalg.inv(square)
    factor = np.linalg.cholesky((inverse + inverse.T) / 2)
    return process._replace(mean=inverse @ weighted, factor=factor)


def posterior(
    kernel: Kernel, process: Process, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compute `moments` of any number of points, in float64 and in blocks."""
    prior = np.exp(2 * float(process.log_amplitude))
    factor, parts = np.tril(process.factor), []
    for _, a in _blocks(kernel, process, points):
        variance = np.maximum(prior - np.square(a).sum(0), 0) + np.square(factor.T @ a).sum(0)
        parts.append((float(process.constant) + process.mean @ a, variance))
    means, variances = zip(*parts, strict=True) if parts else (((),), ((),))
    return np.concatenate(means), np.concatenate(variances)


def _blocks(
    kernel: Kernel, process: Process, points: np.ndarray
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (start, whitened covariances) of blocks of points, padded to few sizes."""
    size = min(BLOCK, 1 << max(len(points) - 1, 0).bit_length())
    inducing, known = padded(process.inducing)
    # Only what `whitened` reads, so that the program does not depend on the other sizes.
    bare = process._replace(inducing=inducing, mean=None, factor=None)
    for start in range(0, len(points), BLOCK):
        block = points[start : start + BLOCK]
        repeated = np.resize(block, (size, block.shape[1]))
        # Not around the yield: the caller's code between two blocks keeps its own precision.
        with jax.enable_x64(True):
            a = np.asarray(_whitened(kernel, bare, repeated, known))
        yield start, a[: len(process.inducing), : len(block)]


_whitened = jax.jit(whitened, static_argnums=0)
