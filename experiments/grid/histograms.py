"""Histograms of a property in several data sets, with cumulative distributions."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from cgatjax.errors import InputError
from cgatjax.plotting.style import colors, new_figure, with_unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def histograms(
    values: Mapping[str, np.ndarray],
    *,
    name: str = "value",
    unit: str = "",
    bins: int = 60,
) -> "Figure":
    """Draw histograms on a log scale, beside the cumulative distributions.

    Like Fig. 2 of Hoffmann et al. 2023. The bins span all values.

    Args:
      values: name of the data set -> (crystals,) values; NaN is left out.
      name: name of the property.
      unit: unit of the property.
      bins: number of equal bins, shared by all data sets.

    Raises:
      InputError: no data sets, or one without a known value.
    """
    known = {key: np.asarray(v, np.float64)[np.isfinite(v)] for key, v in values.items()}
    empty = [key for key, v in known.items() if len(v) == 0]
    if empty or not known:
        raise InputError(f"expected known values to draw, got none for {empty or 'any data set'}")
    low, high = min(v.min() for v in known.values()), max(v.max() for v in known.values())
    edges = np.linspace(low, high if high > low else low + 1.0, bins + 1)
    figure, (counts, shares) = new_figure(9.0, 3.8, panels=2)
    for color, (key, v) in zip(colors(len(known)), known.items(), strict=True):
        heights, _ = np.histogram(v, edges)
        counts.stairs(heights, edges, color=color, linewidth=1.2)
        counts.stairs(heights, edges, color=color, alpha=0.15, fill=True)
        ordered = np.sort(v)
        share = np.arange(1, len(v) + 1) / len(v)
        shares.step(ordered, share, where="post", color=color, label=f"{key} (n = {len(v):,})")
    counts.set(yscale="log", ylabel="crystals per bin")
    counts.set_ylim(bottom=0.7)
    shares.set(ylim=(0, 1.02), ylabel="cumulative fraction of crystals")
    for axes in (counts, shares):
        axes.set_xlabel(with_unit(name, unit))
    figure.legend(frameon=False, fontsize="small", loc="outside lower center", ncols=3)
    return figure
