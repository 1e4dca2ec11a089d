"""Error model: standard deviations of predictions, fitted to errors in cross-validation.

Three laws are tried: one constant; the standard deviation that the model predicts itself times a
factor; and a power of the distance from the training crystals. The one with the largest likelihood
of the errors is taken (Laplace's distribution, whose tails are those of real errors; each parameter
costs one unit, as in Akaike's criterion). Its scale is then set so that at least 68 % and 95 % of
the errors are within one and 1.96 standard deviations.

Cross-validation does not show the whole error of a candidate whose pre-trained model has learned a
cheaper value of these very crystals: it predicts new ones worse. Its own standard deviation for new
crystals is then added in quadrature.
"""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import scipy  # loads its parts when they are used

from cgatjax.errors import InputError

Law = Literal["constant", "own", "distance"]
LEVELS = {0.6827: 1.0, 0.95: 1.96}
"""Level of a central interval -> its half width in standard deviations."""
NEAREST, FARTHEST = 0.1, 5.0
"""Bounds of the novelty in the law of distance."""
_POWERS = (0.0, 3.0)
_COSTS: dict[Law, int] = {"constant": 1, "own": 1, "distance": 2}


@dataclass(frozen=True, kw_only=True)
class ErrorModel:
    """Law of the standard deviation of a prediction.

    Attributes:
      law: "constant"; "own": of the standard deviation that the model predicts; "distance": of the
        novelty (`Domain.novelty`).
      scale: standard deviation, factor, or standard deviation at novelty 1, in this order.
      power: of the novelty, for "distance".
      n: number of errors that it was fitted to.
      hidden: standard deviation of the part of the error that cross-validation does not show.
    """

    law: Law
    scale: float
    power: float = 0.0
    n: int
    hidden: float = 0.0

    def __post_init__(self) -> None:
        """Raise InputError unless the numbers make sense; they may come from a file."""
        known = self.law in _COSTS and np.isfinite((self.scale, self.power, self.hidden)).all()
        if not known or self.scale <= 0 or self.hidden < 0:
            raise InputError(f"error model: expected a law and a positive scale, got {self!r:.200}")

    def std(self, own: np.ndarray, novelty: np.ndarray) -> np.ndarray:
        """Compute (crystals,) standard deviations.

        Args:
          own: (crystals,) standard deviations that the model predicts, NaN where there is none.
          novelty: (crystals,) distances over that of ordinary new crystals.
        """
        return np.hypot(self.scale * _shape(self.law, self.power, own, novelty), self.hidden)

    def note(self) -> str:
        """Describe the origin of the standard deviation."""
        about = {
            "constant": "the same for all crystals",
            "own": "the model's own, rescaled",
            "distance": f"growing as (distance from the training crystals)^{self.power:.2f}",
        }
        note = f"errors of {self.n} crystals in cross-validation, {about[self.law]}"
        if self.hidden:
            note += (
                f", and {self.hidden:.3g} for new crystals, as the pre-trained model knew those of "
                "the cross-validation"
            )
        return note

    @classmethod
    def fit(
        cls, errors: np.ndarray, own: np.ndarray, novelty: np.ndarray, hidden: float = 0.0
    ) -> Self:
        """Fit the best law to errors of crystals that the model was not trained on.

        Args:
          errors: (crystals,) predictions minus values.
          own: (crystals,) standard deviations that the model predicts, NaN where there is none.
          novelty: (crystals,) distances from the training crystals of the same fold.
          hidden: standard deviation of what the errors do not show.

        Raises:
          InputError: fewer than two errors, or all of them zero.
        """
        size = np.abs(np.asarray(errors, np.float64))
        if len(size) < 2 or not np.isfinite(size).all() or not size.any():
            raise InputError(f"expected at least two known errors, not all zero, got {len(size)}")
        powers: dict[Law, float] = {"constant": 0.0}
        if np.isfinite(own).all() and (own > 0).all():
            powers["own"] = 0.0
        if np.isfinite(novelty).all():
            found = scipy.optimize.minimize_scalar(
                lambda power: _cost(size, _shape("distance", power, own, novelty)),
                bounds=_POWERS,
                method="bounded",
            )
            powers["distance"] = float(found.x)
        costs = {
            law: len(size) * _cost(size, _shape(law, power, own, novelty)) + _COSTS[law]
            for law, power in powers.items()
        }
        law = min(costs, key=lambda name: costs[name])
        shape = _shape(law, powers[law], own, novelty)
        scale = _covering(size / shape)
        return cls(law=law, scale=scale, power=powers[law], n=len(size), hidden=hidden)


def coverages(errors: np.ndarray, std: np.ndarray) -> dict[str, float]:
    """Compute the shares of errors within the central 68 % and 95 % intervals.

    >>> coverages(np.array([0.5, -1.5, 3.0, 0.1]), np.ones(4))
    {'68': 0.5, '95': 0.75}
    """
    scaled = np.abs(errors) / std
    return {f"{100 * p:.0f}": float((scaled <= width).mean()) for p, width in LEVELS.items()}


def _shape(law: Law, power: float, own: np.ndarray, novelty: np.ndarray) -> np.ndarray:
    """Compute (crystals,) standard deviations up to a factor."""
    if law == "own":
        return np.asarray(own, np.float64)
    if law == "distance":
        return np.asarray(np.clip(novelty, NEAREST, FARTHEST) ** power, np.float64)
    return np.ones(len(novelty))


def _cost(size: np.ndarray, shape: np.ndarray) -> float:
    """Compute the mean negative log likelihood of Laplace's distribution at its best scale."""
    return float(np.log(shape).mean() + np.log((size / shape).mean()))


def _covering(scaled: np.ndarray) -> float:
    """Find the smallest factor with enough coverage at both levels."""
    factors = []
    for level, width in LEVELS.items():
        # The quantile of split conformal prediction: one more crystal would be inside as often.
        rank = min(level * (len(scaled) + 1) / len(scaled), 1.0)
        factors.append(np.quantile(scaled, rank, method="higher") / width)
    return max(*map(float, factors), 1e-300)
