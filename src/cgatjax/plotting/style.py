"""Common style of all figures: creation, colors, labels with units, readable ticks.

matplotlib is imported when the first figure is made. Figures are made without pyplot, so that they
need no display and leave the global state of pyplot alone.
"""

import functools
import io
import itertools
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from cgatjax.runtime import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

COLORS = ("#4C72B0", "#DD8452", "#55A868", "#C44E52", "#8172B3", "#937860")
"""Color-blind safe colors of lines and bars."""
COLOR_SCALE = "viridis_r"
"""Color map of amounts and errors: the darker, the larger, in every figure."""
_MEANINGS = {
    "none": 0,
    "from scratch": 0,
    "head": 1,
    "head only": 1,
    "full": 2,
    "full transfer": 2,
    "joint": 3,
    "joint training": 3,
    "pre-training": 4,
    "pre-training itself": 4,
}
"""Method -> number of its color, the same in every figure."""
_LETTERS_PER_INCH = 9.5
"""Letters per inch of a title in the default font size."""


def new_figure(
    width: float, height: float, panels: int = 1, pad: float = 0.04
) -> tuple["Figure", list["Axes"]]:
    """Make a figure with a row of panels; width, height and padding in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=pad, h_pad=pad)
    figure = _figure_class()(figsize=(width, height), dpi=150, layout=layout)
    FigureCanvasAgg(figure)
    axes = [figure.add_subplot(1, panels, i + 1) for i in range(panels)]
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
    return figure, axes


@functools.cache
def _figure_class() -> type["Figure"]:
    """Subclass Figure for display in notebooks, which show plain figures only with pyplot."""
    from matplotlib.figure import Figure

    class NotebookFigure(Figure):
        def _repr_png_(self) -> bytes:
            image = io.BytesIO()
            self.savefig(image, format="png")
            return image.getvalue()

    return NotebookFigure


def save_figure(figure: "Figure", path: str | Path) -> None:
    """Write a figure atomically; the ending of the name chooses PNG, PDF or SVG."""
    path = Path(path)
    with replacing(path) as file:
        figure.savefig(file, format=path.suffix.removeprefix(".") or None)


def colors(n: int) -> list[str]:
    """Return n colors, repeating them if they run out."""
    return [COLORS[i % len(COLORS)] for i in range(n)]


def colors_of(names: Iterable[str]) -> list[str]:
    """Return a color for each name: transfer modes have theirs, others what is left, in order.

    >>> colors_of(["full", "mine", "none"]) == [COLORS[2], COLORS[1], COLORS[0]]
    True
    """
    names = list(names)
    taken = {_MEANINGS[name] for name in names if name in _MEANINGS}
    free = itertools.cycle([i for i in range(len(COLORS)) if i not in taken] or range(len(COLORS)))
    return [COLORS[_MEANINGS[name] if name in _MEANINGS else next(free)] for name in names]


def color_range(low: float, high: float, *, log: bool) -> "Normalize":
    """Map numbers from low to high to colors, on a wider range around them if they are equal."""
    from matplotlib.colors import LogNorm, Normalize

    if low == high:
        spread = abs(low) / 2 or 0.5
        low, high = (low / 2, high * 2) if log else (low - spread, high + spread)
    return LogNorm(low, high) if log else Normalize(low, high)


def wrapped(title: str, inches: float) -> str:
    """Break a title into lines that fit a figure of this width."""
    return "\n".join(textwrap.wrap(title, max(int(_LETTERS_PER_INCH * inches), 1)))


def with_unit(name: str, unit: str) -> str:
    """Format an axis label: "error (eV)"."""
    return f"{name} ({unit})" if unit else name


def plain_ticks(axis: "Axis") -> None:
    """Label a logarithmic axis of few decades, whose range is set, with numbers such as 0.2."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    # Over more than a decade the labels would overlap.
    subs = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0) if high < 10 * low else (1.0, 2.0, 5.0)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
