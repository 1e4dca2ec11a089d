"""Scaling laws: power-law fits of error against data-set size, with confidence intervals.

Test errors of networks decrease with the number N of training crystals approximately as

    error = 10**intercept * N**slope,    slope < 0

(Hoffmann et al. 2023, Figs. 3, 4 and 8; Hestness et al., arXiv:1712.00409). Fits are least squares
in log10(error), intervals are bootstrapped over sizes and seeds, and deviations from a power law
are tested as a bend.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cgatjax.analysis.regression import (
    Bootstrap,
    ExtraTerm,
    replicated,
    require_positive,
    try_extra_term,
    weighted_fit,
)
from cgatjax.errors import InputError

CHEMICAL_ACCURACY = 0.043
"""1 kcal/mol per atom in eV/atom, marked in the figures of Hoffmann et al. 2023."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Estimate with a confidence interval.

    Attributes:
      value: estimate from all data.
      low, high: bounds of the central bootstrap interval.
      level: confidence level.
    """

    value: float
    low: float
    high: float
    level: float = 0.95

    @classmethod
    def of(cls, value: float, draws: np.ndarray, level: float) -> "Estimate":
        """Make an estimate from a value and (B,) bootstrap draws, which may be infinite."""
        tail = (1 - level) / 2
        low, high = np.quantile(draws, [tail, 1 - tail], method="nearest")
        return cls(value=float(value), low=float(low), high=float(high), level=level)

    def text(self, digits: int = 3) -> str:
        """Format as "0.21 (0.19 to 0.24)"."""
        parts = [_number(v, digits) for v in (self.value, self.low, self.high)]
        return f"{parts[0]} ({parts[1]} to {parts[2]})"


@dataclass(frozen=True, kw_only=True, eq=False)
class PowerLaw:
    """Fit of log10(error) as a linear function of log10(N).

    Attributes:
      slope: b of error = a * N**b.
      intercept: log10(a), a in `unit`.
      sizes: (k,) distinct data-set sizes, ascending.
      errors: (k,) geometric mean of the errors at each size, in `unit`.
      spreads: (k,) standard deviation of log10(error) over seeds, NaN for a single seed.
      n_seeds: (k,) number of seeds at each size.
      draws: (B, 2) bootstrap intercepts and slopes.
      bend: test of a quadratic term in log10(N); None with fewer than four sizes.
      level: confidence level of the intervals.
      unit: unit of the errors.
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
        """Predict the error in `unit` at the given sizes."""
        return np.asarray(10.0 ** (self.intercept + self.slope * np.log10(sizes)))

    def band(self, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return lower and upper bounds, (n,) each, of the prediction at (n,) sizes."""
        lines = self.draws[:, :1] + self.draws[:, 1:] * np.log10(sizes)
        tail = (1 - self.level) / 2
        low, high = 10.0 ** np.quantile(lines, [tail, 1 - tail], axis=0)
        return low, high

    @property
    def slope_estimate(self) -> Estimate:
        """Slope with its interval."""
        return Estimate.of(self.slope, self.draws[:, 1], self.level)

    @property
    def prefactor_estimate(self) -> Estimate:
        """Prefactor a (predicted error at N = 1) in `unit`, with its interval."""
        return Estimate.of(10.0**self.intercept, 10.0 ** self.draws[:, 0], self.level)

    def crossing(self, error: float) -> Estimate:
        """Return the size at which the law reaches an error; infinite if it does not decrease.

        Args:
          error: positive error in `unit`.

        Raises:
          InputError: the error is not positive.
        """
        require_positive("error", np.array([error]))
        drawn = _crossings(self.draws[:, 0], self.draws[:, 1], np.log10(error))
        value = _crossings(np.array([self.intercept]), np.array([self.slope]), np.log10(error))
        return Estimate.of(value[0], drawn, self.level)

    def text(self) -> str:
        """Describe prefactor, slope and the test of a bend in a sentence."""
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
    bootstrap: Bootstrap | None = None,
) -> PowerLaw:
    """Fit error = a * N**b by least squares in log-log.

    Runs of one size are averaged in the logarithm; the weight of a size is the inverse variance of
    this mean (see `regression.Replicated.weights`).

    A bend is a quadratic term in log10(N) that improves the fit of the averaged points
    significantly by the F test and the Bayesian information criterion.

    Args:
      sizes: (m,) number of training crystals of each run; runs of equal size are seeds of one
        point.
      errors: (m,) test errors in `unit`.
      unit: unit of the errors.
      bootstrap: options of the intervals; None for the defaults.

    Raises:
      InputError: fewer than three distinct sizes, lengths that differ, or a size or error that is
        not a positive number.

    Examples:
      >>> law = fit_power_law([100, 1000, 10_000], [0.4, 0.2, 0.1], unit="eV/atom")
      >>> round(law.slope, 3)
      -0.301
    """
    bootstrap = bootstrap or Bootstrap()
    sizes, errors = np.asarray(sizes, np.float64), np.asarray(errors, np.float64)
    if sizes.shape != errors.shape or sizes.ndim != 1:
        raise InputError(
            f"expected as many errors as sizes, got shapes {errors.shape} and {sizes.shape}"
        )
    require_positive("sizes", sizes)
    require_positive("errors", errors)
    points, logs = replicated(sizes[:, None], np.log10(errors))
    if len(points) < 3:
        raise InputError(
            f"expected at least 3 distinct sizes to fit a line and its interval, got {len(points)}"
        )
    x = np.log10(points[:, 0])
    design = np.column_stack([np.ones_like(x), x])
    (intercept, slope), _ = weighted_fit(design, logs.means, logs.weights)
    testable = len(points) > 3
    return PowerLaw(
        slope=float(slope),
        intercept=float(intercept),
        sizes=points[:, 0],
        errors=10.0**logs.means,
        spreads=logs.spreads,
        n_seeds=logs.counts,
        draws=bootstrap.fits(design, logs),
        bend=try_extra_term(design, x**2, logs.means, logs.weights) if testable else None,
        level=bootstrap.level,
        unit=unit,
    )


def equivalent_size(without: PowerLaw, with_transfer: PowerLaw, size: float) -> Estimate:
    """Return the size at which training from scratch reaches the error of transfer at `size`.

    Transfer saves the difference of the two sizes in calculations. Bootstrap draws are paired in
    order, as the two fits are independent.

    Args:
      without: scaling law of training from scratch.
      with_transfer: scaling law of transfer, in the same unit.
      size: positive number of crystals.

    Raises:
      InputError: the fits have different units, levels or numbers of draws, or the size is not
        positive.
    """
    require_positive("size", np.array([size]))
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
    """Return (n,) sizes at which lines reach log10(error), infinite for lines that do not fall."""
    falling = slopes < 0
    exponents = (log_error - intercepts) / np.where(falling, slopes, -1.0)
    found = 10.0 ** np.clip(exponents, -300, 300)
    return np.where(falling & (exponents < 300), found, np.inf)


def _number(value: float, digits: int) -> str:
    if not math.isfinite(value):
        return "never"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"
