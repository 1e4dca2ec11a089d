"""Error metrics as sums and counts until the end, so that batches of any size add up."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array


class ErrorSums(NamedTuple):
    """Sums over known values of |error| and error^2, and the number of values."""

    absolute: Array | float
    squared: Array | float
    n: Array | float


@dataclass
class Totals:
    """Loss and errors of n known values, summed in float64 on the host in the order of the
    steps.
    """

    loss: float = 0.0
    n: float = 0.0
    errors: dict[str, ErrorSums] = field(default_factory=dict)

    def add(self, loss: Any, n: Any, errors: Mapping[str, ErrorSums]) -> None:
        """Add the sums of a step."""
        self.loss += float(loss)
        self.n += float(n)
        for name, sums in errors.items():
            before = self.errors.get(name, ErrorSums(0.0, 0.0, 0.0))
            added = (float(a) + float(b) for a, b in zip(before, sums, strict=True))
            self.errors[name] = ErrorSums(*added)

    def to_plain(self) -> dict[str, Any]:
        """Convert to plain values, for `from_plain`."""
        errors = {name: list(sums) for name, sums in self.errors.items()}
        return {"loss": self.loss, "n": self.n, "errors": errors}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Totals":
        """Restore from the values of `to_plain`, also after JSON."""
        errors = {name: ErrorSums(*sums) for name, sums in plain["errors"].items()}
        return cls(plain["loss"], plain["n"], errors)


def error_sums(prediction: Array, target: Array, mask: Array) -> ErrorSums:
    """Sum the errors where `mask` holds; all (graphs,), in the target's unit."""
    error = jnp.where(mask, prediction - target, 0)
    return ErrorSums(jnp.abs(error).sum(), jnp.square(error).sum(), mask.sum().astype(error.dtype))


def summarize(sums: ErrorSums) -> dict[str, float]:
    """Compute {"mae", "rmse", "n"} from sums; NaN errors when nothing was counted."""
    n = float(sums.n)
    if n == 0:
        return {"mae": float("nan"), "rmse": float("nan"), "n": 0}
    return {"mae": float(sums.absolute) / n, "rmse": (float(sums.squared) / n) ** 0.5, "n": int(n)}


def errors_of(predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Compute {"mae", "rmse", "n"} over the rows (rows,) where both are known."""
    error = np.asarray(predictions, np.float64) - np.asarray(targets, np.float64)
    error = error[np.isfinite(error)]
    return summarize(ErrorSums(np.abs(error).sum(), np.square(error).sum(), len(error)))


def mean_over_targets(
    errors: Mapping[str, Mapping[str, float]], scales: Mapping[str, float]
) -> float:
    """Average the targets' MAEs in units of their standard deviation: the validation score."""
    scaled = [e["mae"] / scales[name] for name, e in errors.items() if e["n"]]
    return sum(scaled) / len(scaled) if scaled else float("nan")
