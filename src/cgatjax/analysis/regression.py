"""Linear regression with replicated points: weights, bootstrap, test of an additional term.

The points of a scaling curve are data-set sizes; the values at a point are the logarithms of the
errors of several seeds.
"""

from dataclasses import dataclass

import numpy as np

from cgatjax.errors import InputError

_PRIOR = 4.0
"""Weight of the pooled variance in the variance of one point, in degrees of freedom."""
_EXACT = 1e-20
"""Residual sums of squares below this share of the total are rounding errors."""


@dataclass(frozen=True, eq=False)
class Replicated:
    """Replicated values, (seeds,) at each of k points."""

    values: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def counts(self) -> np.ndarray:
        """(k,) number of values of each point."""
        return np.array([len(v) for v in self.values])

    @property
    def means(self) -> np.ndarray:
        """(k,) mean of each point."""
        return np.array([v.mean() for v in self.values])

    @property
    def spreads(self) -> np.ndarray:
        """(k,) sample standard deviation of each point, NaN for a single value."""
        return np.array([v.std(ddof=1) if len(v) > 1 else np.nan for v in self.values])

    @property
    def variances(self) -> np.ndarray:
        """(k,) variance of a single value at each point; NaN if no point has two values.

        Two or three seeds determine a variance poorly, so each variance is shrunk towards the one
        pooled over all points, which has the weight of four more seeds.
        """
        free = self.counts - 1
        squares = np.array([((v - v.mean()) ** 2).sum() for v in self.values])
        pooled = squares.sum() / free.sum() if free.any() else np.nan
        return np.asarray((_PRIOR * pooled + squares) / (_PRIOR + free))

    @property
    def weights(self) -> np.ndarray:
        """(k,) inverse variance of each mean, scaled to a mean of 1.

        If no point has two values, or all values agree, the weights are the numbers of values.
        """
        variances = self.variances
        known = np.isfinite(variances).all() and (variances > 0).all()
        weights = self.counts / variances if known else self.counts.astype(float)
        return np.asarray(weights / weights.mean())


def replicated(points: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, Replicated]:
    """Group values by point: distinct rows of `points` (m, d), in ascending order, and their
    values.
    """
    distinct, owner = np.unique(points, axis=0, return_inverse=True)
    owner = owner.reshape(-1)
    return distinct, Replicated(tuple(values[owner == i] for i in range(len(distinct))))


def weighted_fit(
    design: np.ndarray, values: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, float]:
    """Solve a weighted linear least-squares problem with a (k, p) design matrix.

    Returns (p,) coefficients and the weighted sum of squared residuals.
    """
    root = np.sqrt(weights)
    coefficients = np.linalg.lstsq(design * root[:, None], values * root, rcond=None)[0]
    return coefficients, float((weights * (values - design @ coefficients) ** 2).sum())


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """Options of a bootstrap of points with all their seeds.

    Attributes:
      draws: number of draws.
      level: confidence level of the intervals that the draws are for.
      seed: random seed.
    """

    draws: int = 2000
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise InputError(f"level: expected a probability in (0, 1), got {self.level}")

    def fits(self, design: np.ndarray, data: Replicated) -> np.ndarray:
        """Fit resampled data.

        A bootstrap of few points is too narrow, so deviations from the fit to all data are widened
        by the ratio of Student's t to the normal quantile.

        Args:
          design: (k, p) design matrix at the k points.
          data: values at these points.

        Returns:
          (draws, p) coefficients.
        """
        from scipy.special import ndtri

        rng = np.random.default_rng(self.seed)
        k, p = design.shape
        positions = _drawn_points(design, self.draws, rng)
        means, free = data.means[positions], k - p
        columns, weights = design[positions], data.weights[positions]
        left = np.einsum("bk,bkp,bkq->bpq", weights, columns, columns)
        right = np.einsum("bk,bkp,bk->bp", weights, columns, means)
        drawn = np.linalg.solve(left, right[..., None])[..., 0]
        center, _ = weighted_fit(design, data.means, data.weights)
        widening = student_quantile(self.level, free) / ndtri((1 + self.level) / 2)
        return np.asarray(center + (drawn - center) * widening)


def _drawn_points(design: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Resample (draws, k) positions, each row sufficient to determine all coefficients."""
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
    """Test of an additional term of a linear model.

    Attributes:
      coefficient: coefficient of the term.
      p_value: p value of the F test against the model without the term.
      bic_gain: Bayesian information criterion without the term minus that with it; positive favors
        the term.
    """

    coefficient: float
    p_value: float
    bic_gain: float

    def is_significant(self, level: float = 0.05) -> bool:
        """True if both the F test and the information criterion favor the term."""
        return self.p_value < level and self.bic_gain > 0


def try_extra_term(
    design: np.ndarray, extra: np.ndarray, values: np.ndarray, weights: np.ndarray
) -> ExtraTerm:
    """Compare a linear model with and without an additional column, by weighted least squares.

    With k values and p columns, F = (S_p - S_(p+1)) / (S_(p+1) / (k - p - 1)), where S are weighted
    sums of squared residuals. InputError without a degree of freedom, k < p + 2.
    """
    from scipy.stats import f as fisher

    k, p = design.shape
    free = k - p - 1
    if free < 1:
        raise InputError(f"expected at least {p + 2} points to test for another term, got {k}")
    _, before = weighted_fit(design, values, weights)
    coefficients, after = weighted_fit(np.column_stack([design, extra]), values, weights)
    total = float((weights * (values - np.average(values, weights=weights)) ** 2).sum())
    floor = _EXACT * total
    before, after = max(before, floor), max(after, floor)
    if before <= floor:
        return ExtraTerm(coefficient=0.0, p_value=1.0, bic_gain=-float(np.log(k)))
    statistic = max(before - after, 0.0) / (after / free)
    return ExtraTerm(
        coefficient=float(coefficients[-1]),
        p_value=float(fisher.sf(statistic, 1, free)),
        bic_gain=float(k * np.log(before / after) - np.log(k)),
    )


def student_quantile(level: float, free: int) -> float:
    """Return the half-width of a central interval of Student's t with `free` degrees of freedom.

    >>> round(student_quantile(0.95, 2), 2), round(student_quantile(0.95, 1000), 2)
    (4.3, 1.96)
    """
    from scipy.stats import t as student

    return float(student.ppf((1 + level) / 2, free))


def require_positive(name: str, values: np.ndarray) -> None:
    """Raise InputError if values whose logarithms are fitted are not positive numbers."""
    wrong = values[~(np.isfinite(values) & (values > 0))]
    if len(wrong):
        raise InputError(
            f"{name}: expected positive numbers, as their logarithms are fitted; got {wrong[0]:g}"
        )
