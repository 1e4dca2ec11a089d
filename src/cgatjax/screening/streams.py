"""What a screening predicts, part by part: structures that are read, or graphs of a store.

The shapes of the batches stand in the journal, for the last bits of a prediction may depend on
them: a run that goes on takes those of the run before.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Literal

import numpy as np

from cgatjax.data.batching import BatchBudget
from cgatjax.data.build_journal import crystal_digest
from cgatjax.data.datasets import Dataset
from cgatjax.errors import MismatchError
from cgatjax.inference.prediction import BatchRunner, embed_of, forward_of, graphs_of
from cgatjax.inference.predictor import Predictor
from cgatjax.screening.composition_filter import KEPT, REASONS, CompositionFilter
from cgatjax.screening.decorations import Advance, Found
from cgatjax.screening.ranked_parquet import Ranked
from cgatjax.screening.result_folder import Part
from cgatjax.structures.crystal import Crystal, Rejected


class _Network:
    """Predicts data sets one after another with few shapes of batches."""

    def __init__(self, predictor: Predictor, target: str, batch_size: int) -> None:
        embeds = predictor.reads_embeddings
        self.predictor, self.target = predictor, target
        self._function = embed_of if embeds else forward_of
        self._output = "embedding" if embeds else target
        self._runner = BatchRunner(
            predictor.members[:1] if embeds else predictor.members, batch_size
        )

    def go_on(self, done: Sequence[Part]) -> None:
        """Takes the shapes that the last part ended with."""
        if done:
            self._runner.budgets = [BatchBudget(*sizes) for sizes in done[-1].covers["budgets"]]

    def found(
        self,
        data: Dataset,
        covers: dict[str, Any],
        left_out: Counter[str],
        skipped: list[Rejected],
    ) -> Found:
        """Predicts one part."""
        ids, formulas = data.ids, data.formulas
        mean, std = np.empty(0), np.empty(0)
        if len(data):
            outputs = self._runner(data, self._function)[self._output]
            mean, std = self.predictor.moments(self.target, outputs)

        def rows(positions: np.ndarray) -> Ranked:
            return Ranked(
                ids=[ids[p] for p in positions],
                prototypes=[""] * len(positions),
                formulas=[formulas[p] for p in positions],
                elements=[()] * len(positions),
                mean=mean[positions],
                std=std[positions],
                unit=self.predictor.units[self.target],
                std_note=self.predictor.std_note(self.target),
            )

        budgets = [list(budget) for budget in self._runner.budgets]
        return Found(
            covers={**covers, "budgets": budgets},
            seen=covers["to"] - covers["from"],
            left_out=left_out,
            mean=mean,
            std=std,
            rows=rows,
            skipped=skipped,
        )


class Stored:
    """The crystals of a store, whose graphs are made already."""

    def __init__(
        self,
        predictor: Predictor,
        target: str,
        data: Dataset,
        keep: CompositionFilter,
        part_rows: int,
        batch_size: int,
    ) -> None:
        """Nothing is read yet.

        Raises:
          MismatchError: graphs made with other options, or elements without a vector.
        """
        predictor.model.check_graphs(data, "the crystals to screen")
        self.data, self.keep, self.part_rows = data, keep, part_rows
        self.total: int | None = len(data)
        self._network = _Network(predictor, target, batch_size)

    def describe(self) -> list[dict[str, Any]]:
        """There are no prototypes."""
        return []

    def found(self, done: Sequence[Part], advance: Advance) -> Iterator[Found]:
        """The parts after the finished ones."""
        self._network.go_on(done)
        first = int(done[-1].covers["to"]) if done else 0
        for start in range(first, len(self.data), self.part_rows):
            rows = np.arange(start, min(start + self.part_rows, len(self.data)))
            part = self.data.select(rows)
            codes = self._codes(part)
            left_out = Counter(REASONS[code] for code in codes[codes != KEPT].tolist())
            chosen = part.select(codes == KEPT)
            covers = {"from": start, "to": start + len(part)}
            yield self._network.found(chosen, covers, left_out, [])
            advance(len(part))

    def _codes(self, part: Dataset) -> np.ndarray:
        """The first reason against each crystal."""
        if self.keep == CompositionFilter():
            return np.zeros(len(part), np.int64)
        arrays = part.take(np.arange(len(part)))
        ends = np.cumsum(arrays.n_node)
        spans = [slice(end - n, end) for end, n in zip(ends, arrays.n_node, strict=True)]
        return np.array(
            [
                _code(self.keep, arrays.atomic_numbers[span], arrays.node_multiplicity[span])
                for span in spans
            ]
        )


class Structures:
    """A stream of crystals, read part by part."""

    total: int | None = None

    def __init__(
        self,
        predictor: Predictor,
        target: str,
        read: Callable[[], Iterator[Crystal | Rejected]],
        keep: CompositionFilter,
        part_rows: int,
        batch_size: int,
        on_error: Literal["raise", "skip"],
    ) -> None:
        """Nothing is read yet; `read` begins at the beginning each time."""
        self.keep, self.part_rows, self.on_error = keep, part_rows, on_error
        self.read, self._network = read, _Network(predictor, target, batch_size)

    def describe(self) -> list[dict[str, Any]]:
        """There are no prototypes."""
        return []

    def found(self, done: Sequence[Part], advance: Advance) -> Iterator[Found]:
        """The parts after the finished ones, which are read again and compared.

        Raises:
          MismatchError: the input is not what the finished parts were made of.
          StructureError: a crystal cannot be used, with on_error="raise".
        """
        stream = self.read()
        for part in done:
            items = list(islice(stream, part.seen))
            if _digest(items) != part.covers["digest"]:
                raise MismatchError(
                    f"the input has changed since the screening began: its structures "
                    f"{part.covers['from']} to {part.covers['to']} are not the same; "
                    "begin anew in another folder"
                )
        start = int(done[-1].covers["to"]) if done else 0
        self._network.go_on(done)
        while items := list(islice(stream, self.part_rows)):
            yield self._predicted(items, start)
            start += len(items)
            advance(len(items))

    def _predicted(self, items: list[Crystal | Rejected], start: int) -> Found:
        left_out, skipped = Counter[str](), list[Rejected]()
        chosen = list[Crystal]()
        for item in items:
            if isinstance(item, Rejected):
                if self.on_error == "raise":
                    raise item.error()
                skipped.append(item)
                continue
            code = _code(self.keep, item.atomic_numbers, np.ones(item.n_sites))
            if code == KEPT:
                chosen.append(item)
            else:
                left_out[REASONS[code]] += 1
        predictor = self._network.predictor
        data, unusable = graphs_of(predictor, chosen, on_error=self.on_error)
        covers = {"from": start, "to": start + len(items), "digest": _digest(items)}
        return self._network.found(data, covers, left_out, [*skipped, *unusable])


def _code(keep: CompositionFilter, numbers: np.ndarray, amounts: np.ndarray) -> int:
    """The first reason against a crystal; each of its elements is a class."""
    distinct, member = np.unique(numbers, return_inverse=True)
    counts = np.bincount(member.ravel(), weights=amounts).astype(np.int64)
    return int(keep.codes(distinct[None], counts)[0])


def _digest(items: Sequence[Crystal | Rejected]) -> str:
    """Hash of what was read, in order."""
    digest = hashlib.sha256()
    for item in items:
        is_crystal = isinstance(item, Crystal)
        digest.update(crystal_digest(item) if is_crystal else repr(item).encode())  # type: ignore[arg-type]
    return digest.hexdigest()
