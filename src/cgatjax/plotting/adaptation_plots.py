"""Figures of an adaptation: candidates, parity, and errors against the distance from the data."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgatjax.errors import InputError
from cgatjax.plotting.style import COLORS, new_figure, plain_ticks, with_unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROW = 0.42
"""Height of a row in inches."""
_GRAY = "0.6"
_BINS = 8


class CandidateRow(NamedTuple):
    """Candidate in the figure: error in cross-validation with its standard error.

    The kind is "chosen", "simple" or "other".
    """

    name: str
    mae: float
    error: float
    kind: str


def candidates_figure(rows: Sequence[CandidateRow], unit: str = "") -> "Figure":
    """Draw the errors of candidates with their 95 % intervals, one row each, from top to bottom."""
    if not rows:
        raise InputError("expected at least one candidate to draw, got none")
    figure, (axes,) = new_figure(5.6, 0.8 + _ROW * len(rows))
    colors = {"chosen": COLORS[1], "simple": COLORS[2], "other": COLORS[0]}
    for place, row in enumerate(rows):
        low, high = max(row.mae - 1.96 * row.error, row.mae / 3), row.mae + 1.96 * row.error
        color = colors[row.kind]
        axes.plot([low, high], [place, place], color=color, linewidth=2, alpha=0.6)
        axes.plot([row.mae], [place], "o", color=color, markersize=5)
        # Names above the lines: beside them they would take most of the width.
        axes.annotate(
            row.name,
            (0, place),
            xycoords=("axes fraction", "data"),
            xytext=(0, 6),
            textcoords="offset points",
            fontsize="small",
        )
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(rows) - 0.5, -0.9)
    axes.set_xscale("log")
    plain_ticks(axes.xaxis)
    axes.set_xlabel(with_unit("mean absolute error in cross-validation", unit), fontsize="small")
    axes.grid(axis="x", color=_GRAY, alpha=0.25)
    return figure


def parity_figure(
    predictions: Mapping[str, tuple[np.ndarray, np.ndarray]], target: str, unit: str = ""
) -> "Figure":
    """Draw predictions against values: name -> both, (crystals,); the last is drawn on top."""
    if not any(len(values) for values, _ in predictions.values()):
        raise InputError("expected at least one crystal to draw, got none")
    figure, (axes,) = new_figure(5.0, 4.8)
    every = np.concatenate([np.concatenate(pair) for pair in predictions.values()])
    margin = 0.03 * (np.ptp(every) or 1.0)
    span = (every.min() - margin, every.max() + margin)
    axes.plot(span, span, color=_GRAY, linewidth=1, zorder=0)
    shades = (_GRAY, COLORS[0], COLORS[1])[-len(predictions) :]
    for color, (name, (values, found)) in zip(shades, predictions.items(), strict=True):
        mae = np.abs(found - values).mean()
        label = f"{name}: MAE {mae:.3g} {unit}".strip()
        axes.plot(values, found, "o", color=color, markersize=3.5, alpha=0.6, label=label)
    axes.set(xlim=span, ylim=span, aspect="equal")
    axes.set_xlabel(with_unit(target, unit))
    axes.set_ylabel(with_unit(f"predicted {target}", unit))
    axes.legend(frameon=False, fontsize="small")
    return figure


def novelty_figure(
    novelty: np.ndarray, errors: np.ndarray, std: np.ndarray | None, unit: str = ""
) -> "Figure":
    """Draw absolute errors against the distance from the training crystals.

    `novelty` is that distance over the threshold of the flag; all arrays are (crystals,).
    """
    if not len(novelty):
        raise InputError("expected at least one crystal to draw, got none")
    figure, (axes,) = new_figure(5.0, 3.8)
    size = np.abs(errors)
    axes.plot(novelty, size, "o", color=_GRAY, markersize=3, alpha=0.5, label="crystals")
    order = np.argsort(novelty, kind="stable")
    groups = [g for g in np.array_split(order, _BINS) if len(g)]
    places = [novelty[g].mean() for g in groups]
    axes.plot(places, [size[g].mean() for g in groups], "o-", color=COLORS[0], label="mean |error|")
    if std is not None:
        # The mean absolute value of a normal distribution is 0.798 standard deviations.
        expected = [0.798 * std[g].mean() for g in groups]
        axes.plot(places, expected, "--", color=COLORS[1], label="expected from the std")
    axes.axvline(1, color=COLORS[3], linewidth=1, label="out of distribution beyond")
    top = np.quantile(size, 0.98) if len(size) > 20 else size.max()
    axes.set_ylim(0, 1.15 * top or 1.0)
    axes.set_xlim(0, None)
    axes.set_xlabel("distance from the training crystals")
    axes.set_ylabel(with_unit("|error|", unit))
    axes.legend(frameon=False, fontsize="small")
    return figure
