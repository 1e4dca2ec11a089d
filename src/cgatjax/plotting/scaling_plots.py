"""Scaling figures: error against data-set size."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from cgatjax.analysis.scaling import PowerLaw
from cgatjax.errors import InputError
from cgatjax.plotting.style import colors_of, new_figure, plain_ticks, with_unit

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
