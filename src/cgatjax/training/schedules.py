"""Learning-rate schedules: factors between 0 and 1, pure functions of progress or history."""

import math
from typing import NamedTuple

from cgatjax.config import TrainConfig

FLOOR = 0.1
"""Lowest factor of the cyclical schedule (reference: `cyclical_lr(cycle_mul=0.1)`)."""
WARM_UP = 0.05
"""Share of a training over which the cosine schedule rises."""


def cyclical(epoch: float, period: float) -> float:
    """Triangular factor between 0.1 and 1: lowest at multiples of the period, 1 in the middle.

    >>> [round(cyclical(e, 4), 3) for e in range(5)]
    [0.1, 0.55, 1.0, 0.55, 0.1]
    """
    # [P], released code `cyclical_lr`: stepped per epoch.
    distance = abs(2 * (epoch / period - math.floor(1 + epoch / period)) + 1)
    return FLOOR + (1 - FLOOR) * max(0.0, 1 - distance)


def cosine(done: float) -> float:
    """Factor at a share of the training: a linear rise, then half a cosine down to 0.

    >>> [round(cosine(d), 3) for d in (0, 0.025, 0.05, 0.525, 1)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if done < WARM_UP:
        return done / WARM_UP
    return (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP))) / 2


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
        """Update after a validation; drop after `plateau_patience` without improvement."""
        if error < self.best:
            return Plateau(self.factor, error, 0)
        if self.waited + 1 < config.plateau_patience:
            return self._replace(waited=self.waited + 1)
        return Plateau(self.factor * config.plateau_factor, self.best, 0)


def factor_at(config: TrainConfig, epoch: int, plateau: Plateau, fraction: float = 0.5) -> float:
    """Compute the learning-rate factor of an epoch (counted from 0).

    Args:
      config: the schedule and its options.
      epoch: epochs done.
      plateau: state of the plateau schedule.
      fraction: of the epoch done; only the cosine moves within an epoch.
    """
    if config.schedule == "cosine":
        return cosine((epoch + fraction) / config.epochs)
    if config.schedule == "cyclical":
        return cyclical(epoch, config.cycle_period or max(config.epochs, 1))
    return plateau.factor if config.schedule == "plateau" else 1.0
