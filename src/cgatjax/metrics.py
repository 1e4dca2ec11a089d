"""Errors as sums and counts until the end, so that batches of any size add up exactly."""

from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array


class ErrorSums(NamedTuple):
    """Sums over known values of |error| and error^2, and the number of values."""

    absolute: Array | float
    squared: Array | float
    n: Array | float


def error_sums(prediction: Array, target: Array, mask: Array) -> ErrorSums:
    """Sums of the errors where `mask` holds; all (G,), in the target's unit."""
    error = jnp.where(mask, prediction - target, 0)
    return ErrorSums(jnp.abs(error).sum(), jnp.square(error).sum(), mask.sum().astype(error.dtype))


def summarize(sums: ErrorSums) -> dict[str, float]:
    """{"mae", "rmse", "n"} from sums; NaN errors when nothing was counted."""
    n = float(sums.n)
    if n == 0:
        return {"mae": float("nan"), "rmse": float("nan"), "n": 0}
    return {"mae": float(sums.absolute) / n, "rmse": (float(sums.squared) / n) ** 0.5, "n": int(n)}


def errors_of(predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """{"mae", "rmse", "n"} over the rows where both are known; (rows,) each."""
    error = np.asarray(predictions, np.float64) - np.asarray(targets, np.float64)
    error = error[np.isfinite(error)]
    return summarize(ErrorSums(np.abs(error).sum(), np.square(error).sum(), len(error)))


def mean_over_targets(
    errors: Mapping[str, Mapping[str, float]], scales: Mapping[str, float]
) -> float:
    """Mean of the targets' MAEs in units of their standard deviation: what "best" means."""
    scaled = [e["mae"] / scales[name] for name, e in errors.items() if e["n"]]
    return sum(scaled) / len(scaled) if scaled else float("nan")
