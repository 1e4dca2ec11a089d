"""Calibration figures: reliability diagram, and errors against predicted standard deviations."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from cgatjax.errors import InputError
from cgatjax.inference.calibration import (
    binned,
    coverage,
    interval_levels,
    known_errors,
    miscalibration_area,
)
from cgatjax.plotting.style import colors, new_figure, plain_ticks, with_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PredictionSets = Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Name of a line, such as "before" or "after" -> (target, mean, std) of the crystals."""
_GRID = np.linspace(0, 1, 201)


def calibration(predictions: PredictionSets, unit: str = "", title: str = "") -> "Figure":
    """Draw the reliability diagram beside the errors against standard deviations.

    Args:
      predictions: name -> (target, mean, std), (crystals,) each in `unit`; rows without a target or
        a standard deviation are left out.
      unit: unit for the axis labels.
      title: title of the figure.

    Raises:
      InputError: nothing to draw, or a standard deviation that is not positive.
    """
    figure, (left, right) = new_figure(9.0, 4.4, panels=2)
    _draw_reliability(left, predictions)
    _draw_errors(right, predictions, unit)
    figure.suptitle(title)
    return figure


def reliability(predictions: PredictionSets, title: str = "") -> "Figure":
    """Draw observed against expected coverage of central intervals.

    Below the diagonal, standard deviations are too small. Arguments and errors as of `calibration`.
    """
    figure, (axes,) = new_figure(4.6, 4.4)
    _draw_reliability(axes, predictions)
    axes.set_title(title)
    return figure


def _draw_reliability(axes: "Axes", predictions: PredictionSets) -> None:
    if not predictions:
        raise InputError("expected at least one set of predictions to draw, got none")
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, zorder=1)
    for color, (name, arrays) in zip(colors(len(predictions)), predictions.items(), strict=True):
        levels = interval_levels(*known_errors(*arrays))
        observed = coverage(levels, _GRID)
        label = f"{name}: area {miscalibration_area(levels):.3f}"
        axes.plot(_GRID, observed, color=color, label=label)
        axes.fill_between(_GRID, _GRID, observed, color=color, alpha=0.12, linewidth=0)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    for place, text in ((0.04, "std too large"), (0.62, "std too small")):
        axes.text(place, 0.72 if place < 0.5 else 0.3, text, color="0.45", fontsize="small")
    axes.set_xlabel("expected coverage")
    axes.set_ylabel("observed coverage")
    axes.legend(frameon=False, loc="best")


def _draw_errors(axes: "Axes", predictions: PredictionSets, unit: str) -> None:
    if not predictions:
        raise InputError("expected at least one set of predictions to draw, got none")
    drawn = []
    for color, (name, arrays) in zip(colors(len(predictions)), predictions.items(), strict=True):
        groups = binned(*known_errors(*arrays))
        shown = groups.rmse > 0
        axes.plot(groups.std[shown], groups.rmse[shown], "o", color=color, label=name)
        drawn += [groups.std[shown], groups.rmse[shown]]
    values = np.concatenate(drawn)
    if len(values) == 0:
        raise InputError("expected an error above zero to draw on log axes, all errors are zero")
    span = (values.min() / 1.2, values.max() * 1.2)
    axes.plot(span, span, color="0.6", linewidth=1, zorder=1)
    axes.set(xscale="log", yscale="log", xlim=span, ylim=span, aspect="equal")
    plain_ticks(axes.xaxis)
    plain_ticks(axes.yaxis)
    axes.set_xlabel(with_unit("predicted standard deviation", unit))
    axes.set_ylabel(with_unit("root mean square error", unit))
    axes.legend(frameon=False, loc="best")
