"""Calculations of a labeling: in this process or in several, with a journal of what is done."""

import functools
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import islice
from typing import Any

from cgatjax.labeling.calculators import Calculator, make_calculator
from cgatjax.labeling.cell_scan import scan_cell
from cgatjax.runtime import reading
from cgatjax.runtime.executors import map_in_workers
from cgatjax.runtime.journal import Journal
from cgatjax.runtime.progress import Advance
from cgatjax.structures import Crystal, Rejected, structure_digest

CHUNK = 32
"""Crystals sent to a worker at a time, and written to the journal together."""
Value = Mapping[str, float] | str
"""Values of a crystal by name, or the reason why there are none."""


class Calculations:
    """Calculations of one call: in this process or in several, with a journal.

    It collects what failed, and counts the calculations and their seconds.
    """

    def __init__(
        self, calculator: Any, scan: bool, workers: int, journal: Journal | None, on_error: str
    ) -> None:
        self._work = functools.partial(_computed, calculator, scan)
        self._workers, self._journal, self._on_error = workers, journal, on_error
        self._known: dict[str, Value] = {}
        if journal is not None:
            with reading(journal.path, "the journal of a labeling", "remove the file"):
                self._known |= {entry["digest"]: entry["value"] for entry in journal.entries()}
        self.failed: list[Rejected] = []
        self.seconds, self.computed = 0.0, 0

    def values(
        self, items: Iterator[Crystal | Rejected], advance: Advance
    ) -> Iterator[tuple[Crystal, Mapping[str, float]]]:
        """Yield the crystals with energy and volume per atom, in their order.

        A failure is a StructureError with on_error="raise".
        """
        chunks = iter(lambda: list(islice(items, CHUNK)), [])
        with closing(map_in_workers(self._work, self._jobs(chunks), self._workers)) as results:
            since = time.perf_counter()
            for chunk, new in results:
                self.computed += len(new)
                if self._journal is not None and new:
                    entries = ({"digest": d, "value": value} for d, value in new.items())
                    self._journal.append(*entries)
                self._known |= new
                for item in chunk:
                    value = self._value(item)
                    if value is not None and isinstance(item, Crystal):
                        yield item, value
                now = time.perf_counter()
                if new:
                    self.seconds += now - since
                since = now
                rate = self.computed / self.seconds if self.seconds else 0.0
                advance(len(chunk), f"{rate:.1f}/s, {len(self.failed)} failed")

    def _jobs(
        self, chunks: Iterator[list[Crystal | Rejected]]
    ) -> Iterator[tuple[list[Crystal | Rejected], list[str]]]:
        """Yield chunks with the digests of their crystals that are not known yet."""
        for chunk in chunks:
            crystals = [item for item in chunk if isinstance(item, Crystal)]
            digests = [structure_digest(crystal).hex() for crystal in crystals]
            missing = [d for d in digests if d not in self._known]
            yield chunk, list(dict.fromkeys(missing))

    def _value(self, item: Crystal | Rejected) -> Mapping[str, float] | None:
        if isinstance(item, Crystal):
            value = self._known[structure_digest(item).hex()]
            if not isinstance(value, str):
                return value
            item = Rejected(id=item.id, source=item.source, reason=value)
        if self._on_error == "raise":
            raise item.error(can_skip=True)
        self.failed.append(item)
        return None


@functools.cache
def named_calculator(name: str) -> Calculator:
    """Make a calculator, once in each process."""
    return make_calculator(name)


def _computed(
    calculator: Any, scan: bool, job: tuple[list[Crystal | Rejected], list[str]]
) -> tuple[list[Crystal | Rejected], dict[str, Value]]:
    """Compute the values of the missing crystals of a chunk."""
    chunk, missing = job
    made: Calculator = named_calculator(calculator) if isinstance(calculator, str) else calculator
    by_digest = {structure_digest(item).hex(): item for item in chunk if isinstance(item, Crystal)}
    crystals = [by_digest[digest] for digest in missing]
    if scan:
        found = [_scanned(scan_cell(made, crystal), crystal.n_sites) for crystal in crystals]
    else:
        energies = made.energies(crystals)
        found = [
            e if isinstance(e, str) else {"energy": e / c.n_sites}
            for e, c in zip(energies, crystals, strict=True)
        ]
    return chunk, dict(zip(missing, found, strict=True))


def _scanned(found: tuple[float, float] | str, n_sites: int) -> Value:
    if isinstance(found, str):
        return found
    return {"energy": found[0] / n_sites, "volume": found[1] / n_sites}
