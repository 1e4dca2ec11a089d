"""Contenders of a choice: predictions in cross-validation, with their errors as of new crystals.

A model that was trained on cheaper values of the same crystals predicts them better than new ones,
and so does all that starts from it. All errors here are those of new crystals: what
cross-validation hides is added, in full, so that the order of the candidates that hide as much is
that of their own errors. Two source models hide different errors, and their mean less than either.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

CORRELATION = 0.75
"""Correlation of what two source models hide: on 5,388 crystals that neither was trained on, the
mean errors of `mp-small`, `mp-medium` and their mean are those of normal deviates with 0.71 to 0.80
(docs/results/source_errors.csv)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Contender:
    """Candidate with its out-of-fold predictions.

    Attributes:
      name: its name.
      is_simple: True if no network is used.
      means, stds: (pool,) predictions for crystals that were not trained on, NaN if there are none.
      seconds: of all fits.
      steps: optimizer steps on whole networks, of all fits.
      folds: number of folds done.
      hidden_std: standard deviation of the error of new crystals that `means` do not show; it is
        the same deviate for all candidates that start from the same model.
      start: name of the model that it starts from; "" for none.
      is_external: True if it reads embeddings from elsewhere, so that it cannot predict structures.
    """

    name: str
    is_simple: bool
    means: np.ndarray
    stds: np.ndarray
    seconds: float
    steps: int
    folds: int
    hidden_std: float = 0.0
    start: str = ""
    is_external: bool = False

    def errors(self, values: np.ndarray) -> np.ndarray:
        """Return the absolute errors (pool,) as of new crystals, NaN on folds that are not done."""
        return new_errors(self.means - values, self.hidden_std)


def new_errors(residuals: np.ndarray, hidden: float | np.ndarray) -> np.ndarray:
    """Return what absolute errors of new crystals are at most, in the mean.

    |residual + deviate| is at most |residual| + |deviate|, and the mean of the latter is known.

    Args:
      residuals: predictions minus values.
      hidden: standard deviation of a normal deviate that new crystals have beside; 0 for none.

    >>> new_errors(np.array([0.0, -3.0]), 1.0).round(3).tolist()
    [0.798, 3.798]
    """
    return np.abs(residuals) + (2 / np.pi) ** 0.5 * hidden


class Hidden(NamedTuple):
    """Errors of candidates that cross-validation hides: one normal deviate for each source model.

    Attributes:
      stds: (candidates,) standard deviations.
      starts: (candidates,) numbers of the source models.
    """

    stds: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, contenders: Sequence[Contender]) -> Self:
        """Collect what contenders hide."""
        _, starts = np.unique([c.start for c in contenders], return_inverse=True)
        return cls(np.array([c.hidden_std for c in contenders]), starts)

    def mixed(self, weights: np.ndarray) -> np.ndarray:
        """Compute the standard deviation (...) that weighted means of the candidates hide.

        Args:
          weights: (..., candidates).

        >>> hidden = Hidden(np.array([1.0, 1.0, 1.0]), np.array([0, 0, 1]))
        >>> hidden.mixed(np.array([[0.5, 0.5, 0.0], [0.5, 0.0, 0.5]])).round(3).tolist()
        [1.0, 0.935]
        """
        own = np.eye(self.starts.max() + 1)[self.starts]
        each = (weights * self.stds) @ own
        return np.sqrt(CORRELATION * each.sum(-1) ** 2 + (1 - CORRELATION) * (each**2).sum(-1))

    def take(self, chosen: np.ndarray) -> Self:
        """Return those of some candidates, by a mask."""
        return self._replace(stds=self.stds[chosen], starts=self.starts[chosen])


def standard_error(values: np.ndarray, groups: np.ndarray) -> float:
    """Compute the standard error of a mean over crystals whose groups are independent.

    >>> round(standard_error(np.array([0.0, 2.0, 4.0, 6.0]), np.arange(4)), 3)
    1.291
    """
    centered = values - values.mean()
    totals = np.bincount(groups, centered)
    count = len(np.unique(groups))
    if count < 2:
        return float("inf")
    return float(np.sqrt(np.square(totals).sum() * count / (count - 1)) / len(values))
