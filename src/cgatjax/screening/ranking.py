"""Ranking of predictions: keep the best, those within thresholds, or all."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from cgatjax.options import Options
from cgatjax.screening.ranked_parquet import ranking

NOT_FINITE, BEYOND = "prediction is not a finite number", "outside the thresholds"


@dataclass(frozen=True, kw_only=True)
class Keep(Options):
    """Rule for the predictions to keep; the defaults keep everything.

    Attributes:
      best: number of best predictions to keep; None for all.
      below, above: thresholds in the unit of the target, exclusive.
      highest: rank the highest predictions first instead of the lowest.
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
    """Running selection of rows, chunk by chunk, that drops what can no longer be among the best.

    The rows kept from a chunk depend on this chunk and the chunks before it only, so that a resumed
    screening keeps the same rows.
    """

    def __init__(self, keep: Keep) -> None:
        self._keep = keep
        self._best = np.empty(0)

    def note(self, means: np.ndarray) -> None:
        """Merge the means of kept rows into the best so far."""
        if self._keep.best is not None:
            pooled = np.concatenate([self._best, means])
            self._best = pooled[ranking(pooled, self._keep.highest)[: self._keep.best]]

    def chosen(self, means: np.ndarray) -> tuple[np.ndarray, Counter[str]]:
        """Return the positions to keep, best first, and the counts left out by reason."""
        keep, finite = self._keep, np.isfinite(means)
        inside = finite.copy()
        inside[finite] &= True if keep.below is None else means[finite] < keep.below
        inside[finite] &= True if keep.above is None else means[finite] > keep.above
        counts = Counter({NOT_FINITE: int((~finite).sum()), BEYOND: int((finite & ~inside).sum())})
        rows = np.flatnonzero(inside)
        if keep.best is not None and len(self._best) == keep.best:
            worst = self._best[-1]  # ties go to the earlier row
            rows = rows[means[rows] > worst if keep.highest else means[rows] < worst]
        # Only the few rows that can be among the best are sorted.
        rows = rows[ranking(means[rows], keep.highest)][: keep.best]
        self.note(means[rows])
        return rows, counts
