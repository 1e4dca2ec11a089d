"""Record of the crystals that a model was trained on: element counts and graph hashes.

The record travels in the model file. Predictions can then name elements that the network has never
seen, and evaluations can count the crystals that it was trained on, under whatever id.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import numpy as np

from cgatjax.data.datasets import Crystals
from cgatjax.graphs.graph_arrays import GraphArrays
from cgatjax.graphs.hashes import hash_arrays
from cgatjax.runtime.progress import progress
from cgatjax.structures.elements import SYMBOLS

BLOCK = 4096
"""Crystals read at a time."""
SHOWN_FROM = 100_000
"""Size of a data set from which the progress of hashing is shown; below, it takes seconds."""
Labeled = tuple[Crystals, Sequence[str]]
"""Data set, and the targets of which a crystal must have a value to be trained on."""


def _no_elements() -> np.ndarray:
    return np.zeros(len(SYMBOLS), np.int64)


def _no_hashes() -> np.ndarray:
    return np.zeros(0, np.uint64)


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainingRecord:
    """Record of training and validation sets, pre-training included.

    Attributes:
      training: (104,) int64, number of training crystals with each element, by atomic number.
      pretraining: the same for all earlier trainings; None if they are unknown, as for weights of
        the PyTorch code.
      train_hashes: (n,) sorted uint64, graph hashes of all known training crystals.
      valid_hashes: (n,) sorted uint64, those of validation crystals.
    """

    training: np.ndarray = field(default_factory=_no_elements)
    pretraining: np.ndarray | None = field(default_factory=_no_elements)
    train_hashes: np.ndarray = field(default_factory=_no_hashes)
    valid_hashes: np.ndarray = field(default_factory=_no_hashes)

    @property
    def unseen(self) -> np.ndarray | None:
        """(104,) bool, True for elements in no training crystal; None if that is unknown."""
        if self.pretraining is None or not (self.training + self.pretraining).any():
            return None
        return self.training + self.pretraining == 0

    @classmethod
    def of(
        cls,
        before: "TrainingRecord | None",
        train: Sequence[Labeled],
        valid: Sequence[Labeled],
        *,
        show_progress: bool | None = None,
    ) -> "TrainingRecord":
        """Record a training that continues from an earlier one.

        Args:
          before: the record of the weights that the training starts from; None if it is unknown,
            an empty one for random weights.
          train: the training sets.
          valid: the validation sets.
          show_progress: show the progress of hashing large data sets; by default in terminals and
            notebooks.
        """
        trained, validated = (
            [_summary(data, tuple(targets), show_progress) for data, targets in sets]
            for sets in (train, valid)
        )
        old = before or cls(pretraining=None)
        earlier = None if old.pretraining is None else old.pretraining + old.training
        return cls(
            training=sum((counts for counts, _ in trained), _no_elements()),
            pretraining=earlier,
            train_hashes=_union([old.train_hashes, *(hashes for _, hashes in trained)]),
            valid_hashes=_union([old.valid_hashes, *(hashes for _, hashes in validated)]),
        )


def unseen_elements(data: Crystals, unseen: np.ndarray) -> list[tuple[str, ...]]:
    """List the elements of each crystal that are marked as unseen, by atomic number.

    Args:
      data: the crystals.
      unseen: (104,) bool, as of `TrainingRecord.unseen`.
    """
    found: list[tuple[str, ...]] = []
    for _, arrays in _blocks(data, np.arange(len(data))):
        pairs = _elements_by_crystal(arrays)
        here: list[tuple[str, ...]] = [()] * len(arrays.n_node)
        for crystal, number in pairs[unseen[pairs[:, 1]]].tolist():
            here[crystal] += (SYMBOLS[number],)
        found += here
    return found


def graph_hashes(
    data: Crystals, positions: np.ndarray | None = None, *, show_progress: bool | None = None
) -> np.ndarray:
    """Compute (n,) uint64 graph hashes of crystals, in their order.

    Args:
      data: the crystals.
      positions: some of them; None for all.
      show_progress: show the progress for large data sets; by default in terminals and notebooks.
    """
    rows = np.arange(len(data)) if positions is None else positions
    return _counts_and_hashes(data, rows, show_progress)[1]


_summaries: WeakKeyDictionary[Crystals, dict[tuple[str, ...], tuple[np.ndarray, np.ndarray]]]
_summaries = WeakKeyDictionary()


def _summary(
    data: Crystals, targets: tuple[str, ...], show_progress: bool | None
) -> tuple[np.ndarray, np.ndarray]:
    """Count the elements and hash the graphs of the crystals with a value of a target."""
    # Kept as long as the data set, so that the members of an ensemble share it.
    known = _summaries.setdefault(data, {})
    if targets not in known:
        labeled = np.any([np.isfinite(data.target(t)) for t in targets], axis=0)
        known[targets] = _counts_and_hashes(data, np.flatnonzero(labeled), show_progress)
    return known[targets]


def _counts_and_hashes(
    data: Crystals, rows: np.ndarray, show_progress: bool | None
) -> tuple[np.ndarray, np.ndarray]:
    counts, hashes = _no_elements(), [_no_hashes()]
    shown = show_progress if len(rows) >= SHOWN_FROM else False
    with progress("graph hashes", len(rows), shown=shown) as advance:
        for block, arrays in _blocks(data, rows):
            counts += np.bincount(_elements_by_crystal(arrays)[:, 1], minlength=len(SYMBOLS))
            hashes.append(hash_arrays(arrays, with_elements=True, reduced=data.reduced))
            advance(len(block), "")
    return counts, np.concatenate(hashes)


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


def _union(hashes: Iterable[np.ndarray]) -> np.ndarray:
    return np.unique(np.concatenate(list(hashes)))
