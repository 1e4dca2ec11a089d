"""Section of the report: texts, tables and figures of one experiment, and their files.

OUT/NAME/section.json   texts and tables        OUT/NAME/FIGURE.png and .pdf
OUT/NAME/table_0.csv    tables, as shown
"""

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from cgatjax.runtime.files import write_durably

FILE = "section.json"


class Table(NamedTuple):
    """Table of texts."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def csv(self) -> str:
        """Return the table as CSV with its header."""
        text = io.StringIO(newline="")
        csv.writer(text).writerows([self.header, *self.rows])
        return text.getvalue()


class Figure(NamedTuple):
    """Figure with the stem of its file name; no drawing (of matplotlib) after loading."""

    name: str
    caption: str
    drawing: Any = None


@dataclass(frozen=True, kw_only=True)
class Content:
    """Results of an experiment as the report shows them.

    Attributes:
      paragraphs: findings in words.
      tables: tables, in order.
      figures: figures, in order.
    """

    paragraphs: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()


@dataclass(frozen=True, kw_only=True)
class Section(Content):
    """Content with its heading.

    Attributes:
      name: name of the experiment.
      title: title with the reproduced table or figure of the paper.
      command: command that makes the section.
      differs: differences from the paper in data and scale.
    """

    name: str
    title: str
    command: str
    differs: str

    def save(self, folder: Path) -> None:
        """Write the section as JSON, its tables as CSV, and its figures as PNG and PDF."""
        folder.mkdir(parents=True, exist_ok=True)
        for figure in self.figures:
            figure.drawing.savefig(folder / f"{figure.name}.png")
            figure.drawing.savefig(folder / f"{figure.name}.pdf")
        for number, table in enumerate(self.tables):
            write_durably(folder / f"table_{number}.csv", table.csv().encode())
        tables = [table._asdict() for table in self.tables]
        figures = [(figure.name, figure.caption) for figure in self.figures]
        content = {**vars(self), "tables": tables, "figures": figures}
        write_durably(folder / FILE, json.dumps(content, indent=1).encode())

    @classmethod
    def load(cls, folder: Path) -> "Section":
        """Read a section that `save` wrote, without drawings."""
        content: dict[str, Any] = json.loads((folder / FILE).read_text())
        tables = [Table(**table) for table in content.pop("tables")]
        figures = [Figure(*figure) for figure in content.pop("figures")]
        return cls(**content, tables=tables, figures=figures)


def mean_and_spread(values: Sequence[float], digits: int = 3) -> str:
    """Format a mean over seeds, with the sample standard deviation if there are several.

    Both have the same decimals: those of the mean with `digits` significant digits, or more if the
    standard deviation would be shown as zero. An empty sequence is shown as an ellipsis.

    >>> mean_and_spread([68.45, 67.7, 67.9])
    '68.0 ± 0.4'
    >>> mean_and_spread([0.7650, 0.7654]), mean_and_spread([184.0]), mean_and_spread([])
    ('0.7652 ± 0.0003', '184', '…')
    """
    if not values:
        return "…"
    mean = sum(values) / len(values)
    if len(values) == 1:
        return f"{mean:.{digits}g}"
    spread = (sum((v - mean) ** 2 for v in values) / (len(values) - 1)) ** 0.5
    spread = spread if spread > 1e-9 * abs(mean) else 0.0  # equal up to rounding
    places = max(_decimals(mean, digits), _decimals(spread, 1))
    return f"{mean:.{places}f} ± {spread:.{places}f}"


def _decimals(value: float, digits: int) -> int:
    """Decimals that show a number with this many significant digits; 0 for a value of 0."""
    if value == 0 or not math.isfinite(value):
        return 0
    return max(0, digits - 1 - math.floor(math.log10(abs(value))))
