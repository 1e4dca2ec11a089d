"""Which of the crystals that are read go into a store, and the list of all others."""

import csv
import io
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from cgatjax.runtime.atomic_files import PART, replacing, writing
from cgatjax.structures.crystal import Crystal, Rejected

OnError = Literal["raise", "skip"]
COLUMNS = ("kind", "id", "source", "reason")
"""Of `skipped.csv`; the kind is "filter" (left out on purpose) or "error"."""
UNREAD = f"unread.csv{PART}"
"""File beside the shards, while a store is built, of what was left out while reading."""
SHOWN = 3
"""Reasons that are kept for messages."""


class Filter(NamedTuple):
    """Which crystals to leave out on purpose; they are listed, and are not errors.

    Attributes:
      max_atoms: most sites in the cell, None for any number.
      min_elements: fewest distinct elements; 2 leaves out the single-element crystals.
    """

    max_atoms: int | None = None
    min_elements: int = 1

    def reason(self, crystal: Crystal) -> str | None:
        """Why a crystal is left out, or None."""
        if self.max_atoms is not None and crystal.n_sites > self.max_atoms:
            return f"{crystal.n_sites} sites, more than max_atoms={self.max_atoms}"
        distinct = len(np.unique(crystal.atomic_numbers))
        if distinct < self.min_elements:
            return f"{distinct} distinct elements, fewer than min_elements={self.min_elements}"
        return None


class Intake:
    """The crystals of a stream that are to be featurized; the others are counted and listed.

    What is left out while reading goes to a file at once, so that memory does not grow with it;
    what fails later is listed after it, as workers read ahead and the list must not depend on how
    far. The ids that were read stay in memory: they must be unique.

    Attributes:
      counts: crystals left out so far, by kind.
      reasons: the first few of them.
    """

    def __init__(self, folder: Path, keep: Filter, on_error: OnError) -> None:
        """Begins an empty list in the folder of the store.

        Raises:
          StorageError: it cannot be written.
        """
        self.counts: Counter[str] = Counter()
        self.reasons: list[str] = []
        self._keep, self._on_error = keep, on_error
        self._seen: set[str] = set()
        self._path = folder / UNREAD
        with writing(self._path):
            self._file = open(self._path, "wb")  # noqa: SIM115 - closed by `close`

    def close(self) -> None:
        """Removes what was kept beside the store."""
        with writing(self._path):
            self._file.close()
            self._path.unlink(missing_ok=True)

    def accepted(self, found: Iterable[Crystal | Rejected]) -> Iterator[Crystal]:
        """The crystals to featurize.

        Raises:
          StructureError: one cannot be used, with on_error="raise".
          StorageError: the list cannot be written.
        """
        for item in found:
            if isinstance(item, Rejected):
                self._leave_out("error", item)
            elif item.id in self._seen:
                reason = "its id was read before; ids must be unique in a store"
                self._leave_out("error", _rejected(item, reason))
            elif (unwanted := self._keep.reason(item)) is not None:
                self._leave_out("filter", _rejected(item, unwanted))
            else:
                self._seen.add(item.id)
                yield item

    def count_failure(self, rejected: Rejected) -> None:
        """Counts a crystal that was accepted and could not be featurized.

        Raises:
          StructureError: with on_error="raise".
        """
        self._count("error", rejected)

    def write_list(self, path: Path, failures: Iterable[Rejected]) -> None:
        """Writes `skipped.csv`: what was left out while reading, then the failures.

        Raises:
          StorageError: it cannot be written.
        """
        with replacing(path) as out:
            self._file.flush()
            out.write(_csv_line(COLUMNS))
            with open(self._path, "rb") as unread:
                shutil.copyfileobj(unread, out)
            out.writelines(_csv_line(("error", r.id, r.source, r.reason)) for r in failures)

    def _leave_out(self, kind: str, rejected: Rejected) -> None:
        self._count(kind, rejected)
        with writing(self._path):
            self._file.write(_csv_line((kind, rejected.id, rejected.source, rejected.reason)))

    def _count(self, kind: str, rejected: Rejected) -> None:
        if kind == "error" and self._on_error == "raise":
            raise rejected.error()
        self.counts[kind] += 1
        if len(self.reasons) < SHOWN:
            self.reasons.append(rejected.reason)


def _rejected(crystal: Crystal, reason: str) -> Rejected:
    return Rejected(id=crystal.id, source=crystal.source, reason=reason)


def _csv_line(cells: Sequence[str]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(cells)
    return text.getvalue().encode("utf-8", "backslashreplace")
