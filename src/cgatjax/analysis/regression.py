"""Linear regression on points that were measured several times: weights, bootstrap, a nested test.

The points of a scaling curve are data-set sizes; the values at a point are the logarithms of the
errors of several trainings (seeds).
"""

import functools
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from cgatjax.errors import InputError

Resample = Literal["points", "seeds"]
_PRIOR = 4.0
"""Degrees of freedom of the pooled variance in the variance of one point."""
_EXACT = 1e-20
"""A residual sum of squares below this share of the total is rounding."""

_NODES = 4096
"""Of the midpoint rule."""


@dataclass(frozen=True, eq=False)
class Replicated:
    """Values measured once or more at each of k points.

    Attributes:
      values: for each point its (seeds,) values.
    """

    values: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def counts(self) -> np.ndarray:
        """(k,) values at each point."""
        return np.array([len(v) for v in self.values])

    @property
    def means(self) -> np.ndarray:
        """(k,) mean of each point."""
        return np.array([v.mean() for v in self.values])

    @property
    def spreads(self) -> np.ndarray:
        """(k,) sample standard deviation of each point, NaN where there is one value."""
        return np.array([v.std(ddof=1) if len(v) > 1 else np.nan for v in self.values])

    @property
    def variances(self) -> np.ndarray:
        """(k,) variance of a single value at each point; NaN if no point has two values.

        A variance estimated from two or three seeds says little, so each is drawn towards the
        variance pooled over all points, which counts as much as four more seeds.
        """
        free = self.counts - 1
        squares = np.array([((v - v.mean()) ** 2).sum() for v in self.values])
        pooled = squares.sum() / free.sum() if free.any() else np.nan
        return np.asarray((_PRIOR * pooled + squares) / (_PRIOR + free))

    @property
    def weights(self) -> np.ndarray:
        """(k,) inverse variance of each mean, scaled to a mean of 1.

        Where no point has two values, or all agree, the weights are the numbers of values.
        """
        variances = self.variances
        known = np.isfinite(variances).all() and (variances > 0).all()
        weights = self.counts / variances if known else self.counts.astype(float)
        return np.asarray(weights / weights.mean())

    def drawn_means(self, draws: int, rng: np.random.Generator) -> np.ndarray:
        """(draws, k) means of values drawn anew.

        Deviations from the mean of a point, in its standard deviations, are drawn from all points
        together: three seeds alone would never deviate more than they did.

        Raises:
          InputError: no point has two values.
        """
        if not (self.counts > 1).any():
            raise InputError("expected two seeds at some point to draw seeds anew, got one at each")
        std = np.sqrt(self.variances)
        scale = np.where(std > 0, std, 1.0)
        pool = np.concatenate(
            [
                (v - v.mean()) * np.sqrt(len(v) / (len(v) - 1)) / s
                for v, s in zip(self.values, scale, strict=True)
                if len(v) > 1
            ]
        )
        columns = [rng.choice(pool, (draws, n)).mean(axis=1) for n in self.counts]
        return self.means + scale * np.stack(columns, axis=1)


def replicated(points: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, Replicated]:
    """Groups values by their point.

    Args:
      points: (m, d) coordinates, one row a value; equal rows are one point.
      values: (m,).

    Returns:
      (k, d) distinct points in ascending order, and their values.
    """
    distinct, owner = np.unique(points, axis=0, return_inverse=True)
    owner = owner.reshape(-1)
    return distinct, Replicated(tuple(values[owner == i] for i in range(len(distinct))))


def weighted_fit(
    design: np.ndarray, values: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, float]:
    """Least squares.

    Args:
      design: (k, p) columns to combine.
      values: (k,) what they should give.
      weights: (k,) of the squares.

    Returns:
      (p,) coefficients and the weighted sum of the squares of the residuals.
    """
    root = np.sqrt(weights)
    coefficients = np.linalg.lstsq(design * root[:, None], values * root, rcond=None)[0]
    return coefficients, float((weights * (values - design @ coefficients) ** 2).sum())


