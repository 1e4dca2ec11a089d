"""Joint scaling law of the error in the numbers of pre-training (P) and training (N) crystals.

    error(P, N) = 10**constant * P**pretrain_slope * N**train_slope

This is the simplest law whose cuts at constant P or N are the power laws of Hoffmann et al. 2023
(Figs. 3, 4, 8); their Fig. 5 follows from it. Assumptions:

- A tenfold P lowers the error by the same factor at every N, and vice versa. This is tested if
  enough points differ in both sizes (`interaction`).
- There is no irreducible error. The law holds between the measured sizes and, at best, a decade
  beyond, and not even there if a cut has a bend (`scaling.PowerLaw.bend`).
- P > 0. Training from scratch is a separate power law, not the limit P -> 0.
- Network, training options and selection of crystals are the same for all points.
"""

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
from cgatjax.analysis.scaling import Estimate
from cgatjax.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class JointPowerLaw:
    """Fit of log10(error) as a linear function of log10(P) and log10(N).

    Attributes:
      coefficients: (3,) constant, pre-training slope, training slope; the constant is log10 of the
        error in `unit` at P = N = 1.
      points: (k, 2) distinct (P, N).
      errors: (k,) geometric mean of the errors at each point, in `unit`.
      draws: (B, 3) bootstrap coefficients.
      interaction: test of a term log10(P) * log10(N); None if the points do not determine it.
      level: confidence level of the intervals.
      unit: unit of the errors.
    """

    coefficients: np.ndarray
    points: np.ndarray
    errors: np.ndarray
    draws: np.ndarray
    interaction: ExtraTerm | None
    level: float
    unit: str

    @property
    def pretrain_slope(self) -> Estimate:
        """Exponent of P with its interval."""
        return Estimate.of(self.coefficients[1], self.draws[:, 1], self.level)

    @property
    def train_slope(self) -> Estimate:
        """Exponent of N with its interval."""
        return Estimate.of(self.coefficients[2], self.draws[:, 2], self.level)

    def error_at(self, pretrain: np.ndarray | float, train: np.ndarray | float) -> np.ndarray:
        """Predict the error in `unit`; the arguments broadcast."""
        logs = np.broadcast_arrays(np.log10(pretrain), np.log10(train))
        constant, b, c = self.coefficients
        return np.asarray(10.0 ** (constant + b * logs[0] + c * logs[1]))

    def drawn_errors(self, pretrain: np.ndarray | float, train: np.ndarray | float) -> np.ndarray:
        """Predict (B, ...) errors in `unit` for every bootstrap draw."""
        p, n = np.broadcast_arrays(np.log10(pretrain), np.log10(train))
        shape = (-1,) + (1,) * p.ndim
        constant, b, c = (self.draws[:, i].reshape(shape) for i in range(3))
        return np.asarray(10.0 ** (constant + b * p + c * n))

    def text(self) -> str:
        """Describe both slopes and the test of their interaction in a sentence."""
        words = (
            f"error ~ (pre-training size)^{self.pretrain_slope.text()} * "
            f"(training size)^{self.train_slope.text()}"
        )
        if self.interaction is None:
            return f"{words}; the points do not tell whether the slopes depend on each other"
        found = "DEPEND" if self.interaction.is_significant() else "do not seem to depend"
        return f"{words}; the slopes {found} on the other size (p = {self.interaction.p_value:.2g})"


def fit_joint_power_law(
    pretrain_sizes: Sequence[float] | np.ndarray,
    train_sizes: Sequence[float] | np.ndarray,
    errors: Sequence[float] | np.ndarray,
    *,
    unit: str = "",
    bootstrap: Bootstrap | None = None,
) -> JointPowerLaw:
    """Fit the joint scaling law by least squares in the logarithms.

    Args:
      pretrain_sizes: (m,) number of pre-training crystals of each run.
      train_sizes: (m,) number of training crystals of each run.
      errors: (m,) test errors in `unit`; runs with equal sizes are seeds of one point.
      unit: unit of the errors.
      bootstrap: options of the intervals; None for the defaults.

    Raises:
      InputError: lengths that differ, values that are not positive, fewer than four distinct pairs
        of sizes, or pairs on one line in log-log (one size never varies, or both vary together).
    """
    bootstrap = bootstrap or Bootstrap()
    columns = [np.asarray(c, np.float64) for c in (pretrain_sizes, train_sizes, errors)]
    if len({c.shape for c in columns}) != 1 or columns[0].ndim != 1:
        raise InputError(
            f"expected three lists of equal length, got shapes {[c.shape for c in columns]}"
        )
    for name, values in zip(("pre-training sizes", "sizes", "errors"), columns, strict=True):
        require_positive(name, values)
    points, logs = replicated(np.column_stack(columns[:2]), np.log10(columns[2]))
    x = np.log10(points)
    design = np.column_stack([np.ones(len(x)), x])
    if len(points) < 4 or np.linalg.matrix_rank(design - [0.0, *x.mean(0)]) < 3:
        raise InputError(
            f"expected at least 4 pairs of sizes in which each size varies on its own, got "
            f"{points.tolist()}"
        )
    product = (x - x.mean(0)).prod(axis=1)
    testable = len(points) > 4 and np.linalg.matrix_rank(np.column_stack([design, product])) == 4
    coefficients, _ = weighted_fit(design, logs.means, logs.weights)
    return JointPowerLaw(
        coefficients=coefficients,
        points=points,
        errors=10.0**logs.means,
        draws=bootstrap.fits(design, logs),
        interaction=try_extra_term(design, product, logs.means, logs.weights) if testable else None,
        level=bootstrap.level,
        unit=unit,
    )
