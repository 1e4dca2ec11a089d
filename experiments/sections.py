"""What an experiment shows: paragraphs, tables and figures, kept as files, read by the report.

OUT/NAME/section.json   texts and tables        OUT/NAME/FIGURE.png and .pdf
OUT/NAME/table_0.csv    each table, as it is shown
"""

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cgatjax.runtime.atomic_files import write_durably

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FILE = "section.json"


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of texts.

    Attributes:
      caption: above it.
      header: names of the columns.
      rows: one text per column.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def csv(self) -> str:
        """The table as CSV, with its header."""
        text = io.StringIO(newline="")
        csv.writer(text).writerows([self.header, *self.rows])
        return text.getvalue()


@dataclass(frozen=True, kw_only=True)
class Section:
    """The results of one experiment.

    Attributes:
      name: of the experiment.
      title: with the table or figure of the paper that it repeats.
      command: what makes it.
      differs: what differs from the paper in data and scale.
      paragraphs: what was found, in words.
      tables: in their order.
      figures: (file name without ending, caption), in their order.
    """

    name: str
    title: str
    command: str
    differs: str
    paragraphs: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[tuple[str, str], ...] = field(default=())

    def save(self, folder: Path, drawn: Sequence["Figure"] = ()) -> None:
        """Writes the section, its tables as CSV, and its figures as PNG and PDF."""
        folder.mkdir(parents=True, exist_ok=True)
        for (stem, _), figure in zip(self.figures, drawn, strict=True):
            figure.savefig(folder / f"{stem}.png")
            figure.savefig(folder / f"{stem}.pdf")
        for number, table in enumerate(self.tables):
            write_durably(folder / f"table_{number}.csv", table.csv().encode())
        write_durably(folder / FILE, json.dumps(asdict(self), indent=1).encode())

    @classmethod
    def load(cls, folder: Path) -> "Section":
        """Reads what `save` wrote."""
        content: dict[str, Any] = json.loads((folder / FILE).read_text())
        tables = tuple(
            Table(
                caption=t["caption"],
                header=tuple(t["header"]),
                rows=tuple(tuple(row) for row in t["rows"]),
            )
            for t in content.pop("tables")
        )
        figures = tuple((stem, caption) for stem, caption in content.pop("figures"))
        paragraphs = tuple(content.pop("paragraphs"))
        return cls(**content, tables=tables, figures=figures, paragraphs=paragraphs)


def mean_and_spread(values: Sequence[float], digits: int = 3) -> str:
    """The mean over seeds, with the sample standard deviation where there are several.

    Both have the same decimals: those of the mean to so many digits, or more where the spread would
    vanish.

    >>> mean_and_spread([68.45, 67.7, 67.9])
    '68.0 ± 0.4'
    >>> mean_and_spread([0.7650, 0.7654]), mean_and_spread([184.0])
    ('0.7652 ± 0.0003', '184')
    """
    mean = sum(values) / len(values)
    if len(values) == 1:
        return f"{mean:.{digits}g}"
    spread = (sum((v - mean) ** 2 for v in values) / (len(values) - 1)) ** 0.5
    places = max(_decimals(mean, digits), _decimals(spread, 1))
    return f"{mean:.{places}f} ± {spread:.{places}f}"


def _decimals(value: float, digits: int) -> int:
    """Decimals that show a number to so many digits; 0 where none are needed, or it is 0."""
    if value == 0 or not math.isfinite(value):
        return 0
    return max(0, digits - 1 - math.floor(math.log10(abs(value))))
