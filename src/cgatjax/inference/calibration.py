"""Calibration metrics for predicted standard deviations, and a fitted scale factor.

A prediction with its standard deviation is taken for a normal distribution. It is calibrated if
the central interval that is to hold a fraction p of the values does hold it, for every p (the
reliability diagram of Kuleshov, Fenner, Ermon, ICML 2018, arXiv:1807.00263).
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import scipy  # loads its parts, which take half a second, when they are used

from cgatjax.errors import InputError

FitBy = Literal["likelihood", "area"]


@dataclass(frozen=True, kw_only=True)
class CalibrationReport:
    """Calibration metrics of errors and predicted standard deviations.

    Attributes:
      n: crystals with a known value and a standard deviation.
      mae: mean absolute error, in the unit.
      nll: mean negative log likelihood of a value, with the unit's logarithm in it.
      area: miscalibration area, 0 (calibrated) to 0.5.
      sharpness: root mean square of the standard deviations, in the unit.
      spearman: rank correlation of |error| and standard deviation; NaN where all are equal.
    """

    n: int
    mae: float
    nll: float
    area: float
    sharpness: float
    spearman: float


class Bins(NamedTuple):
    """Bins of crystals, of equal size, in the order of their standard deviation.

    Attributes:
      std: (bins,) root mean square of the standard deviations.
      rmse: (bins,) root mean square of the errors; equal to `std` where calibrated.
      n: (bins,) crystals.
    """

    std: np.ndarray
    rmse: np.ndarray
    n: np.ndarray


def calibration_report(target: np.ndarray, mean: np.ndarray, std: np.ndarray) -> CalibrationReport:
    """Compute all calibration metrics.

    Args:
      target: (crystals,) values, NaN where unknown.
      mean: (crystals,) predictions.
      std: (crystals,) standard deviations, NaN where there is none.

    Raises:
      InputError: no crystal has both, or a standard deviation is not positive.
    """
    error, std = known_errors(target, mean, std)
    levels = interval_levels(error, std)
    varies = len(error) > 2 and np.ptp(std) > 0 and np.ptp(np.abs(error)) > 0
    return CalibrationReport(
        n=len(error),
        mae=float(np.abs(error).mean()),
        nll=negative_log_likelihood(error, std),
        area=miscalibration_area(levels),
        sharpness=float(np.sqrt(np.square(std).mean())),
        spearman=float(scipy.stats.spearmanr(np.abs(error), std).statistic)
        if varies
        else float("nan"),
    )


def known_errors(
    target: np.ndarray, mean: np.ndarray, std: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Collect errors and standard deviations of the crystals that have both; float64.

    InputError if there is none, or a standard deviation is not positive.
    """
    error = np.asarray(mean, np.float64) - np.asarray(target, np.float64)
    std = np.asarray(std, np.float64)
    known = np.isfinite(error) & np.isfinite(std)
    if not known.any():
        raise InputError(
            "expected at least one crystal with a known value and a standard deviation, got none"
        )
    if (std[known] <= 0).any():
        raise InputError(f"expected positive standard deviations, got {std[known].min():g}")
    return error[known], std[known]


def negative_log_likelihood(error: np.ndarray, std: np.ndarray) -> float:
    """Compute the mean of log(std sqrt(2 pi)) + (error / std)^2 / 2.

    >>> round(negative_log_likelihood(np.array([1.0]), np.array([1.0])), 6)
    1.418939
    """
    return float((np.log(std) + 0.5 * np.log(2 * np.pi) + 0.5 * np.square(error / std)).mean())


def interval_levels(error: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Compute the level of the smallest central interval that holds each value, (crystals,).

    >>> interval_levels(np.array([0.0, -1.96]), np.array([1.0, 1.0])).round(2)
    array([0.  , 0.95])
    """
    return 2 * scipy.special.ndtr(np.abs(error) / std) - 1


def coverage(levels: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Compute the fraction of values inside the central intervals of the given levels.

    >>> coverage(np.array([0.1, 0.3, 0.8]), np.array([0.0, 0.5, 1.0])).round(3)
    array([0.   , 0.667, 1.   ])
    """
    return np.searchsorted(np.sort(levels), expected, side="right") / len(levels)


def miscalibration_area(levels: np.ndarray) -> float:
    """Integrate |observed(p) - p|, the area between observed and expected coverage, exactly.

    0 is calibrated, 0.5 the largest value. Standard deviations that are k times the right ones give
    |2/pi arctan(k) - 1/2|: 0.205 for a factor of two either way.

    >>> miscalibration_area(np.array([0.5]))
    0.25
    """
    ends = np.concatenate([[0.0], np.sort(levels), [1.0]])
    observed = np.arange(len(levels) + 1) / len(levels)
    before, after = ends[:-1] - observed, ends[1:] - observed
    return float((after * np.abs(after) - before * np.abs(before)).sum() / 2)


def binned(error: np.ndarray, std: np.ndarray, bins: int = 10) -> Bins:
    """Bin errors against standard deviations, in groups of equal size.

    >>> found = binned(np.array([3.0, 1.0, -1.0, 4.0]), np.array([2.0, 1.0, 1.0, 2.0]), bins=2)
    >>> found.std.round(3), found.rmse.round(3)
    (array([1., 2.]), array([1.   , 3.536]))
    """
    order = np.argsort(std, kind="stable")
    groups = [g for g in np.array_split(order, min(bins, len(order))) if len(g)]

    def rms(values: np.ndarray) -> np.ndarray:
        return np.array([np.sqrt(np.square(values[g]).mean()) for g in groups])

    return Bins(rms(std), rms(error), np.array([len(g) for g in groups]))


def best_factor(error: np.ndarray, std: np.ndarray, by: FitBy = "likelihood") -> float:
    """Fit one factor on all standard deviations to the errors.

    Args:
      error: (crystals,) of data that were not trained on.
      std: (crystals,) of their predictions.
      by: the largest "likelihood", for which it is the root mean square of error / std, or the
        smallest miscalibration "area", which is robust to large errors of a few crystals.

    Raises:
      InputError: all errors are zero.

    Examples:
      >>> float(best_factor(np.array([2.0, -2.0]), np.array([1.0, 1.0])))
      2.0
    """
    scaled = np.abs(error) / std
    start = float(np.sqrt(np.square(scaled).mean()))
    if start == 0:
        raise InputError("all errors are zero: no factor can be fitted to them")
    if by == "likelihood":
        return start
    # The factor that makes half of the values fall into their central half is close to the best.
    middle = float(np.median(scaled)) or start
    center = np.log(middle / scipy.special.ndtri(0.75))

    def area(log_factor: float) -> float:
        return miscalibration_area(2 * scipy.special.ndtr(scaled / np.exp(log_factor)) - 1)

    found = scipy.optimize.minimize_scalar(
        area, bounds=(center - 1.5, center + 1.5), method="bounded"
    )
    return float(np.exp(found.x))
