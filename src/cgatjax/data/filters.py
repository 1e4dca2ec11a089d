"""Filter of the crystals that go into a store, and the list of skipped ones."""

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from cgatjax.runtime import PART, csv_bytes, replacing, writing
from cgatjax.structures import Crystal, Rejected

OnError = Literal["raise", "skip"]
COLUMNS = ("kind", "id", "source", "reason")
"""Columns of `skipped.csv`; the kind is "filter" (on purpose) or "error"."""
SKIPPED_READING = f"unread.csv{PART}"
"""File of the crystals skipped while reading; removed when the store is complete."""
SHOWN = 3
"""Number of reasons kept for messages."""


class Filter(NamedTuple):
    """Limits on the crystals of a store; crystals outside them are listed, and no errors.

    Attributes:
      max_atoms: largest number of sites in the cell, None for any number.
      min_elements: smallest number of distinct elements; 2 skips single-element crystals.
    """

    max_atoms: int | None = None
    min_elements: int = 1

    def reason(self, crystal: Crystal) -> str | None:
        """Return the reason to skip a crystal, None to keep it."""
        if self.max_atoms is not None and crystal.n_sites > self.max_atoms:
            return f"{crystal.n_sites} sites, more than max_atoms={self.max_atoms}"
        distinct = len(np.unique(crystal.atomic_numbers))
        if distinct < self.min_elements:
            return f"{distinct} distinct elements, fewer than min_elements={self.min_elements}"
        return None


class InputFilter:
    """Filter of a stream of crystals; counts the skipped ones by kind and lists them.

    Crystals skipped while reading are written to a file at once, so that memory does not grow.
    Those that fail later are listed after them: workers read ahead, and the list must not depend on
    how far. Ids that were read stay in memory, because they must be unique.
    """

    def __init__(self, folder: Path, keep: Filter, on_error: OnError) -> None:
        """Start an empty list in the folder of the store."""
        self.counts: Counter[str] = Counter()
        self.reasons: list[str] = []
        self._keep, self._on_error = keep, on_error
        self._seen: set[str] = set()
        self._path = folder / SKIPPED_READING
        with writing(self._path):
            self._file = open(self._path, "wb")  # noqa: SIM115 - closed by `close`

    def close(self) -> None:
        """Remove the file of the crystals skipped while reading."""
        with writing(self._path):
            self._file.close()
            self._path.unlink(missing_ok=True)

    def accepted(self, found: Iterable[Crystal | Rejected]) -> Iterator[Crystal]:
        """Yield the crystals to featurize; a bad one is a StructureError with on_error="raise"."""
        for item in found:
            if isinstance(item, Rejected):
                self._skip("error", item)
            elif item.id in self._seen:
                reason = "its id was read before; ids must be unique in a store"
                if item.labels:
                    stated = ", ".join(f"{k}={v}" for k, v in item.labels.items())
                    reason += f"; choose one kind of rows with where (--where), here {stated}"
                self._skip("error", _rejected(item, reason))
            elif (unwanted := self._keep.reason(item)) is not None:
                self._skip("filter", _rejected(item, unwanted))
            else:
                self._seen.add(item.id)
                yield item

    def count_failure(self, rejected: Rejected) -> None:
        """Count a crystal that was accepted and could not be featurized, or raise, as `accepted`
        does.
        """
        self._count("error", rejected)

    def write_skipped(self, path: Path, failures: Iterable[Rejected]) -> None:
        """Write `skipped.csv`: crystals skipped while reading, then the failures."""
        with replacing(path) as out:
            self._file.flush()
            out.write(csv_bytes([COLUMNS]))
            with open(self._path, "rb") as skipped:
                shutil.copyfileobj(skipped, out)
            out.write(csv_bytes(("error", r.id, r.source, r.reason) for r in failures))

    def _skip(self, kind: str, rejected: Rejected) -> None:
        self._count(kind, rejected)
        with writing(self._path):
            row = (kind, rejected.id, rejected.source, rejected.reason)
            self._file.write(csv_bytes([row]))

    def _count(self, kind: str, rejected: Rejected) -> None:
        if kind == "error" and self._on_error == "raise":
            raise rejected.error(can_skip=True)
        self.counts[kind] += 1
        if len(self.reasons) < SHOWN:
            self.reasons.append(rejected.reason)


def _rejected(crystal: Crystal, reason: str) -> Rejected:
    return Rejected(id=crystal.id, source=crystal.source, reason=reason)
