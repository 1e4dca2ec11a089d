"""What every experiment offers to the command line."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from experiments.bench import Bench
from experiments.scale import Scale
from experiments.sections import Section
from experiments.specification import Cell

Rows = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A table or figure of the paper.

    Attributes:
      name: on the command line, and of its folder.
      title: with the table or figure that it repeats.
      cells: the rows of its results table at a scale; empty if it trains nothing.
      show: (scale, bench, rows that are finished) -> the section, and its figures in their order.
      perform: (scale, bench, minutes) does what is no grid of trainings that are known beforehand,
        and keeps it; None if there is nothing of the kind.
    """

    name: str
    title: str
    cells: Callable[[Scale], list[Cell]]
    show: Callable[[Scale, Bench, Rows], tuple[Section, list[Any]]]
    perform: Callable[[Scale, Bench, float | None], None] | None = None

    def section(self, scale: Scale, **content: Any) -> Section:
        """A section with the entries that are the same for every experiment."""
        command = f"python -m experiments run {self.name} --scale {scale.name}"
        if scale.name != "smoke":
            command += " --data FOLDER"
        return Section(
            name=self.name,
            title=self.title,
            command=f"{command} --out FOLDER",
            differs=scale.about,
            **content,
        )
