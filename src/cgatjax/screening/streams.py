"""Candidates of a screening in chunks: structures read one by one, or graphs of a store.

The padding budgets of the batches are recorded in the journal and reused by a resumed screening,
because the last bits of a prediction may depend on them.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal

import numpy as np

from cgatjax.data.batching import BatchBudget
from cgatjax.data.build_log import crystal_digest
from cgatjax.data.datasets import Dataset
from cgatjax.errors import MismatchError
from cgatjax.inference.new_graphs import graphs_of
from cgatjax.inference.prediction import BATCH, BatchRunner
from cgatjax.model.training_record import unseen_elements
from cgatjax.screening.composition_filter import KEPT, REASONS, UNSEEN, CompositionFilter
from cgatjax.screening.decorations import Advance, CandidateSource, ChunkPredictions, Task
from cgatjax.screening.ranked_parquet import Rows
from cgatjax.screening.result_folder import Chunk
from cgatjax.structures import SYMBOLS, Crystal, Rejected, readable_formula


class _ChunkPredictor:
    """Predictor of one chunk after another, whose batches share few shapes."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._runner = BatchRunner(task.predictor.passes, task.batch_size or BATCH)

    def restore_budgets(self, done: Sequence[Chunk]) -> None:
        """Restore the padding budgets recorded with the last finished chunk."""
        if done:
            self._runner.budgets = [BatchBudget(*sizes) for sizes in done[-1].covers["budgets"]]

    def __call__(
        self, data: Dataset, covers: dict[str, Any], left_out: Counter[str], skipped: list[Rejected]
    ) -> ChunkPredictions:
        """Predict one chunk."""
        ids, formulas = data.ids, data.formulas
        mean, std = np.empty(0), np.empty(0)
        if len(data):
            mean, std = self.task.predictor.moments(self.task.target, self._runner(data), data)

        def rows(positions: np.ndarray) -> Rows:
            return self.task.hit_rows(
                ids=[ids[p] for p in positions],
                formulas=[readable_formula(formulas[p]) for p in positions],
                mean=mean[positions],
                std=std[positions],
            )

        budgets = [list(budget) for budget in self._runner.budgets]
        return ChunkPredictions(
            covers={**covers, "budgets": budgets},
            seen=covers["to"] - covers["from"],
            left_out=left_out,
            mean=mean,
            std=std,
            rows=rows,
            skipped=skipped,
        )


class StoredGraphs(CandidateSource):
    """Crystals of a store as candidates, whose graphs need not be made; without coordinates."""

    def __init__(self, task: Task, data: Dataset) -> None:
        """Check graph options and elements of the graphs, or raise MismatchError."""
        task.predictor.model.check_graphs(data, "the crystals to screen")
        self.task, self.data, self.total = task, data, len(data)
        self._predict = _ChunkPredictor(task)

    def predict_chunks(self, done: Sequence[Chunk], advance: Advance) -> Iterator[ChunkPredictions]:
        """Predict the chunks after the finished ones."""
        self._predict.restore_budgets(done)
        first = int(done[-1].covers["to"]) if done else 0
        for start in range(first, len(self.data), self.task.chunk_rows):
            rows = np.arange(start, min(start + self.task.chunk_rows, len(self.data)))
            chunk = self.data.select(rows)
            codes = self._codes(chunk)
            left_out = Counter(REASONS[code] for code in codes[codes != KEPT].tolist())
            covers = {"from": start, "to": start + len(chunk)}
            yield self._predict(chunk.select(codes == KEPT), covers, left_out, [])
            advance(len(chunk))

    def _codes(self, chunk: Dataset) -> np.ndarray:
        """Return the filter code of each crystal."""
        filters = self.task.filters
        if filters.replace(unseen=()) == CompositionFilter():
            if not filters.unseen:
                return np.zeros(len(chunk), np.int64)
            # The default: all crystals at once, several times faster than one by one.
            unseen = unseen_elements(chunk, np.isin(SYMBOLS, filters.unseen))
            return np.array([UNSEEN if symbols else KEPT for symbols in unseen], np.int64)
        arrays = chunk.take(np.arange(len(chunk)))
        ends = np.cumsum(arrays.n_node)
        spans = [slice(end - n, end) for end, n in zip(ends, arrays.n_node, strict=True)]
        return np.array(
            [
                _code(filters, arrays.atomic_numbers[span], arrays.node_multiplicity[span])
                for span in spans
            ]
        )


class StructureStream(CandidateSource):
    """Stream of crystals as candidates."""

    def __init__(
        self,
        task: Task,
        read: Callable[[], Iterator[Crystal | Rejected]],
        on_error: Literal["raise", "skip"],
    ) -> None:
        """Keep the options; `read` starts at the first crystal on each call."""
        self.task, self.read, self.on_error = task, read, on_error
        self._predict = _ChunkPredictor(task)

    def crystals(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, Crystal]]:
        """Yield the crystals of result rows, which are read again; the first of equal ids."""
        wanted = {row["id"]: position for position, row in enumerate(rows)}
        for item in self.read():
            if not wanted:
                break
            if isinstance(item, Crystal) and item.id in wanted:
                yield wanted.pop(item.id), item

    def predict_chunks(self, done: Sequence[Chunk], advance: Advance) -> Iterator[ChunkPredictions]:
        """Predict the chunks after the finished ones, which are read again and compared.

        Raises:
          MismatchError: the input differs from that of the finished chunks.
          StructureError: a crystal cannot be used, with on_error="raise".
        """
        stream = self.read()
        for chunk in done:
            items = list(islice(stream, chunk.seen))
            if _digest(items) != chunk.covers["digest"]:
                raise MismatchError(
                    f"expected the input of the finished chunks, but structures "
                    f"{chunk.covers['from']} to {chunk.covers['to']} have changed; start over in "
                    "another folder"
                )
        start = int(done[-1].covers["to"]) if done else 0
        self._predict.restore_budgets(done)
        while items := list(islice(stream, self.task.chunk_rows)):
            yield self._predict_items(items, start)
            start += len(items)
            advance(len(items))

    def _predict_items(self, items: list[Crystal | Rejected], start: int) -> ChunkPredictions:
        left_out, skipped = Counter[str](), list[Rejected]()
        passed = list[Crystal]()
        for item in items:
            if isinstance(item, Rejected):
                if self.on_error == "raise":
                    raise item.error(can_skip=True)
                skipped.append(item)
                continue
            code = _code(self.task.filters, item.atomic_numbers, np.ones(item.n_sites))
            if code == KEPT:
                passed.append(item)
            else:
                left_out[REASONS[code]] += 1
        data, unusable = graphs_of(self.task.predictor, passed, on_error=self.on_error)
        covers = {"from": start, "to": start + len(items), "digest": _digest(items)}
        return self._predict(data, covers, left_out, [*skipped, *unusable])


def _code(filters: CompositionFilter, numbers: np.ndarray, amounts: np.ndarray) -> int:
    """Return the filter code of a crystal, with each of its elements as a class."""
    distinct, member = np.unique(numbers, return_inverse=True)
    counts = np.bincount(member.ravel(), weights=amounts).astype(np.int64)
    return int(filters.codes(distinct[None], counts)[0])


def _digest(items: Sequence[Crystal | Rejected]) -> str:
    """Hash crystals and rejected entries in order."""
    digest = hashlib.sha256()
    for item in items:
        is_crystal = isinstance(item, Crystal)
        digest.update(crystal_digest(item) if is_crystal else repr(item).encode())  # type: ignore[arg-type]
    return digest.hexdigest()
