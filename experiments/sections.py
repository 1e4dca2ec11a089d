"""What an experiment shows: paragraphs, tables and figures, kept as files, read by the report.

OUT/NAME/section.json   texts and tables        OUT/NAME/FIGURE.png and .pdf
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cgatjax.storage import write_durably

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
        """Writes the section, and its figures as PNG and PDF."""
        folder.mkdir(parents=True, exist_ok=True)
        for (stem, _), figure in zip(self.figures, drawn, strict=True):
            figure.savefig(folder / f"{stem}.png")
            figure.savefig(folder / f"{stem}.pdf")
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
    """The mean over seeds, with the sample standard deviation where there are several."""
    mean = sum(values) / len(values)
    if len(values) == 1:
        return f"{mean:.{digits}g}"
    spread = (sum((v - mean) ** 2 for v in values) / (len(values) - 1)) ** 0.5
    return f"{mean:.{digits}g} ± {spread:.2g}"
