"""What all figures share: an empty figure, colors, labels with units, readable ticks.

matplotlib is loaded when a figure is made. Figures are made without pyplot, so that nothing needs a
display and nobody else's figures are touched; a notebook shows them all the same.
"""

import functools
import io
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

COLORS = ("#4C72B0", "#DD8452", "#55A868", "#C44E52", "#8172B3", "#937860")
"""One for each line or bar, told apart by color-blind people, too."""
_LETTERS_PER_INCH = 9.5
"""Of a title in its usual size."""


def new_figure(width: float, height: float, panels: int = 1) -> tuple["Figure", list["Axes"]]:
    """A figure in inches with panels side by side, without their upper and right frames."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = _figure_class()(figsize=(width, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = [figure.add_subplot(1, panels, i + 1) for i in range(panels)]
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
    return figure, axes


@functools.cache
def _figure_class() -> type["Figure"]:
    """A figure that notebooks show; for plain ones they have to have seen pyplot."""
    from matplotlib.figure import Figure

    class NotebookFigure(Figure):
        def _repr_png_(self) -> bytes:
            image = io.BytesIO()
            self.savefig(image, format="png")
            return image.getvalue()

    return NotebookFigure


def colors(n: int) -> list[str]:
    """The first n colors, from the first again where they run out."""
    return [COLORS[i % len(COLORS)] for i in range(n)]


def wrapped(title: str, inches: float) -> str:
    """A title broken into lines that fit a figure of this width."""
    return "\n".join(textwrap.wrap(title, max(int(_LETTERS_PER_INCH * inches), 1)))


def with_unit(name: str, unit: str) -> str:
    """The label of an axis: "error (eV)"."""
    return f"{name} ({unit})" if unit else name


def plain_ticks(axis: "Axis") -> None:
    """Numbers like 0.2 on a logarithmic axis that spans less than a decade or two."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
