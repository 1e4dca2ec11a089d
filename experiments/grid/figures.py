"""Figures of the study: changes with their intervals, errors against size, and against time."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cgatjax import InputError
from cgatjax.analysis import BudgetPlan
from cgatjax.analysis.seeds import LEVEL, Comparison
from cgatjax.plotting.style import COLORS, colors_of, new_figure, plain_ticks, with_unit, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VERDICT_COLORS = {"better": "#55A868", "worse": "#C44E52", "undecided": "0.45"}
CAPTION = (
    f"Lines are {LEVEL:.0%} confidence intervals from the spread over seeds; green: better, red: "
    "worse, gray: undecided."
)
"""Caption of a comparison figure."""
_ROW = 0.3
"""Height of a row in inches."""


def comparison_figure(
    panels: Mapping[str, Mapping[str, Comparison]], quantity: str = "test MAE"
) -> "Figure":
    """Draw changes of an error with their intervals, one row each, in adjacent panels.

    Args:
      panels: title -> {label: comparison}, from top to bottom. Infinite intervals are not drawn.
      quantity: name of the error.

    Raises:
      InputError: nothing to draw.
    """
    if not panels or not all(panels.values()):
        raise InputError("expected at least one comparison to draw, got none")
    rows = max(len(found) for found in panels.values())
    letters = max(len(name) for found in panels.values() for name in found)
    width = 2.5 + 0.075 * letters
    figure, every = new_figure(width * len(panels), 1.3 + _ROW * rows, len(panels))
    for axes, (title, found) in zip(every, panels.items(), strict=True):
        _draw_changes(axes, found)
        axes.set_title(wrapped(title, width))
        axes.set_xlabel(f"change of the {quantity}, %")
    return figure


def _draw_changes(axes: "Axes", found: Mapping[str, Comparison]) -> None:
    axes.axvline(0, color="0.8", linewidth=1, zorder=0)
    for place, one in enumerate(found.values()):
        color = VERDICT_COLORS[one.verdict]
        if math.isfinite(one.high):
            axes.plot([100 * one.low, 100 * one.high], [place, place], color=color, zorder=1)
        axes.plot([100 * one.change], [place], "o", color=color, markersize=5, zorder=2)
    axes.set_yticks(range(len(found)), list(found))
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def error_against_size(
    curves: Mapping[str, Mapping[int, Sequence[float]]],
    unit: str = "",
    title: str = "",
    *,
    measure: str = "MAE",
) -> "Figure":
    """Draw test errors against the number of training crystals, one line per method.

    Args:
      curves: name of the method -> {training crystals: errors of the seeds, in `unit`}; the line
        shows their mean, the band their range.
      unit: unit for the axis label.
      title: title of the figure.
      measure: name of the error metric.

    Raises:
      InputError: nothing to draw.
    """
    if not any(curves.values()):
        raise InputError("expected at least one error to draw, got none")
    figure, (axes,) = new_figure(6.0, 4.0)
    for color, (name, found) in zip(colors_of(curves), curves.items(), strict=True):
        sizes = sorted(found)
        low, mean, high = (
            [function(found[n]) for n in sizes] for function in (np.min, np.mean, np.max)
        )
        axes.fill_between(sizes, low, high, color=color, alpha=0.15, linewidth=0)
        axes.plot(sizes, mean, color=color, marker="o", markersize=4, label=name)
    axes.set_yscale("log")
    plain_ticks(axes.yaxis)
    axes.set_xlabel("training crystals")
    axes.set_ylabel(with_unit(f"test {measure}", unit))
    axes.set_title(wrapped(title, 6.0))
    axes.legend(frameon=False)
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
