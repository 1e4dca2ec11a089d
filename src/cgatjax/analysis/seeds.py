"""Spread of errors over random seeds, and significance of differences between methods."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cgatjax.analysis.regression import student_quantile
from cgatjax.errors import InputError

LEVEL = 0.95
"""Confidence level of the intervals."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Relative change of a mean error, with its confidence interval.

    Attributes:
      change: ours / base - 1.
      low, high: bounds of the interval; -1 and infinity if the spread over seeds is unknown.
    """

    change: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Significance of the change: "better", "worse" or "undecided"."""
        if self.high < 0:
            return "better"
        return "worse" if self.low > 0 else "undecided"

    def text(self) -> str:
        """Describe the change, its interval in percent, and the verdict."""
        if not math.isfinite(self.high):
            return f"{self.change:+.0%}, one seed decides nothing"
        return f"{self.change:+.0%}, {self.low:+.0%} to {self.high:+.0%}: {self.verdict}"


@dataclass(frozen=True, kw_only=True)
class SeedSpread:
    """Standard deviation of log(error) over random seeds, pooled over methods.

    A few seeds determine the spread of one method poorly. Therefore all methods share one standard
    deviation of log(error), and each has its own mean.

    Attributes:
      std: standard deviation of log(error) between seeds of one method.
      freedom: degrees of freedom of `std`; 0 if no method has two seeds.
    """

    std: float
    freedom: int

    @classmethod
    def of(cls, methods: Iterable[Sequence[float]]) -> "SeedSpread":
        """Pool the spreads of several methods.

        Args:
          methods: errors of the seeds of each method, in any unit.

        Raises:
          InputError: an error is not positive.

        >>> SeedSpread.of([[1.0, 1.1], [20.0, 21.0, 22.0], [3.0]])
        SeedSpread(std=0.0550..., freedom=3)
        """
        total, freedom = 0.0, 0
        for errors in methods:
            if not all(error > 0 for error in errors):
                raise InputError(f"expected positive errors, got {list(errors)}")
            logs = [math.log(error) for error in errors]
            mean = sum(logs) / max(len(logs), 1)
            total += sum((value - mean) ** 2 for value in logs)
            freedom += max(len(logs) - 1, 0)
        return cls(std=math.sqrt(total / freedom) if freedom else math.nan, freedom=freedom)

    def compare(self, ours: Sequence[float], base: Sequence[float]) -> Comparison:
        """Compare the mean errors of two methods, with an interval by Student's t.

        Args:
          ours: errors of the seeds of one method.
          base: errors of the seeds of the reference method, in the same unit.

        >>> SeedSpread(std=0.05, freedom=6).compare([0.8, 0.9], [1.0, 1.1])
        Comparison(change=-0.19..., low=-0.28..., high=-0.08...)
        """
        ratio = (sum(ours) / len(ours)) / (sum(base) / len(base))
        if not self.freedom:
            return Comparison(change=ratio - 1, low=-1.0, high=math.inf)
        error = self.std * math.sqrt(1 / len(ours) + 1 / len(base))
        factor = math.exp(student_quantile(LEVEL, self.freedom) * error)
        return Comparison(change=ratio - 1, low=ratio / factor - 1, high=ratio * factor - 1)

    def text(self) -> str:
        """Describe the spread in a sentence."""
        if not self.freedom:
            return "One seed: the spread over seeds is unknown."
        return (
            f"Errors vary by {self.std:.1%} between seeds (standard deviation of the logarithm, "
            f"pooled over all methods, {self.freedom} degrees of freedom); intervals have a "
            f"confidence level of {LEVEL:.0%}, by Student's t."
        )
