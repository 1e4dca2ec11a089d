"""Where the next hours of computing are best spent: on cheap or on accurate calculations.

Hoffmann et al. 2023, Fig. 5: from the scaling of the error with both sizes, the error that is to be
expected if extra computing time goes into pre-training data (PBE) or into accurate ones (SCAN, five
times as expensive). The law of `joint_scaling` and its assumptions stand behind every number here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cgatjax.analysis.joint_scaling import JointPowerLaw
from cgatjax.errors import InputError

SCAN_COST = 5.0
"""Computing time of a SCAN calculation in PBE calculations (Hoffmann et al. 2023)."""
_SHARES = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, kw_only=True)
class Fidelities:
    """A number for the cheap and one for the accurate data.

    Attributes:
      cheap: of the pre-training data.
      accurate: of the training data.
    """

    low: float
    accurate: float


@dataclass(frozen=True, kw_only=True, eq=False)
class BudgetPlan:
    """Expected errors against extra computing time.

    Attributes:
      extra: (m,) extra time in the unit of `costs`.
      error_cheap: (m,) error in `unit` if all of it buys cheap data.
      error_accurate: (m,) error if all of it buys accurate data.
      error_best: (m,) error of the best division.
      best_share: (m,) share of the time that goes into accurate data then.
      band_cheap, band_accurate: (2, m) bounds of the intervals of the two errors.
      confidence: (m,) share of the bootstrap's draws in which accurate data are the better choice.
      now: error at the sizes one has.
      have: crystals at hand.
      costs: time of one calculation.
      names: of the two functionals.
      law: the fit behind it.
    """

    extra: np.ndarray
    error_low: np.ndarray
    error_accurate: np.ndarray
    error_best: np.ndarray
    best_share: np.ndarray
    band_low: np.ndarray
    band_accurate: np.ndarray
    confidence: np.ndarray
    now: float
    have: Fidelities
    costs: Fidelities
    names: tuple[str, str]
    law: JointPowerLaw

    @property
    def unit(self) -> str:
        """Of the errors."""
        return self.law.unit

    def answer(self, calculations: int = 10_000) -> str:
        """Which functional to compute next, in plain words.

        Args:
          calculations: how many of the accurate ones the time is enough for.

        Raises:
          InputError: the number is not positive.
        """
        if calculations < 1:
            raise InputError(f"calculations: expected at least 1, got {calculations}")
        time = calculations * self.costs.accurate
        plan = plan_budget(
            self.law, have=self.have, costs=self.costs, extra=[time], names=self.names
        )
        low, accurate = plan.error_low[0], plan.error_accurate[0]
        if min(low, accurate) >= self.now:
            return (
                f"the next {calculations:,} calculations: neither {self.names[0]} nor "
                f"{self.names[1]}, as the fit shows no gain from more data ({self.law.text()})"
            )
        choice = 0 if low < accurate else 1
        sure = plan.confidence[0] if choice else 1 - plan.confidence[0]
        n_low = round(time / self.costs.low)
        counts = (n_low, calculations)
        return (
            f"the next {counts[choice]:,} calculations: {self.names[choice]} (error "
            f"{self.now:.3g} -> {(low, accurate)[choice]:.3g} {self.unit}; the same computing "
            f"time in {counts[1 - choice]:,} {self.names[1 - choice]} calculations gives "
            f"{(low, accurate)[1 - choice]:.3g}; {sure:.0%} of the bootstrap agrees)"
        )


def plan_budget(
    law: JointPowerLaw,
    *,
    have: Fidelities,
    extra: Sequence[float] | np.ndarray,
    costs: Fidelities = Fidelities(low=1.0, accurate=SCAN_COST),
    names: tuple[str, str] = ("PBE", "SCAN"),
) -> BudgetPlan:
    """Expected error against extra computing time for either choice, and for the best mixture.

    Args:
      law: error over both sizes (`joint_scaling.fit_joint_power_law`).
      have: crystals at hand, cheap and accurate.
      extra: (m,) extra computing time in the unit of `costs`; 0 is allowed.
      costs: time of one calculation, in hours or in any other unit (by default, in PBE ones).
      names: of the cheap and the accurate functional.

    Raises:
      InputError: sizes or costs that are not positive, times that are negative, or no times.
    """
    for name, pair in (("have", have), ("costs", costs)):
        if not (0 < pair.low < np.inf and 0 < pair.accurate < np.inf):
            raise InputError(f"{name}: expected two positive numbers, got {pair}")
    times = np.asarray(extra, np.float64)
    if times.ndim != 1 or len(times) == 0 or not (np.isfinite(times) & (times >= 0)).all():
        raise InputError(f"extra: expected a list of times that are not negative, got {extra}")
    low = have.low + times / costs.low
    accurate = have.accurate + times / costs.accurate
    shared = law.error_at(
        have.low + np.outer(1 - _SHARES, times) / costs.low,
        have.accurate + np.outer(_SHARES, times) / costs.accurate,
    )
    drawn_low = law.drawn_errors(low, have.accurate)
    drawn_accurate = law.drawn_errors(have.low, accurate)
    tails = [(1 - law.level) / 2, (1 + law.level) / 2]
    return BudgetPlan(
        extra=times,
        error_low=law.error_at(low, have.accurate),
        error_accurate=law.error_at(have.low, accurate),
        error_best=shared.min(axis=0),
        best_share=_SHARES[shared.argmin(axis=0)],
        band_low=np.quantile(drawn_low, tails, axis=0),
        band_accurate=np.quantile(drawn_accurate, tails, axis=0),
        confidence=(drawn_accurate < drawn_low).mean(axis=0),
        now=float(law.error_at(have.low, have.accurate)),
        have=have,
        costs=costs,
        names=names,
        law=law,
    )
