"""Error against data-set size: straight lines in log-log, what they promise, and how surely.

Test errors of networks fall with the number N of training crystals about as

    error = 10**intercept * N**slope,    slope < 0

(Hoffmann et al. 2023, Figs. 3, 4 and 8; Hestness et al., arXiv:1712.00409). Fits are least squares
of log10(error), intervals come from a bootstrap over sizes and seeds, and a bend is looked for.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cgatjax.analysis.regression import (
    ExtraTerm,
    Resample,
    bootstrap_fits,
    replicated,
    try_extra_term,
    weighted_fit,
)
from cgatjax.errors import InputError

CHEMICAL_ACCURACY = 0.043
"""eV/atom (1 kcal/mol per atom), the mark in the paper's figures."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number with its interval.

    Attributes:
      value: from the fit to all data.
      low, high: bounds of the central interval of the bootstrap.
      level: probability that the interval is meant to hold.
    """

    value: float
    low: float
    high: float
    level: float = 0.95

    @classmethod
    def of(cls, value: float, draws: np.ndarray, level: float) -> "Estimate":
        """The value with the central interval of the (draws,) bootstrap values.

        Infinite draws are allowed (a line that never gets there).
        """
        tail = (1 - level) / 2
        low, high = np.quantile(draws, [tail, 1 - tail], method="nearest")
        return cls(value=float(value), low=float(low), high=float(high), level=level)

    def text(self, digits: int = 3) -> str:
        """For people: "0.21 (0.19 to 0.24)"."""
        parts = [_number(v, digits) for v in (self.value, self.low, self.high)]
        return f"{parts[0]} ({parts[1]} to {parts[2]})"


@dataclass(frozen=True, kw_only=True, eq=False)
class PowerLaw:
    """A straight line through log10(error) against log10(N).

    Attributes:
      slope: b of error = a * N**b.
      intercept: log10(a), a in `unit`.
      sizes: (k,) distinct data-set sizes, ascending.
      errors: (k,) geometric means of the errors at each size, in `unit`.
      spreads: (k,) standard deviations of log10(error) over seeds, NaN where there is one.
      n_seeds: (k,) trainings at each size.
      draws: (B, 2) intercepts and slopes of the bootstrap.
      bend: the test of a quadratic term in log10(N); None with fewer than four sizes.
      level: of the intervals.
      unit: of the errors.
    """

    slope: float
    intercept: float
    sizes: np.ndarray
    errors: np.ndarray
    spreads: np.ndarray
    n_seeds: np.ndarray
    draws: np.ndarray
    bend: ExtraTerm | None
    level: float
    unit: str

    def error_at(self, sizes: np.ndarray | float) -> np.ndarray:
        """Error in `unit` on the line at the given sizes."""
        return np.asarray(10.0 ** (self.intercept + self.slope * np.log10(sizes)))

    def band(self, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper bound, (n,) each, of the line at (n,) sizes."""
        lines = self.draws[:, :1] + self.draws[:, 1:] * np.log10(sizes)
        tail = (1 - self.level) / 2
        low, high = 10.0 ** np.quantile(lines, [tail, 1 - tail], axis=0)
        return low, high

    @property
    def slope_estimate(self) -> Estimate:
        """The slope with its interval."""
        return Estimate.of(self.slope, self.draws[:, 1], self.level)

    @property
    def prefactor_estimate(self) -> Estimate:
        """a, the error of the line at N = 1 in `unit`, with its interval."""
        return Estimate.of(10.0**self.intercept, 10.0 ** self.draws[:, 0], self.level)

    def crossing(self, error: float) -> Estimate:
        """The size at which the line reaches an error; infinite where it does not fall.

        Args:
          error: in `unit`, positive.

        Raises:
          InputError: the error is not positive.
        """
        _require_positive("error", np.array([error]))
        drawn = _crossings(self.draws[:, 0], self.draws[:, 1], np.log10(error))
        value = _crossings(np.array([self.intercept]), np.array([self.slope]), np.log10(error))
        return Estimate.of(value[0], drawn, self.level)

    def text(self) -> str:
        """One sentence: slope, prefactor, and whether there is a bend."""
        words = f"error = {10.0**self.intercept:.3g} {self.unit} * N^{self.slope_estimate.text()}"
        if self.bend is None:
            return f"{words}; too few sizes to look for a bend"
        found = "a bend" if self.bend.is_significant() else "no significant bend"
        return f"{words}; {found} (p = {self.bend.p_value:.2g}, {self.bend.bic_gain:+.1f} BIC)"


