"""Which of the predicted crystals are kept: the best, those beyond a threshold, or all."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from cgatjax.options import Options
from cgatjax.screening.ranked_parquet import ranking

NOT_FINITE, BEYOND = "prediction is not a finite number", "outside the thresholds"


@dataclass(frozen=True, kw_only=True)
class Keep(Options):
    """What is kept; without any option, everything.

    Attributes:
      best: so many; None for any number.
      below, above: only predictions below, above this, in the target's unit.
      highest: whether the highest are the best, not the lowest.
    """

    best: int | None = None
    below: float | None = None
    above: float | None = None
    highest: bool = False

    def _check(self) -> None:
        self._require(self.best is None or self.best >= 1, "best", "at least 1")
        both = self.below is not None and self.above is not None
        self._require(not both or self.below > self.above, "below", "more than above")  # type: ignore[operator]


class Selection:
    """Chooses rows part by part, and forgets what can no longer be among the best.

    What is kept of a part depends on it and the parts before it, not on when they were seen.
    """

    def __init__(self, keep: Keep) -> None:
        self._keep = keep
        self._best = np.empty(0)

    def note(self, means: np.ndarray) -> None:
        """Takes account of rows that were kept before."""
        if self._keep.best is not None:
            pooled = np.concatenate([self._best, means])
            self._best = pooled[ranking(pooled, self._keep.highest)[: self._keep.best]]

    def chosen(self, means: np.ndarray) -> tuple[np.ndarray, Counter[str]]:
        """Positions to keep, from best to worst, and how many were left out for good, by reason."""
        keep, finite = self._keep, np.isfinite(means)
        inside = finite.copy()
        inside[finite] &= True if keep.below is None else means[finite] < keep.below
        inside[finite] &= True if keep.above is None else means[finite] > keep.above
        counts = Counter({NOT_FINITE: int((~finite).sum()), BEYOND: int((finite & ~inside).sum())})
        rows = np.flatnonzero(inside)
        rows = rows[ranking(means[rows], keep.highest)][: keep.best]
        if keep.best is not None and len(self._best) == keep.best:
            worst = self._best[-1]  # of equal ones the first to come was first
            rows = rows[means[rows] > worst if keep.highest else means[rows] < worst]
        self.note(means[rows])
        return rows, counts
