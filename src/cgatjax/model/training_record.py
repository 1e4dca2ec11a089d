"""Record of the crystals that a model was trained on, and of the trainings themselves.

The record travels in the model file. Predictions can then name elements that the network has never
seen, and evaluations can count the crystals that it was trained on, under whatever id.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from cgatjax.data.datasets import Crystals
from cgatjax.graphs.graph_arrays import GraphArrays
from cgatjax.graphs.hashes import formula_hashes, hash_arrays
from cgatjax.runtime.progress import progress
from cgatjax.structures import SYMBOLS

BLOCK = 4096
"""Crystals read at a time."""
SHOWN_FROM = 100_000
"""Size of a data set from which the progress of hashing is shown; below, it takes seconds."""
Labeled = tuple[Crystals, Sequence[str]]
"""Data set, and the targets of which a crystal must have a value to be trained on."""
HASH_BITS = 48
"""Bits kept of each hash: a third less to store, and a crystal is taken for one of a million others
by accident with a probability of 4e-9."""
SeenBy = Literal["graph", "formula"]
THE_MODEL = "the model"
"""Name of a model that was not published."""


class CrystalHashes(NamedTuple):
    """Hashes of crystals.

    Attributes:
      graphs: uint64, the lowest `HASH_BITS` bits of graph hashes (`cgatjax.graphs.hashes`).
      formulas: those of hashes of the reduced formulas.
    """

    graphs: np.ndarray
    formulas: np.ndarray

    @classmethod
    def none(cls) -> "CrystalHashes":
        """Return the hashes of no crystal."""
        return cls(np.zeros(0, np.uint64), np.zeros(0, np.uint64))

    def of(self, by: SeenBy) -> np.ndarray:
        """Return the hashes of one kind."""
        return self.graphs if by == "graph" else self.formulas


def union(sets: Iterable[CrystalHashes]) -> CrystalHashes:
    """Return the sorted distinct hashes of several sets of crystals."""
    columns = zip(CrystalHashes.none(), *sets, strict=True)
    return CrystalHashes(*(np.unique(np.concatenate(column)) for column in columns))


def _no_elements() -> np.ndarray:
    return np.zeros(len(SYMBOLS), np.int64)


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainingRecord:
    """Record of training, validation and test sets, pre-training included.

    Attributes:
      training: (104,) int64, number of training crystals with each element, by atomic number.
      pretraining: the same for all earlier trainings; None if they are unknown, as for weights of
        the PyTorch code.
      train: sorted distinct hashes of all known training crystals.
      valid: those of validation crystals.
      test: those of test crystals, where a training was given a test set.
      stages: all known trainings, the first one first: plain values that describe data, options
        and versions.
    """

    training: np.ndarray = field(default_factory=_no_elements)
    pretraining: np.ndarray | None = field(default_factory=_no_elements)
    train: CrystalHashes = field(default_factory=CrystalHashes.none)
    valid: CrystalHashes = field(default_factory=CrystalHashes.none)
    test: CrystalHashes = field(default_factory=CrystalHashes.none)
    stages: tuple[Mapping[str, Any], ...] = ()

    @property
    def unseen(self) -> np.ndarray | None:
        """(104,) bool, True for elements in no training crystal; None if that is unknown."""
        if self.pretraining is None or not (self.training + self.pretraining).any():
            return None
        return self.training + self.pretraining == 0

    @property
    def name(self) -> str:
        """Name under which the model was published, if it was not trained further."""
        last = self.stages[-1] if self.stages else {}
        return str(last.get("published", THE_MODEL))

    @classmethod
    def of(
        cls,
        before: "TrainingRecord | None",
        train: Sequence[Labeled],
        valid: Sequence[Labeled],
        test: Sequence[Labeled] = (),
        *,
        stage: Mapping[str, Any] | None = None,
        show_progress: bool | None = None,
    ) -> "TrainingRecord":
        """Record a training that continues from an earlier one.

        Args:
          before: the record of the weights that the training starts from; None if it is unknown,
            an empty one for random weights.
          train: the training sets.
          valid: the validation sets.
          test: the test sets, which are only remembered.
          stage: description of the training, plain values.
          show_progress: show the progress of hashing large data sets; by default in terminals and
            notebooks.
        """
        trained, validated, tested = (
            [_summary(data, tuple(targets), show_progress) for data, targets in sets]
            for sets in (train, valid, test)
        )
        old = before or cls(pretraining=None)
        earlier = None if old.pretraining is None else old.pretraining + old.training
        return cls(
            training=sum((counts for counts, _ in trained), _no_elements()),
            pretraining=earlier,
            train=union([old.train, *(hashes for _, hashes in trained)]),
            valid=union([old.valid, *(hashes for _, hashes in validated)]),
            test=union([old.test, *(hashes for _, hashes in tested)]),
            stages=(*old.stages, *([] if stage is None else [stage])),
        )

    def with_stage(self, stage: Mapping[str, Any]) -> "TrainingRecord":
        """Return the record with one more stage."""
        return dataclasses.replace(self, stages=(*self.stages, stage))


def unseen_elements(data: Crystals, unseen: np.ndarray) -> list[tuple[str, ...]]:
    """List the elements of each crystal that are marked in `unseen` (104,), by atomic number."""
    found: list[tuple[str, ...]] = []
    for _, arrays in _blocks(data, np.arange(len(data))):
        pairs = _elements_by_crystal(arrays)
        here: list[tuple[str, ...]] = [()] * len(arrays.n_node)
        for crystal, number in pairs[unseen[pairs[:, 1]]].tolist():
            here[crystal] += (SYMBOLS[number],)
        found += here
    return found


def crystal_hashes(data: Crystals) -> CrystalHashes:
    """Compute the hashes of crystals, in their order: (n,) each."""
    return _counts_and_hashes(data, np.arange(len(data)), None)[1]


_summaries: WeakKeyDictionary[Crystals, dict[tuple[str, ...], tuple[np.ndarray, CrystalHashes]]]
_summaries = WeakKeyDictionary()


def _summary(
    data: Crystals, targets: tuple[str, ...], show_progress: bool | None
) -> tuple[np.ndarray, CrystalHashes]:
    """Count the elements and hash the crystals with a value of a target."""
    # Kept as long as the data set, so that the members of an ensemble share it.
    known = _summaries.setdefault(data, {})
    if targets not in known:
        labeled = np.any([np.isfinite(data.target(t)) for t in targets], axis=0)
        known[targets] = _counts_and_hashes(data, np.flatnonzero(labeled), show_progress)
    return known[targets]


def _counts_and_hashes(
    data: Crystals, rows: np.ndarray, show_progress: bool | None
) -> tuple[np.ndarray, CrystalHashes]:
    counts, hashes = _no_elements(), [CrystalHashes.none()]
    shown = show_progress if len(rows) >= SHOWN_FROM else False
    with progress("graph hashes", len(rows), shown=shown) as advance:
        for block, arrays in _blocks(data, rows):
            counts += np.bincount(_elements_by_crystal(arrays)[:, 1], minlength=len(SYMBOLS))
            graphs = hash_arrays(arrays, with_elements=True, reduced=data.reduced)
            hashes.append(CrystalHashes(*map(_shortened, (graphs, formula_hashes(arrays)))))
            advance(len(block), "")
    return counts, CrystalHashes(*map(np.concatenate, zip(*hashes, strict=True)))


def _shortened(hashes: np.ndarray) -> np.ndarray:
    """Keep the lowest bits of hashes."""
    return hashes & np.uint64(2**HASH_BITS - 1)


def _blocks(data: Crystals, rows: np.ndarray) -> Iterator[tuple[np.ndarray, GraphArrays]]:
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        yield block, data.take(block)


def _elements_by_crystal(arrays: GraphArrays) -> np.ndarray:
    """Return the distinct (crystal, atomic number) pairs, (pairs, 2) int64, sorted."""
    size = len(SYMBOLS)
    owner = np.repeat(np.arange(len(arrays.n_node)), arrays.n_node)
    keys = np.unique(owner * size + arrays.atomic_numbers)
    return np.stack([keys // size, keys % size], 1)
