"""Residual figures: errors by element, as a periodic table, and by the number of sites."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cgatjax.errors import InputError
from cgatjax.plotting.periodic_table import element_means, periodic_table
from cgatjax.plotting.style import COLORS, new_figure, with_unit, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_GROUPS = 12
"""Number of boxes whose labels do not overlap."""
_FEWEST = 10
"""Number of crystals below which a group has no box."""
_WIDE = 5.0
"""Ratio of the largest to the smallest error beyond which colors are logarithmic."""


def residuals_by_element(
    residuals: np.ndarray, elements: Sequence[Sequence[str]], unit: str = "", title: str = ""
) -> "Figure":
    """Draw a periodic table with the mean absolute error of the crystals with each element.

    The number of these crystals is in the right corner of the cell.

    Args:
      residuals: (crystals,) prediction minus target in `unit`; NaN is left out.
      elements: distinct element symbols of each crystal.
      unit: unit for the color bar.
      title: title of the figure.

    Raises:
      InputError: no residual is known, or lengths differ.
    """
    errors = np.abs(np.asarray(residuals, np.float64))
    means = element_means(errors, elements)
    if not means:
        raise InputError("expected at least one crystal with target and prediction, got none")
    low, high = min(means.values()), max(means.values())
    label = with_unit("mean absolute error", unit)
    known = [set(e) for e, error in zip(elements, errors, strict=True) if np.isfinite(error)]
    counts = Counter(symbol for symbols in known for symbol in symbols)
    log = 0 < low < high / _WIDE
    return periodic_table(means, label=label, title=title, log=log, counts=counts)


def residuals_by_sites(
    residuals: np.ndarray, n_sites: np.ndarray, unit: str = "", title: str = ""
) -> "Figure":
    """Draw residuals against the number of sites: quartiles, 5 % and 95 %.

    Groups of fewer than ten crystals are drawn as points. Below each group are the number of its
    crystals and their mean |error|.

    If there are too many numbers of sites, adjacent ones share a box, with about equally many
    crystals in each.

    Args:
      residuals: (crystals,) prediction minus target in `unit`; NaN is left out.
      n_sites: (crystals,) numbers of sites.
      unit: unit for the axis label.
      title: title of the figure.

    Raises:
      InputError: no residual is known, or lengths differ.
    """
    residuals, n_sites = np.asarray(residuals, np.float64), np.asarray(n_sites)
    if residuals.shape != n_sites.shape:
        raise InputError(f"expected sites of {len(residuals)} crystals, got {len(n_sites)}")
    known = np.isfinite(residuals)
    if not known.any():
        raise InputError("expected at least one crystal with target and prediction, got none")
    residuals, n_sites = residuals[known], n_sites[known]
    bounds = size_groups(n_sites)
    groups = [residuals[(n_sites >= low) & (n_sites <= high)] for low, high in bounds]
    labels = [
        f"{low if low == high else f'{low}-{high}'}\n({len(group):,})\n{np.abs(group).mean():.2g}"
        for (low, high), group in zip(bounds, groups, strict=True)
    ]
    width = max(4.5, 1.2 + 0.62 * len(groups))
    figure, (axes,) = new_figure(width, 4.0)
    axes.axhline(0, color="0.6", linewidth=1, zorder=0)
    # Quartiles of a few crystals would say nothing: they are drawn as points.
    whole = [group if len(group) >= _FEWEST else np.empty(0) for group in groups]
    boxes = axes.boxplot(
        whole, whis=(5, 95), showfliers=False, widths=0.6, patch_artist=True, tick_labels=labels
    )
    for place, group in enumerate(groups, 1):
        if len(group) < _FEWEST:
            axes.plot(np.full(len(group), place), group, ".", color=COLORS[0], markersize=5)
    for box, median in zip(boxes["boxes"], boxes["medians"], strict=True):
        box.set(facecolor=COLORS[0], alpha=0.35)
        median.set(color=COLORS[0], linewidth=2)
    axes.tick_params(axis="x", labelsize="small")
    axes.set_xlabel(f"sites in the cell, (crystals), {with_unit('mean |error|', unit)}")
    axes.set_ylabel(with_unit("prediction - target", unit))
    axes.set_title(wrapped(title, width))
    return figure


def size_groups(n_sites: np.ndarray, most: int = MAX_GROUPS) -> list[tuple[int, int]]:
    """Group numbers of sites into at most `most` ascending (lowest, highest) ranges.

    >>> size_groups(np.array([2, 2, 5, 8]))
    [(2, 2), (5, 5), (8, 8)]
    >>> size_groups(np.array([1, 2, 3, 4, 5, 6]), most=3)
    [(1, 2), (3, 4), (5, 6)]
    """
    sizes, counts = np.unique(n_sites, return_counts=True)
    if len(sizes) <= most:
        return [(int(n), int(n)) for n in sizes]
    middle = np.cumsum(counts) - counts / 2
    group = np.minimum((middle * most / counts.sum()).astype(int), most - 1)
    return [(int(sizes[group == g].min()), int(sizes[group == g].max())) for g in np.unique(group)]
