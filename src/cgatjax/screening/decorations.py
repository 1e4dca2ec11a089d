"""Candidates of a screening in chunks: decorations of prototypes.

The chunks of a candidate source are always the same, so that a resumed screening continues after
the last finished chunk and gives the results of an uninterrupted one.
"""

import hashlib
import itertools
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np

from cgatjax.errors import ConfigError, InputError, MismatchError, StructureError
from cgatjax.inference.predictor import Predictor
from cgatjax.model.model import Model
from cgatjax.screening.composition_filter import (
    EQUIVALENT,
    KEPT,
    REASONS,
    CompositionFilter,
    equivalent_to_another,
)
from cgatjax.screening.decorated_batches import DecoratedPredictor
from cgatjax.screening.hit_rows import HitRows
from cgatjax.screening.ranked_parquet import Rows
from cgatjax.screening.result_folder import Chunk
from cgatjax.screening.templates import (
    SOURCE,
    Assignments,
    Classes,
    Template,
    elements_of,
    split_prototypes,
    template_of,
)
from cgatjax.structures import (
    SYMBOLS,
    Crystal,
    Rejected,
    atomic_number,
    readable_formula,
    reduced_formula,
)
from cgatjax.structures.readers import read_crystals

BLOCK = 16384
"""Assignments filtered at a time; fewer in smaller chunks, which would be as long otherwise."""
MAX_BLOCKS = 256
"""Blocks after which a chunk ends, however few assignments passed: bounds what a kill can lose."""

Advance = Callable[[int], None]


@dataclass(frozen=True, eq=False, kw_only=True)
class ChunkPredictions:
    """Predictions of one chunk; other attributes as of `Chunk`.

    Attributes:
      mean, std: (predicted,) in the unit of the target.
      rows: makes the rows at given positions of these.
    """

    covers: dict[str, Any]
    seen: int
    left_out: Counter[str]
    mean: np.ndarray
    std: np.ndarray
    rows: Callable[[np.ndarray], Rows]
    skipped: list[Rejected] = field(default_factory=list)


@dataclass(frozen=True, eq=False, kw_only=True)
class Task:
    """Model, filters and sizes of a screening, for all sources of candidates.

    Attributes:
      predictor: model or ensemble.
      target: property to predict.
      filters: compositions to predict.
      chunk_rows: predicted candidates per chunk.
      batch_size: candidates per batch; None to choose it.
      hit_rows: maker of the rows of the results.
    """

    predictor: Predictor
    target: str
    filters: CompositionFilter
    chunk_rows: int
    batch_size: int | None
    hit_rows: HitRows

    def __post_init__(self) -> None:
        """Raise ConfigError for sizes below 1."""
        chunk_rows, batch_size = self.chunk_rows, self.batch_size
        if chunk_rows < 1 or (batch_size is not None and batch_size < 1):
            raise ConfigError(f"expected sizes of at least 1, got {chunk_rows=}, {batch_size=}")


class CandidateSource(ABC):
    """Source of candidates that predicts them chunk by chunk."""

    total: int | None = None
    """Number of candidates, None if unknown."""

    @abstractmethod
    def predict_chunks(self, done: Sequence[Chunk], advance: Advance) -> Iterator[ChunkPredictions]:
        """Predict the chunks after the finished ones; `advance` takes counts of candidates seen."""

    def describe(self) -> list[dict[str, Any]]:
        """Describe the prototypes for the report."""
        return []

    def crystals(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, Crystal]]:
        """Yield position and crystal of result rows, where coordinates are known."""
        return iter(())


class Decorations(CandidateSource):
    """All assignments of elements to the site classes of templates, as candidates."""

    def __init__(self, task: Task, templates: Sequence[tuple[Template, Assignments]]) -> None:
        self.task, self.templates = task, templates
        self.total = sum(assignments.n for _, assignments in templates)

    def describe(self) -> list[dict[str, Any]]:
        """Describe the site classes, elements and sizes of each prototype."""
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

    def crystals(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, Crystal]]:
        """Yield the crystals of result rows, in the cells of their prototypes."""
        templates = {template.crystal.id: template for template, _ in self.templates}
        for position, row in enumerate(rows):
            numbers = np.array([atomic_number(symbol) for _, symbol in row["elements"]])
            yield position, templates[row["prototype"]].decorated(numbers)

    def predict_chunks(self, done: Sequence[Chunk], advance: Advance) -> Iterator[ChunkPredictions]:
        """Predict the chunks after the finished ones."""
        first, start = 0, 0
        if done:
            last, names = done[-1].covers, [t.crystal.id for t, _ in self.templates]
            first, start = names.index(last["prototype"]), int(last["to"])
        for template, assignments in self.templates[first:]:
            if start < assignments.n:
                yield from self._predict_template(template, assignments, start, advance)
            start = 0

    def _predict_template(
        self, template: Template, assignments: Assignments, start: int, advance: Advance
    ) -> Iterator[ChunkPredictions]:
        task = self.task
        predict = DecoratedPredictor(
            task.predictor, template, task.target, task.batch_size, assignments
        )
        while start < assignments.n:
            stop, numbers, left_out = self._filtered_chunk(template, assignments, start)
            mean, std = predict(numbers, _scaled(len(numbers), stop - start, advance))
            if not len(numbers):
                advance(stop - start)
            yield ChunkPredictions(
                covers={"prototype": template.crystal.id, "from": start, "to": stop},
                seen=stop - start,
                left_out=left_out,
                mean=mean,
                std=std,
                rows=partial(self._rows, template, numbers, mean, std),
            )
            start = stop

    def _filtered_chunk(
        self, template: Template, assignments: Assignments, start: int
    ) -> tuple[int, np.ndarray, Counter[str]]:
        """Return the end of the chunk, its assignments that pass, and counts of those left out."""
        left_out, passed, stop = Counter[str](), [np.empty((0, len(template.own)), np.uint8)], start
        size = min(BLOCK, self.task.chunk_rows)
        for _ in range(MAX_BLOCKS):
            block = assignments.at(stop, min(stop + size, assignments.n))
            stop += len(block)
            codes = self.task.filters.codes(block, template.counts)
            kept = np.flatnonzero(codes == KEPT)
            repeated = equivalent_to_another(block[kept], assignments.pools, template.permutations)
            codes[kept[repeated]] = EQUIVALENT
            for code, n in enumerate(np.bincount(codes)):
                if code != KEPT:
                    left_out[REASONS[code]] += int(n)
            passed.append(block[codes == KEPT])
            if stop == assignments.n or sum(map(len, passed)) >= self.task.chunk_rows:
                break
        return stop, np.concatenate(passed), +left_out

    def _rows(
        self,
        template: Template,
        numbers: np.ndarray,
        mean: np.ndarray,
        std: np.ndarray,
        positions: np.ndarray,
    ) -> Rows:
        chosen = numbers[positions]
        return self.task.hit_rows(
            ids=[template.name_of(row) for row in chosen],
            formulas=[readable_formula(reduced_formula(row, template.counts)) for row in chosen],
            mean=mean[positions],
            std=std[positions],
            prototype=template.crystal.id,
            elements=[
                list(zip(template.classes, (SYMBOLS[z] for z in row), strict=True))
                for row in chosen.tolist()
            ],
        )


