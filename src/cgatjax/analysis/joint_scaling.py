"""One law for both sizes: pre-training crystals P and training crystals N.

    error(P, N) = 10**constant * P**pretrain_slope * N**train_slope

It is the simplest law whose cuts are the straight lines of Hoffmann et al. 2023 (Figs. 3, 4, 8) and
on which their Fig. 5 rests. What it assumes:

- A tenfold P lowers the error by the same factor at every N, and the other way round. With four
  points or more that differ in both sizes this is tested (`interaction`).
- The error has no floor. The law holds between the sizes that were measured and, at best, a decade
  beyond; a bend in either cut (`scaling.PowerLaw.bend`) forbids that.
- P > 0. Training from scratch is another line, not the limit P -> 0.
- Recipe, network and the choice of crystals stay what they were.
"""

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
from cgatjax.analysis.scaling import Estimate
from cgatjax.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class JointPowerLaw:
    """A plane through log10(error) over log10(P) and log10(N).

    Attributes:
      coefficients: (3,) constant, pre-training slope, training slope; the constant is log10 of the
        error in `unit` at P = N = 1.
      points: (k, 2) distinct (P, N).
      errors: (k,) geometric means of the errors there, in `unit`.
      draws: (B, 3) coefficients of the bootstrap.
      interaction: the test of a term log10(P) * log10(N); None where the points cannot tell.
      level: of the intervals.
      unit: of the errors.
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
        """Error in `unit`; the arguments broadcast."""
        logs = np.broadcast_arrays(np.log10(pretrain), np.log10(train))
        constant, b, c = self.coefficients
        return np.asarray(10.0 ** (constant + b * logs[0] + c * logs[1]))

    def drawn_errors(self, pretrain: np.ndarray | float, train: np.ndarray | float) -> np.ndarray:
        """(B, ...) errors in `unit` of every draw of the bootstrap."""
        p, n = np.broadcast_arrays(np.log10(pretrain), np.log10(train))
        shape = (-1,) + (1,) * p.ndim
        constant, b, c = (self.draws[:, i].reshape(shape) for i in range(3))
        return np.asarray(10.0 ** (constant + b * p + c * n))

    def text(self) -> str:
        """One sentence: both slopes, and whether the law holds on its own points."""
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
    resample: Resample = "points",
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> JointPowerLaw:
    """Fits the law of this module by least squares in the logarithms.

    Args:
      pretrain_sizes: (m,) crystals in the pre-training of each training.
      train_sizes: (m,) crystals in the training.
      errors: (m,) test errors in `unit`; equal pairs of sizes are seeds of one point.
      unit: of the errors.
      resample: what the bootstrap draws anew, "points" (with all their seeds) or "seeds".
      draws: of the bootstrap.
      level: of the intervals.
      seed: of the bootstrap.

    Raises:
      InputError: lengths that differ, values that are not positive, fewer than four distinct pairs
        of sizes, or pairs on one line in log-log (one size never varies, or both vary together).
    """
    columns = [np.asarray(c, np.float64) for c in (pretrain_sizes, train_sizes, errors)]
    if len({c.shape for c in columns}) != 1 or columns[0].ndim != 1:
        raise InputError(
            f"expected three lists of equal length, got shapes {[c.shape for c in columns]}"
        )
    for name, values in zip(("pre-training sizes", "sizes", "errors"), columns, strict=True):
        if not (np.isfinite(values) & (values > 0)).all():
            raise InputError(f"{name}: expected positive numbers, got {values.min():g}")
    points, logs = replicated(np.column_stack(columns[:2]), np.log10(columns[2]))
    x = np.log10(points)
    design = np.column_stack([np.ones(len(x)), x])
    if len(points) < 4 or np.linalg.matrix_rank(design - [0.0, *x.mean(0)]) < 3:
        raise InputError(
            f"expected at least 4 pairs of sizes in which each size varies on its own, got "
            f"{points.tolist()}"
        )
    product = (x - x.mean(0)).prod(axis=1)
    told = len(points) > 4 and np.linalg.matrix_rank(np.column_stack([design, product])) == 4
    coefficients, _ = weighted_fit(design, logs.means, logs.weights)
    return JointPowerLaw(
        coefficients=coefficients,
        points=points,
        errors=10.0**logs.means,
        draws=bootstrap_fits(design, logs, resample=resample, draws=draws, level=level, seed=seed),
        interaction=try_extra_term(design, product, logs.means, logs.weights) if told else None,
        level=level,
        unit=unit,
    )
