"""Training figures: learning curves, parity, errors by transfer mode."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cgatjax.errors import InputError
from cgatjax.plotting.style import COLORS, colors_of, new_figure, plain_ticks, with_unit, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def learning_curves(
    histories: Mapping[str, Sequence[Mapping[str, Any]]],
    quantity: str = "valid_mae",
    unit: str = "",
    title: str = "",
) -> "Figure":
    """Draw validation errors against epochs, one line per run, on a logarithmic scale.

    A dot marks the best epoch of each run.

    Args:
      histories: name of the run -> rows of its history (`History.rows`); epoch 0 is the state
        before training.
      quantity: column, or its prefix before ":" (for the first such column of each run).
      unit: unit for the axis label.
      title: title of the figure.

    Raises:
      InputError: a run has no such column.
    """
    from matplotlib.ticker import MaxNLocator

    figure, (axes,) = new_figure(6.0, 4.0)
    for color, (name, rows) in zip(colors_of(histories), histories.items(), strict=True):
        column = _column(name, rows, quantity)
        points = [(row["epoch"], row[column]) for row in rows if row.get(column) is not None]
        marker = "o" if len(points) == 1 else None  # a line of one point is invisible
        axes.plot(*zip(*points, strict=True), label=name, color=color, marker=marker)
        if points:
            axes.scatter(*min(points, key=lambda point: point[1]), color=color, s=24, zorder=3)
    axes.set_yscale("log")
    plain_ticks(axes.yaxis)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    starts = {row["epoch"] for rows in histories.values() for row in rows[:1]}
    axes.set_xlabel("epoch (0: before training)" if 0 in starts else "epoch")
    axes.set_ylabel(with_unit(_words(quantity), unit))
    axes.set_title(wrapped(title, 6.0))
    axes.legend(frameon=False)
    return figure


def parity(
    target: np.ndarray,
    prediction: np.ndarray,
    unit: str = "",
    title: str = "",
    ids: Sequence[str] = (),
) -> "Figure":
    """Draw predictions against targets on equal scales, with MAE and RMSE.

    Args:
      target: (crystals,) targets in `unit`; rows with NaN in target or prediction are left out.
      prediction: (crystals,) predictions in `unit`.
      unit: unit for the axis labels.
      title: title of the figure.
      ids: (crystals,) ids, of which those of the two largest errors are shown; none by default.

    Raises:
      InputError: no row has both values.

    Examples:
      >>> figure = parity(np.array([0.0, 1.0]), np.array([0.1, 0.9]), unit="eV")
      >>> figure.axes[0].get_ylabel()
      'prediction (eV)'
    """
    target, prediction = np.asarray(target, np.float64), np.asarray(prediction, np.float64)
    known = np.isfinite(target) & np.isfinite(prediction)
    if not known.any():
        raise InputError("expected at least one crystal with target and prediction, got none")
    x, y = target[known], prediction[known]
    figure, (axes,) = new_figure(4.5, 4.5)
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    margin = 0.03 * (high - low) or 1.0
    span = (low - margin, high + margin)
    axes.plot(span, span, color="0.6", linewidth=1, zorder=1)
    size = float(np.clip(2000 / len(x), 3, 30))
    axes.scatter(x, y, s=size, alpha=0.5, linewidths=0, color=COLORS[0], zorder=2)
    axes.set(xlim=span, ylim=span, aspect="equal", title=wrapped(title, 4.5))
    axes.set_xlabel(with_unit("target", unit))
    axes.set_ylabel(with_unit("prediction", unit))
    mae, rmse = np.abs(y - x).mean(), np.sqrt(((y - x) ** 2).mean())
    plural = "s" if len(x) > 1 else ""
    note = f"MAE {mae:.3g} {unit}\nRMSE {rmse:.3g} {unit}\n{len(x)} crystal{plural}"
    axes.text(0.04, 0.96, note, transform=axes.transAxes, va="top")
    shown = np.flatnonzero(known)
    for k in np.argsort(-np.abs(y - x), kind="stable")[: 2 if len(ids) else 0]:
        is_right = x[k] > sum(span) / 2
        axes.annotate(
            ids[shown[k]],
            (x[k], y[k]),
            (-4 if is_right else 4, 0),
            textcoords="offset points",
            ha="right" if is_right else "left",
            va="center",
            fontsize=7,
        )
    return figure


class Bars(NamedTuple):
    """Test errors of several methods for one property.

    Attributes:
      errors: name of the method -> mean absolute error in `unit`, or one per seed.
      unit: unit for the axis label.
      title: title of the panel.
    """

    errors: Mapping[str, float | Sequence[float]]
    unit: str = ""
    title: str = ""


def transfer_bars(
    errors: Mapping[str, float | Sequence[float]], unit: str = "", title: str = ""
) -> "Figure":
    """Draw test errors of several methods, such as transfer modes, as bars with numbers.

    Args:
      errors: name of the method -> mean absolute error in `unit`, or one per seed: the bar shows
        the mean, and points the seeds.
      unit: unit for the axis label.
      title: title of the figure.

    Raises:
      InputError: nothing to draw.

    Examples:
      >>> figure = transfer_bars({"none": [24.0, 26.0], "full": [16.0, 17.0]}, unit="meV/atom")
      >>> [float(bar.get_height()) for bar in figure.axes[0].patches]
      [25.0, 16.5]
    """
    return transfer_panels([Bars(errors, unit, title)])


def transfer_panels(panels: Sequence[Bars]) -> "Figure":
    """Draw `transfer_bars` of several properties in adjacent panels.

    Raises:
      InputError: nothing to draw.
    """
    if not panels or not all(panel.errors for panel in panels):
        raise InputError("expected at least one error to draw, got none")
    each = 1.2 if len(panels) == 1 else 0.4
    widths = [1.5 + each * len(panel.errors) for panel in panels]
    figure, every = new_figure(sum(widths), 4.0, len(panels))
    for axes, panel, width in zip(every, panels, widths, strict=True):
        _draw_bars(axes, panel)
        axes.set_title(wrapped(panel.title, width))
    return figure


def _draw_bars(axes: "Axes", panel: Bars) -> None:
    seeds = {method: np.atleast_1d(values) for method, values in panel.errors.items()}
    means = [float(values.mean()) for values in seeds.values()]
    axes.bar(list(seeds), means, width=0.65, color=colors_of(seeds))
    for place, (mean, values) in enumerate(zip(means, seeds.values(), strict=True)):
        top, above = (place, max(mean, values.max())), (0, 4)
        axes.annotate(f"{mean:.3g}", top, above, textcoords="offset points", ha="center")
        if len(values) > 1:
            axes.plot(np.full(len(values), place), values, "o", color="black", markersize=3)
    axes.margins(y=0.12)
    axes.set_ylabel(with_unit("test MAE", panel.unit))


def _words(quantity: str) -> str:
    """Convert a column name to an axis label: "valid_mae" to "validation MAE"."""
    words = {"valid": "validation", "train": "training", "mae": "MAE", "rmse": "RMSE"}
    return " ".join(words.get(word, word) for word in quantity.split(":")[0].split("_"))


def _column(name: str, rows: Sequence[Mapping[str, Any]], quantity: str) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    found = [c for c in columns if c == quantity or c.split(":", 1)[0] == quantity]
    if not found:
        raise InputError(f"{name}: the history has no column {quantity!r}; it has {columns}")
    return found[0]
