"""Scaling figures: error against data-set size, and against extra computing time."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from cgatjax.analysis.budget import BudgetPlan
from cgatjax.analysis.scaling import PowerLaw
from cgatjax.errors import InputError
from cgatjax.plotting.style import COLORS, colors_of, new_figure, plain_ticks, with_unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MARGIN = 1.25
"""Factor by which lines extend beyond the smallest and the largest size."""


def scaling_figure(
    laws: Mapping[str, PowerLaw],
    *,
    size_label: str = "training crystals",
    target_error: float | None = None,
    target_name: str = "chemical accuracy",
    title: str = "",
) -> "Figure":
    """Draw scaling laws: errors against sizes in log-log, with fits and their intervals.

    Error bars are standard deviations over seeds; fits with a significant bend (see
    `PowerLaw.bend`) are marked in the legend.

    Args:
      laws: name of the curve -> fit, all in one unit.
      size_label: label of the horizontal axis.
      target_error: error to mark, in the unit of the fits.
      target_name: label of the mark.
      title: title of the figure.

    Raises:
      InputError: no fits, or fits in different units.
    """
    units = {law.unit for law in laws.values()}
    if len(units) != 1:
        raise InputError(f"expected fits in one unit, got {sorted(units) or 'no fits'}")
    figure, (axes,) = new_figure(6.0, 4.4)
    for color, (name, law) in zip(colors_of(laws), laws.items(), strict=True):
        grid = np.geomspace(law.sizes[0] / _MARGIN, law.sizes[-1] * _MARGIN, 100)
        low, high = law.band(grid)
        axes.fill_between(grid, low, high, color=color, alpha=0.15, linewidth=0)
        slope = f"slope {law.slope:.2f}"
        bent = ", bent" if law.bend is not None and law.bend.is_significant() else ""
        axes.plot(grid, law.error_at(grid), color=color, label=f"{name} ({slope}{bent})")
        factor = 10 ** np.nan_to_num(law.spreads)
        below, above = law.errors * (1 - 1 / factor), law.errors * (factor - 1)
        axes.errorbar(
            law.sizes, law.errors, [below, above], fmt="o", color=color, markersize=5, capsize=2
        )
    if target_error is not None:
        axes.axhline(target_error, color="0.5", linewidth=1, linestyle=":")
        axes.annotate(
            f"{target_name} ({target_error:g})",
            (0, target_error),
            xycoords=("axes fraction", "data"),
            xytext=(3, 3),
            textcoords="offset points",
            fontsize="small",
            color="0.4",
        )
    axes.set(xscale="log", yscale="log", title=title, xlabel=size_label)
    plain_ticks(axes.yaxis)
    axes.set_ylabel(with_unit("test MAE", units.pop()))
    axes.legend(frameon=False, fontsize="small")
    return figure


def budget_figure(plan: BudgetPlan, *, time_unit: str = "PBE calculations") -> "Figure":
    """Draw the expected error against extra computing time for each fidelity and the best division.

    Args:
      plan: plan with at least two positive times.
      time_unit: unit of the costs of the plan.

    Raises:
      InputError: fewer than two positive times.
    """
    shown = plan.extra > 0
    if shown.sum() < 2:
        raise InputError(f"expected at least two positive times to draw, got {plan.extra}")
    figure, (axes,) = new_figure(6.0, 4.4)
    times = plan.extra[shown]
    choices = (
        (f"all into {plan.names[0]}", plan.error_low, plan.band_low),
        (f"all into {plan.names[1]}", plan.error_high, plan.band_high),
    )
    for color, (name, error, band) in zip(COLORS, choices, strict=False):
        axes.fill_between(times, *band[:, shown], color=color, alpha=0.15, linewidth=0)
        axes.plot(times, error[shown], color=color, label=name)
    axes.plot(times, plan.error_best[shown], "k--", linewidth=1, label="best division")
    axes.axhline(plan.now, color="0.5", linewidth=1, linestyle=":", label="present error")
    axes.set(xscale="log", yscale="log", xlabel=f"extra computing time ({time_unit})")
    plain_ticks(axes.yaxis)
    axes.set_ylabel(with_unit("expected test MAE", plan.unit))
    axes.legend(frameon=False, fontsize="small")
    return figure
