"""Comparison figures: changes of an error with confidence intervals over seeds."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cgatjax.analysis.seeds import LEVEL, Comparison
from cgatjax.errors import InputError
from cgatjax.plotting.style import new_figure, wrapped

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
        _draw(axes, found)
        axes.set_title(wrapped(title, width))
        axes.set_xlabel(f"change of the {quantity}, %")
    return figure


def _draw(axes: "Axes", found: Mapping[str, Comparison]) -> None:
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
