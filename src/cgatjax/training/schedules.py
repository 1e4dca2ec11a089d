"""Learning-rate factors, between 0 and 1, as pure functions of the epoch or of the past."""

import math
from typing import NamedTuple

from cgatjax.config import TrainConfig

FLOOR = 0.1
"""Lowest factor of the cyclical schedule (reference: `cyclical_lr(cycle_mul=0.1)`)."""


def cyclical(epoch: float, period: float) -> float:
    """Triangle between 0.1 and 1: lowest at multiples of the period, 1 in the middle.

    >>> [round(cyclical(e, 4), 3) for e in range(5)]
    [0.1, 0.55, 1.0, 0.55, 0.1]
    """
    distance = abs(2 * (epoch / period - math.floor(1 + epoch / period)) + 1)
    return FLOOR + (1 - FLOOR) * max(0.0, 1 - distance)


class Plateau(NamedTuple):
    """State of the plateau schedule.

    Attributes:
      factor: the current learning-rate factor.
      best: lowest validation error so far.
      waited: validations since then.
    """

    factor: float = 1.0
    best: float = math.inf
    waited: int = 0

    def after(self, error: float, config: TrainConfig) -> "Plateau":
        """The state after a validation: a drop when `plateau_patience` of them brought nothing."""
        if error < self.best:
            return Plateau(self.factor, error, 0)
        if self.waited + 1 < config.plateau_patience:
            return self._replace(waited=self.waited + 1)
        return Plateau(self.factor * config.plateau_factor, self.best, 0)


def factor_at(config: TrainConfig, epoch: int, plateau: Plateau) -> float:
    """The learning-rate factor of an epoch (counted from 0) under the configured schedule."""
    if config.schedule == "cyclical":
        return cyclical(epoch, config.cycle_period or max(config.epochs, 1))
    return plateau.factor if config.schedule == "plateau" else 1.0