def fit_power_law(
    sizes: Sequence[float] | np.ndarray,
    errors: Sequence[float] | np.ndarray,
    *,
    unit: str = "",
    resample: Resample = "points",
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> PowerLaw:
    """Fits error = a * N**b by least squares in log-log.

    Sizes with several trainings are averaged in the logarithm; the weight of a size is the inverse
    variance of that mean (see `regression.Replicated.weights`).

    The bend is judged on the averaged points: a quadratic term in log10(N) has to lower the
    residuals significantly by the F test and by the Bayesian information criterion.

    Args:
      sizes: (m,) crystals in the data set of each training; equal sizes are seeds of one point.
      errors: (m,) their errors in `unit`.
      unit: of the errors.
      resample: what the bootstrap draws anew, "points" (with all their seeds) or "seeds".
      draws: of the bootstrap.
      level: of the intervals.
      seed: of the bootstrap.

    Raises:
      InputError: fewer than three distinct sizes, lengths that differ, a size or error that is not
        a positive number, or a level outside (0, 1).

    Examples:
      >>> law = fit_power_law([100, 1000, 10_000], [0.4, 0.2, 0.1], unit="eV/atom")
      >>> round(law.slope, 3)
      -0.301
    """
    sizes, errors = np.asarray(sizes, np.float64), np.asarray(errors, np.float64)
    if sizes.shape != errors.shape or sizes.ndim != 1:
        raise InputError(
            f"expected as many errors as sizes, got shapes {errors.shape} and {sizes.shape}"
        )
    _require_positive("sizes", sizes)
    _require_positive("errors", errors)
    points, logs = replicated(sizes[:, None], np.log10(errors))
    if len(points) < 3:
        raise InputError(
            f"expected at least 3 distinct sizes to fit a line and its interval, got {len(points)}"
        )
    x = np.log10(points[:, 0])
    design = np.column_stack([np.ones_like(x), x])
    (intercept, slope), _ = weighted_fit(design, logs.means, logs.weights)
    enough = len(points) > 3
    return PowerLaw(
        slope=float(slope),
        intercept=float(intercept),
        sizes=points[:, 0],
        errors=10.0**logs.means,
        spreads=logs.spreads,
        n_seeds=logs.counts,
        draws=bootstrap_fits(design, logs, resample=resample, draws=draws, level=level, seed=seed),
        bend=try_extra_term(design, x**2, logs.means, logs.weights) if enough else None,
        level=level,
        unit=unit,
    )


def equivalent_size(without: PowerLaw, with_transfer: PowerLaw, size: float) -> Estimate:
    """How many crystals training from scratch needs for the error that transfer has at `size`.

    The calculations that transfer saves are this minus `size`. Draws of the two bootstraps are
    paired, as the two fits are independent.

    Args:
      without: fit of the trainings from scratch.
      with_transfer: fit of the trainings after transfer, in the same unit.
      size: crystals, positive.

    Raises:
      InputError: the fits have different units, levels or numbers of draws, or the size is not
        positive.
    """
    _require_positive("size", np.array([size]))
    if (without.unit, without.level) != (with_transfer.unit, with_transfer.level):
        raise InputError(
            f"expected fits of one unit and level, got {without.unit!r} at {without.level} and "
            f"{with_transfer.unit!r} at {with_transfer.level}"
        )
    if len(without.draws) != len(with_transfer.draws):
        raise InputError("expected fits with equally many draws of the bootstrap")
    x = np.log10(size)
    reached = with_transfer.draws[:, 0] + with_transfer.draws[:, 1] * x
    drawn = _crossings(without.draws[:, 0], without.draws[:, 1], reached)
    value = without.crossing(float(with_transfer.error_at(size))).value
    return Estimate.of(value, drawn, without.level)


def _crossings(
    intercepts: np.ndarray, slopes: np.ndarray, log_error: np.ndarray | float
) -> np.ndarray:
    """(n,) sizes at which lines reach log10(error); infinite where they do not fall."""
    falling = slopes < 0
    exponents = (log_error - intercepts) / np.where(falling, slopes, -1.0)
    found = 10.0 ** np.clip(exponents, -300, 300)
    return np.where(falling & (exponents < 300), found, np.inf)


def _require_positive(name: str, values: np.ndarray) -> None:
    wrong = values[~(np.isfinite(values) & (values > 0))]
    if len(wrong):
        raise InputError(
            f"{name}: expected positive numbers, as their logarithms are fitted; got {wrong[0]:g}"
        )


def _number(value: float, digits: int) -> str:
    if not math.isfinite(value):
        return "never"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"
