"""Periodic table colored by a value of each element, such as a count or a mean error."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cgatjax.errors import InputError
from cgatjax.plotting.style import COLOR_SCALE, color_range, new_figure
from cgatjax.structures import SYMBOLS, atomic_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

_NOBLE = (0, 2, 10, 18, 36, 54, 86, 118)
_UNKNOWN = "#f2f2f2"


def cell_of(number: int) -> tuple[int, int]:
    """Return (row, column), from 1, of an element in 18 columns; f elements in rows 9 and 10."""
    if not 1 <= number <= 118:
        raise InputError(f"expected an atomic number in 1..118, got {number}")
    if 57 <= number <= 70 or 89 <= number <= 102:
        first = 57 if number <= 70 else 89
        return (9 if first == 57 else 10), 4 + number - first
    period = next(p for p in range(1, 8) if number <= _NOBLE[p])
    position, length = number - _NOBLE[period - 1], _NOBLE[period] - _NOBLE[period - 1]
    blocks = {2: 1, 8: 2, 18: 2, 32: 2}
    column = position if position <= blocks[length] else 18 - (length - position)
    return period, column


def periodic_table(
    values: Mapping[str, float],
    *,
    label: str = "",
    log: bool = False,
    title: str = "",
    number_format: str = "{:.3g}",
    counts: Mapping[str, int] | None = None,
) -> "Figure":
    """Draw a periodic table with values of elements.

    Args:
      values: element symbol -> finite number; other elements are gray.
      label: label of the color bar, with the unit.
      log: logarithmic colors; needs positive numbers.
      title: title of the figure.
      number_format: format of the number in a cell.
      counts: element symbol -> number of crystals, in the corner of the cell; None for none.

    Raises:
      InputError: no values, one that is not finite, or one that is not positive with `log`.
      StructureError: an unknown element symbol.
    """
    from matplotlib.cm import ScalarMappable

    numbers = {atomic_number(symbol): float(value) for symbol, value in values.items()}
    wrong = [v for v in numbers.values() if not np.isfinite(v) or (log and v <= 0)]
    if wrong or not numbers:
        expected = "positive" if log else "finite"
        raise InputError(f"expected {expected} numbers of elements, got {wrong[:3] or 'none'}")
    norm = color_range(min(numbers.values()), max(numbers.values()), log=log)
    figure, (axes,) = new_figure(11.0, 5.6)
    colors = ScalarMappable(norm, COLOR_SCALE)
    for number in range(1, len(SYMBOLS)):
        corner = (counts or {}).get(SYMBOLS[number])
        note = "" if corner is None else f"{corner:,}"
        _draw_cell(axes, number, numbers.get(number), colors, number_format, note)
    axes.set(xlim=(0.45, 18.55), ylim=(10.6, 0.4), aspect="equal", title=title)
    axes.axis("off")
    figure.colorbar(colors, ax=axes, label=label, shrink=0.75, pad=0.01)
    return figure


def _draw_cell(
    axes: "Axes",
    number: int,
    value: float | None,
    colors: "ScalarMappable",
    number_format: str,
    note: str,
) -> None:
    """Draw one element: its square, atomic number, symbol, value if known, and a note."""
    from matplotlib.patches import Rectangle

    row, column = cell_of(number)
    color = _UNKNOWN if value is None else colors.to_rgba(np.array(value))
    dark = value is not None and np.dot(color[:3], (0.3, 0.6, 0.1)) < 0.55
    ink = "white" if dark else ("0.7" if value is None else "black")
    corner = (column - 0.47, row - 0.47)
    axes.add_patch(Rectangle(corner, 0.94, 0.94, facecolor=color, edgecolor="white"))
    axes.text(column - 0.4, row - 0.4, str(number), fontsize=4.5, color=ink, va="top")
    axes.text(column + 0.4, row - 0.4, note, fontsize=4.5, color=ink, va="top", ha="right")
    axes.text(column, row - 0.03, SYMBOLS[number], fontsize=10, color=ink, ha="center", va="center")
    if value is not None:
        text = number_format.format(value)
        axes.text(column, row + 0.31, text, fontsize=5.5, color=ink, ha="center", va="center")


def element_means(values: np.ndarray, elements: Sequence[Sequence[str]]) -> dict[str, float]:
    """Average a quantity over the crystals that contain an element, for each element.

    Args:
      values: (crystals,) numbers; crystals without a finite number are left out.
      elements: distinct element symbols of each crystal.

    Raises:
      InputError: lengths that differ.
    """
    if len(values) != len(elements):
        raise InputError(f"expected elements of {len(values)} crystals, got {len(elements)}")
    found: dict[str, list[float]] = {}
    for value, symbols in zip(values, elements, strict=True):
        if np.isfinite(value):
            for symbol in symbols:
                found.setdefault(symbol, []).append(float(value))
    return {symbol: float(np.mean(v)) for symbol, v in sorted(found.items())}