def bootstrap_fits(
    design: np.ndarray, data: Replicated, *, resample: Resample, draws: int, level: float, seed: int
) -> np.ndarray:
    """Coefficients of fits to data drawn anew.

    Few points make a bootstrap too narrow, so its deviations from the fit are widened by the ratio
    of Student's t to the normal quantile at the given level.

    Args:
      design: (k, p) columns at the k points.
      data: values at these points.
      resample: "points" draws points with all their seeds, with replacement: whatever makes points
        stray from the law counts. "seeds" draws the seeds at every point: the law is taken to hold.
      draws: how many fits.
      level: of the intervals that will be read off.
      seed: of the drawing.

    Returns:
      (draws, p) coefficients.

    Raises:
      InputError: no point has two seeds and these are to be drawn; a level outside (0, 1).
    """
    if not 0 < level < 1:
        raise InputError(f"level: expected a probability in (0, 1), got {level}")
    rng = np.random.default_rng(seed)
    k, p = design.shape
    if resample == "seeds":
        positions = np.tile(np.arange(k), (draws, 1))
        means, free = data.drawn_means(draws, rng), int((data.counts - 1).sum())
    else:
        positions = _drawn_points(design, draws, rng)
        means, free = data.means[positions], k - p
    columns, weights = design[positions], data.weights[positions]
    left = np.einsum("bk,bkp,bkq->bpq", weights, columns, columns)
    right = np.einsum("bk,bkp,bk->bp", weights, columns, means)
    drawn = np.linalg.solve(left, right[..., None])[..., 0]
    center, _ = weighted_fit(design, data.means, data.weights)
    normal = NormalDist().inv_cdf((1 + level) / 2)
    return np.asarray(center + (drawn - center) * t_quantile(level, free) / normal)


def _drawn_points(design: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """(draws, k) positions, each set enough to fix all coefficients."""
    k, p = design.shape
    least = min(p + 1, k - 1)
    positions = rng.integers(k, size=(draws, k))
    while True:
        ranked = np.sort(positions, axis=1)
        distinct = 1 + (np.diff(ranked, axis=1) > 0).sum(axis=1)
        poor = (distinct < least) | (np.linalg.matrix_rank(design[positions]) < p)
        if not poor.any():
            return positions
        positions[poor] = rng.integers(k, size=(int(poor.sum()), k))


@dataclass(frozen=True, kw_only=True)
class ExtraTerm:
    """What one more column does for a fit.

    Attributes:
      coefficient: of that column.
      p_value: of the F test, the chance of such a gain if the coefficient were 0 and the values
        normally distributed about the smaller model.
      bic_gain: Bayesian information criterion of the smaller model minus that of the larger one;
        positive speaks for the larger.
    """

    coefficient: float
    p_value: float
    bic_gain: float

    def is_significant(self, level: float = 0.05) -> bool:
        """Whether the larger model is to be preferred by both measures."""
        return self.p_value < level and self.bic_gain > 0


def try_extra_term(
    design: np.ndarray, extra: np.ndarray, values: np.ndarray, weights: np.ndarray
) -> ExtraTerm:
    """Compares a linear model with the one that has one more column.

    With k values and p columns (before), F = (S_p - S_(p+1)) / (S_(p+1) / (k - p - 1)).

    Args:
      design: (k, p) columns of the smaller model.
      extra: (k,) the column in question.
      values: (k,).
      weights: (k,).

    Raises:
      InputError: k < p + 2, so that nothing is left to judge by.
    """
    k, p = design.shape
    free = k - p - 1
    if free < 1:
        raise InputError(f"expected at least {p + 2} points to test for another term, got {k}")
    _, small = weighted_fit(design, values, weights)
    coefficients, large = weighted_fit(np.column_stack([design, extra]), values, weights)
    total = float((weights * (values - np.average(values, weights=weights)) ** 2).sum())
    floor = _EXACT * total
    small, large = max(small, floor), max(large, floor)
    if small <= floor:
        return ExtraTerm(coefficient=0.0, p_value=1.0, bic_gain=-float(np.log(k)))
    statistic = max(small - large, 0.0) / (large / free)
    gain = k * np.log(small / large) - np.log(k)
    return ExtraTerm(
        coefficient=float(coefficients[-1]),
        p_value=two_sided_t(float(np.sqrt(statistic)), free),
        bic_gain=float(gain),
    )


def two_sided_t(t: float, free: int) -> float:
    """Probability that Student's t with `free` degrees of freedom is at least |t| in magnitude.

    With t = sqrt(free) tan(angle) the density is proportional to cos(angle) ** (free - 1).
    """
    middles = (np.arange(_NODES) + 0.5) / _NODES

    def area(start: float) -> float:
        angles = start + (np.pi / 2 - start) * middles
        return float((np.pi / 2 - start) * (np.cos(angles) ** (free - 1)).mean())

    return area(float(np.arctan(abs(t) / np.sqrt(free)))) / area(0.0)


@functools.cache
def t_quantile(level: float, free: int) -> float:
    """The |t| that Student's t with `free` degrees of freedom stays below with this probability."""
    low, high = 0.0, 1.0
    while two_sided_t(high, free) > 1 - level:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided_t(middle, free) > 1 - level else (low, middle)
    return high
