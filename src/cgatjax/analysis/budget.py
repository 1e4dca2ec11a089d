"""Allocation of extra computing time to low- or high-fidelity calculations.

Hoffmann et al. 2023, Fig. 5: from the scaling of the error with both data-set sizes, predict the
error if extra computing time goes into low-fidelity pre-training data (PBE) or into high-fidelity
training data (SCAN, five times as expensive). All predictions rest on the joint scaling law and its
assumptions (`joint_scaling`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cgatjax.analysis.joint_scaling import JointPowerLaw
from cgatjax.errors import InputError

SCAN_COST = 5.0
"""Computing time of a SCAN calculation relative to a PBE one (Hoffmann et al. 2023)."""
_SHARES = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, kw_only=True)
class Fidelities:
    """A number for each fidelity.

    Attributes:
      low: value for the low-fidelity pre-training data.
      high: value for the high-fidelity training data.
    """

    low: float
    high: float


@dataclass(frozen=True, kw_only=True, eq=False)
class BudgetPlan:
    """Expected errors against extra computing time.

    Attributes:
      extra: (m,) extra time in the unit of `costs`.
      error_low, error_high: (m,) error in `unit` if all extra time goes into one fidelity.
      error_best: (m,) error of the best division of the time.
      best_share: (m,) share of high-fidelity calculations in the best division.
      band_low, band_high: (2, m) bounds of the intervals of the two errors.
      confidence: (m,) share of bootstrap draws in which high fidelity is the better choice.
      now: error at the present sizes.
      have: present number of crystals.
      costs: time of one calculation.
      names: names of the two functionals.
      law: joint scaling law.
    """

    extra: np.ndarray
    error_low: np.ndarray
    error_high: np.ndarray
    error_best: np.ndarray
    best_share: np.ndarray
    band_low: np.ndarray
    band_high: np.ndarray
    confidence: np.ndarray
    now: float
    have: Fidelities
    costs: Fidelities
    names: tuple[str, str]
    law: JointPowerLaw

    @property
    def unit(self) -> str:
        """Unit of the errors."""
        return self.law.unit

    def answer(self, calculations: int = 10_000) -> str:
        """Recommend one functional for the next calculations, in a sentence.

        Args:
          calculations: extra time, as a number of high-fidelity calculations.

        Raises:
          InputError: the number is not positive.
        """
        if calculations < 1:
            raise InputError(f"calculations: expected at least 1, got {calculations}")
        time = calculations * self.costs.high
        plan = plan_budget(
            self.law, have=self.have, costs=self.costs, extra=[time], names=self.names
        )
        errors = plan.error_low[0], plan.error_high[0]
        if min(errors) >= self.now:
            return (
                f"the next {calculations:,} calculations: neither {self.names[0]} nor "
                f"{self.names[1]}, as the fit shows no gain from more data ({self.law.text()})"
            )
        choice = 0 if errors[0] < errors[1] else 1
        confidence = plan.confidence[0] if choice else 1 - plan.confidence[0]
        counts = (round(time / self.costs.low), calculations)
        return (
            f"the next {counts[choice]:,} calculations: {self.names[choice]} (error "
            f"{self.now:.3g} -> {errors[choice]:.3g} {self.unit}; the same computing time in "
            f"{counts[1 - choice]:,} {self.names[1 - choice]} calculations gives "
            f"{errors[1 - choice]:.3g}; {confidence:.0%} of the bootstrap agrees)"
        )


def plan_budget(
    law: JointPowerLaw,
    *,
    have: Fidelities,
    extra: Sequence[float] | np.ndarray,
    costs: Fidelities = Fidelities(low=1.0, high=SCAN_COST),
    names: tuple[str, str] = ("PBE", "SCAN"),
) -> BudgetPlan:
    """Predict the error against extra computing time for each fidelity and the best division.

    Args:
      law: joint scaling law (`joint_scaling.fit_joint_power_law`).
      have: present number of low- and high-fidelity crystals.
      extra: (m,) extra computing time in the unit of `costs`; 0 is allowed.
      costs: time of one calculation, in any unit (by default, in PBE calculations).
      names: names of the low- and the high-fidelity functional.

    Raises:
      InputError: sizes or costs that are not positive, negative times, or no times.
    """
    for name, pair in (("have", have), ("costs", costs)):
        if not (0 < pair.low < np.inf and 0 < pair.high < np.inf):
            raise InputError(f"{name}: expected two positive numbers, got {pair}")
    times = np.asarray(extra, np.float64)
    if times.ndim != 1 or len(times) == 0 or not (np.isfinite(times) & (times >= 0)).all():
        raise InputError(f"extra: expected a list of non-negative times, got {extra}")
    low = have.low + times / costs.low
    high = have.high + times / costs.high
    divided = law.error_at(
        have.low + np.outer(1 - _SHARES, times) / costs.low,
        have.high + np.outer(_SHARES, times) / costs.high,
    )
    drawn_low = law.drawn_errors(low, have.high)
    drawn_high = law.drawn_errors(have.low, high)
    tails = [(1 - law.level) / 2, (1 + law.level) / 2]
    return BudgetPlan(
        extra=times,
        error_low=law.error_at(low, have.high),
        error_high=law.error_at(have.low, high),
        error_best=divided.min(axis=0),
        best_share=_SHARES[divided.argmin(axis=0)],
        band_low=np.quantile(drawn_low, tails, axis=0),
        band_high=np.quantile(drawn_high, tails, axis=0),
        confidence=(drawn_high < drawn_low).mean(axis=0),
        now=float(law.error_at(have.low, have.high)),
        have=have,
        costs=costs,
        names=names,
        law=law,
    )
