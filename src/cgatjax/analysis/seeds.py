"""What seeds alone do to an error, and which differences between ways are beyond that."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cgatjax.errors import InputError

LEVEL = 0.95
"""Of the intervals."""


def student_quantile(freedom: int) -> float:
    """Standard errors in half an interval of `LEVEL`.

    >>> round(student_quantile(2), 2), round(student_quantile(1000), 2)
    (4.3, 1.96)
    """
    from scipy.stats import t as student

    return float(student.ppf((1 + LEVEL) / 2, freedom))


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The relative change of a mean error, with the interval that seeds leave to it.

    Attributes:
      change: ours / base - 1.
      low, high: of `LEVEL`; -1 and infinity where nothing is known of the seeds.
    """

    change: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Whether ours is "better" or "worse", or "undecided"."""
        if self.high < 0:
            return "better"
        return "worse" if self.low > 0 else "undecided"

    def text(self) -> str:
        """The change and its interval in percent, and the verdict."""
        if not math.isfinite(self.high):
            return f"{self.change:+.0%}, one seed decides nothing"
        return f"{self.change:+.0%}, {self.low:+.0%} to {self.high:+.0%}: {self.verdict}"


@dataclass(frozen=True, kw_only=True)
class SeedSpread:
    """How far seeds alone spread errors.

    A handful of seeds says little of one way's spread. So it is pooled over ways: each way has a
    mean of its own, and all share one standard deviation of log(error).

    Attributes:
      std: standard deviation of log(error) between the seeds of a way.
      freedom: degrees of freedom that it was found with; 0 if no way has two seeds.
    """

    std: float
    freedom: int

    @classmethod
    def of(cls, ways: Iterable[Sequence[float]]) -> "SeedSpread":
        """Pools the errors of several ways, each with its seeds.

        Args:
          ways: errors of the seeds of each way, in any unit.

        Raises:
          InputError: an error is not positive.

        >>> SeedSpread.of([[1.0, 1.1], [20.0, 21.0, 22.0], [3.0]])
        SeedSpread(std=0.0550..., freedom=3)
        """
        total, freedom = 0.0, 0
        for errors in ways:
            if not all(error > 0 for error in errors):
                raise InputError(f"expected positive errors, got {list(errors)}")
            logs = [math.log(error) for error in errors]
            mean = sum(logs) / max(len(logs), 1)
            total += sum((value - mean) ** 2 for value in logs)
            freedom += max(len(logs) - 1, 0)
        return cls(std=math.sqrt(total / freedom) if freedom else math.nan, freedom=freedom)

    def compare(self, ours: Sequence[float], base: Sequence[float]) -> Comparison:
        """The change from the mean error of one way to that of another, by Student's t.

        Args:
          ours: errors of the seeds of one way.
          base: errors of the seeds of the other, in the same unit.

        >>> SeedSpread(std=0.05, freedom=6).compare([0.8, 0.9], [1.0, 1.1])
        Comparison(change=-0.19..., low=-0.28..., high=-0.08...)
        """
        ratio = (sum(ours) / len(ours)) / (sum(base) / len(base))
        if not self.freedom:
            return Comparison(change=ratio - 1, low=-1.0, high=math.inf)
        error = self.std * math.sqrt(1 / len(ours) + 1 / len(base))
        factor = math.exp(student_quantile(self.freedom) * error)
        return Comparison(change=ratio - 1, low=ratio / factor - 1, high=ratio * factor - 1)

    def text(self) -> str:
        """What a reader must know of it."""
        if not self.freedom:
            return "One seed: nothing is known of what seeds alone do."
        return (
            f"Seeds alone change an error by {self.std:.1%} (standard deviation of its logarithm, "
            f"pooled over all ways, {self.freedom} degrees of freedom); intervals are of "
            f"{LEVEL:.0%}, by Student's t."
        )