def _scaled(predicted: int, seen: int, advance: Advance) -> Advance:
    """Return a function of predicted candidates that reports those seen, in proportion."""
    done = reported = 0

    def report(n: int) -> None:
        nonlocal done, reported
        done += n
        share = seen * done // predicted
        advance(share - reported)
        reported = share

    return report


Elements = Mapping[str, Sequence[str] | Literal["all"]]
"""Site class (name, number from 1, or "*" for all others) -> element symbols, or "all"."""


def templates_of(
    predictor: Predictor, inputs: Any, elements: Elements, by: Classes
) -> list[tuple[Template, Assignments]]:
    """Make the templates of prototypes, with the assignments of elements to their site classes.

    Raises:
      StructureError: a prototype cannot be used.
      InputError: unknown elements or site classes, or two prototypes with the same id.
      MismatchError: an element has no vector in the element table.
    """
    types, others = split_prototypes(inputs)
    templates, seen = [template_of(t, predictor.graph_config, by) for t in types], set[str]()
    seen |= {template.crystal.id for template in templates}
    for item in read_crystals(others) if others is not None else ():
        if isinstance(item, Rejected):
            raise StructureError(
                f"prototype {item.id or item.source!r}: expected an ordered crystal: {item.reason};"
                " correct it or leave it out"
            )
        if item.id in seen:
            raise InputError(f"two prototypes have the id {item.id!r}; give them different ids")
        seen.add(item.id)
        templates.append(Template.of(item, predictor.graph_config, by))
    pools = _pools(templates, elements, predictor.model)
    return [(t, Assignments(pool)) for t, pool in zip(templates, pools, strict=True)]


def _pools(
    templates: Sequence[Template], elements: Elements, model: Model
) -> list[tuple[tuple[int, ...], ...]]:
    known = tuple(np.flatnonzero(model.element_table.known).tolist())
    lists = {name: known if v == "all" else elements_of(v) for name, v in elements.items()}
    missing = model.element_table.missing(np.array([*itertools.chain(*lists.values())]))
    if missing:
        raise MismatchError(
            f"the element table {model.element_table.name!r} has no vector for {missing}; remove "
            "these elements from the lists"
        )
    used: set[str] = set()
    pools = []
    for template in templates:
        pool = []
        for number, name in enumerate(template.classes, 1):
            key = next((k for k in (name, str(number), "*") if k in lists), None)
            used |= {key} if key else set()
            if key is None and template.crystal.source == SOURCE:
                raise InputError(
                    f"{template.crystal.id}: expected elements for each of its classes of sites "
                    f"{', '.join(template.classes)}, got none for {name}"
                )
            own = (int(template.own[number - 1]),)
            pool.append(lists[key] if key else own)
        pools.append(tuple(pool))
    unused = sorted(set(lists) - used)
    if unused:
        found = sorted({name for t in templates for name in t.classes})
        raise InputError(
            f"expected a site class, one of {found}, its number from 1, or '*' for all others; "
            f"got {unused[0]!r}"
        )
    everything = sorted({z for pool in pools for choices in pool for z in choices})
    if absent := model.element_table.missing(np.array(everything)):
        raise MismatchError(
            f"the element table {model.element_table.name!r} has no vector for {absent} of a "
            "prototype; assign other elements to their site class"
        )
    return pools


def templates_digest(templates: Sequence[tuple[Template, Assignments]]) -> str:
    """Hash templates and lists of elements."""
    digest = hashlib.sha256()
    for template, assignments in templates:
        elements = [[SYMBOLS[z] for z in pool] for pool in assignments.pools]
        digest.update(repr((template.crystal.id, template.classes, elements)).encode())
        graph = template.graph
        nodes = (template.node_class, template.counts, graph.node_multiplicity)
        for values in (*nodes, graph.edge_center, graph.edge_neighbor, graph.edge_shell):
            digest.update(np.ascontiguousarray(values, np.int64).data)
        digest.update(np.ascontiguousarray(graph.edge_weight).data)
    return digest.hexdigest()[:16]
