"""What a screening predicts, part by part: here, decorations of prototypes.

A source always makes the same parts, so that a run that goes on after a kill begins with the part
after the last finished one, and ends as an unbroken one does.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from cgatjax.inference.predictor import Predictor
from cgatjax.screening.assignments import Assignments
from cgatjax.screening.composition_filter import (
    EQUIVALENT,
    KEPT,
    REASONS,
    CompositionFilter,
    equivalent_to_another,
)
from cgatjax.screening.decorated_batches import DecoratedPredictor
from cgatjax.screening.ranked_parquet import Ranked
from cgatjax.screening.result_folder import Part
from cgatjax.screening.templates import Template
from cgatjax.structures.crystal import Rejected
from cgatjax.structures.elements import SYMBOLS, reduced_formula

BLOCK = 4096
"""Assignments that are filtered together."""
MOST_BLOCKS = 256
"""A part ends after so many, however few passed."""
STEPS = 8
"""Batches predicted between two looks at the clock and at signals."""

Advance = Callable[[int], None]


@dataclass(frozen=True, eq=False, kw_only=True)
class Found:
    """The predictions of one part; attributes as of `Part`.

    Attributes:
      mean, std: (predicted,) in the target's unit.
      rows: the ranked rows at some positions of these.
    """

    covers: dict[str, Any]
    seen: int
    left_out: Counter[str]
    mean: np.ndarray
    std: np.ndarray
    rows: Callable[[np.ndarray], Ranked]
    skipped: list[Rejected] = field(default_factory=list)


class Source(Protocol):
    """Where candidates come from."""

    total: int | None
    """Number of candidates, None if unknown."""

    def found(self, done: Sequence[Part], advance: Advance) -> Iterator[Found]:
        """The parts after the finished ones, in order; calls `advance` with candidates seen."""

    def describe(self) -> list[dict[str, Any]]:
        """What stands in the report of each prototype."""


class Decorations:
    """All assignments of elements to the classes of templates."""

    def __init__(
        self,
        predictor: Predictor,
        target: str,
        templates: Sequence[tuple[Template, Assignments]],
        keep: CompositionFilter,
        part_rows: int,
        batch_size: int | None,
    ) -> None:
        """Nothing is computed yet."""
        self.predictor, self.target, self.templates = predictor, target, templates
        self.keep, self.part_rows, self.batch_size = keep, part_rows, batch_size
        self.total: int | None = sum(assignments.n for _, assignments in templates)

    def describe(self) -> list[dict[str, Any]]:
        """Classes, elements and numbers of each prototype."""
        return [
            {
                "id": template.crystal.id,
                "classes": dict(zip(template.classes, template.counts.tolist(), strict=True)),
                "elements": [[SYMBOLS[z] for z in pool] for pool in assignments.pools],
                "assignments": assignments.n,
                "nodes": template.graph.n_nodes,
                "edges": template.graph.n_edges,
                "equivalent_exchanges": len(template.permutations),
            }
            for template, assignments in self.templates
        ]

    def found(self, done: Sequence[Part], advance: Advance) -> Iterator[Found]:
        """The parts after the finished ones."""
        first, start = 0, 0
        if done:
            last, names = done[-1].covers, [t.crystal.id for t, _ in self.templates]
            first, start = names.index(last["prototype"]), int(last["to"])
        for template, assignments in self.templates[first:]:
            if start < assignments.n:
                yield from self._of(template, assignments, start, advance)
            start = 0

    def _of(
        self, template: Template, assignments: Assignments, start: int, advance: Advance
    ) -> Iterator[Found]:
        predict = DecoratedPredictor(self.predictor, template, self.target, self.batch_size)
        while start < assignments.n:
            stop, numbers, left_out = self._chosen(template, assignments, start)
            mean, std = _in_steps(predict, numbers, stop - start, advance)

            def rows(
                positions: np.ndarray,
                numbers: np.ndarray = numbers,
                mean: np.ndarray = mean,
                std: np.ndarray = std,
            ) -> Ranked:
                moments = mean[positions], std[positions]
                return self._rows(template, numbers[positions], *moments)

            yield Found(
                covers={"prototype": template.crystal.id, "from": start, "to": stop},
                seen=stop - start,
                left_out=left_out,
                mean=mean,
                std=std,
                rows=rows,
            )
            start = stop

    def _chosen(
        self, template: Template, assignments: Assignments, start: int
    ) -> tuple[int, np.ndarray, Counter[str]]:
        """The end of the part that begins there, what passes in it, and what does not."""
        left_out, chosen, stop = Counter[str](), [np.empty((0, len(template.own)), np.uint8)], start
        for _ in range(MOST_BLOCKS):
            block = assignments.at(stop, min(stop + BLOCK, assignments.n))
            stop += len(block)
            codes = self.keep.codes(block, template.counts)
            kept = np.flatnonzero(codes == KEPT)
            again = equivalent_to_another(block[kept], assignments.pools, template.permutations)
            codes[kept[again]] = EQUIVALENT
            left_out += Counter(REASONS[code] for code in codes[codes != KEPT].tolist())
            chosen.append(block[codes == KEPT])
            if stop == assignments.n or sum(map(len, chosen)) >= self.part_rows:
                break
        return stop, np.concatenate(chosen), left_out

    def _rows(
        self, template: Template, numbers: np.ndarray, mean: np.ndarray, std: np.ndarray
    ) -> Ranked:
        return Ranked(
            ids=[template.name_of(row) for row in numbers],
            prototypes=[template.crystal.id] * len(numbers),
            formulas=[reduced_formula(row, template.counts) for row in numbers],
            elements=[
                list(zip(template.classes, (SYMBOLS[z] for z in row), strict=True))
                for row in numbers.tolist()
            ],
            mean=mean,
            std=std,
            unit=self.predictor.units[self.target],
            std_note=self.predictor.std_note(self.target),
        )


def _in_steps(
    predict: DecoratedPredictor, numbers: np.ndarray, seen: int, advance: Advance
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and std of all candidates; `advance` is called in between, with `seen` in total."""
    step = STEPS * predict.batch_size
    parts, told = [(np.empty(0), np.empty(0))], 0
    for start in range(0, len(numbers), step):
        parts.append(predict(numbers[start : start + step]))
        share = math.floor(seen * min(start + step, len(numbers)) / len(numbers))
        advance(share - told)
        told = share
    advance(seen - told)
    mean, std = (np.concatenate(values) for values in zip(*parts, strict=True))
    return mean, std
