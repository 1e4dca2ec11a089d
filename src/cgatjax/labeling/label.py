"""Label crystals with the energies of a calculator."""

import csv
import dataclasses
import functools
import hashlib
import io
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cgatjax.errors import ConfigError, InputError, RunExistsError
from cgatjax.labeling.calculators import Calculator, make_calculator
from cgatjax.labeling.cell_scan import scan_cell
from cgatjax.labeling.element_energies import ElementEnergies
from cgatjax.labeling.journal import Journal, Value
from cgatjax.runtime.atomic_writes import write_durably
from cgatjax.runtime.executors import map_in_order, worker_processes
from cgatjax.runtime.progress import Advance, progress
from cgatjax.structures.crystal import Crystal, Rejected
from cgatjax.structures.dcgat import write_dcgat
from cgatjax.structures.readers import read_crystals

CHUNK = 32
"""Crystals sent to a worker at a time, and written to the journal together."""
FAILED = ".failed.csv"
"""Suffix of the list of crystals that failed, beside the archive."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Labeled:
    """Labeled crystals.

    Attributes:
      crystals: crystals with their properties and the new ones.
      failed: crystals that could not be labeled, with the reason.
      origin: calculator, as in `Crystal.origins`.
      properties: names of the new properties.
      seconds: time for the calculations of this call.
      computed: number of crystals calculated in this call.
    """

    crystals: list[Crystal]
    failed: list[Rejected]
    origin: str
    properties: tuple[str, ...]
    seconds: float
    computed: int

    def __len__(self) -> int:
        return len(self.crystals)

    def __repr__(self) -> str:
        return (
            f"Labeled {len(self)} crystals with {', '.join(self.properties)} of {self.origin}, "
            f"{len(self.failed)} failed"
        )


def label(
    structures: Any,
    calculator: Any,
    *,
    property: str | None = None,
    references: str | Path | Mapping[str, float] | None = None,
    reference_property: str = "e-form",
    scan: bool = False,
    properties: str | Path | None = None,
    out: str | Path | None = None,
    workers: int = 1,
    on_error: Literal["raise", "skip"] = "skip",
    resume: bool = False,
    show_progress: bool | None = None,
) -> Labeled:
    """Compute energies per atom of crystals with a calculator.

    Args:
      structures: anything that `read_crystals` takes.
      calculator: "chgnet", "sevennet", "module:factory" of an ASE calculator, or one.
      property: name of the new property; by default "energy_NAME", with references "e-form_NAME".
      references: energies of the elements (symbol -> eV/atom, or a JSON file of it), to be
        subtracted: the property is then a formation energy. Or crystals with known formation
        energies, to which the energies of the elements are fitted.
      reference_property: name of the known formation energies.
      scan: take the energy at the minimum over the volume of the cell, whose volume per atom
        becomes the property "volume_NAME".
      properties: CSV file with further properties of CIF and POSCAR files.
      out: archive to write (.json, .json.gz, .json.bz2), which commands read like any other;
        crystals that failed are listed beside it, in OUT.failed.csv.
      workers: number of processes, each with a calculator; needs one that is given by name.
      on_error: "skip" crystals that fail into `.failed`, or "raise" at the first.
      resume: continue a stopped run of the same `out`; crystals that are done are not calculated
        again.
      show_progress: show progress on standard error; by default in terminals and notebooks.

    Raises:
      RunExistsError: `out` exists, or a stopped run of it does and `resume` is False.
      ConfigError: no such calculator; a resumed run with other options.
      MissingExtraError: the package of the calculator is not installed.
      InputError: no crystal could be labeled, or references without a known formation energy.
      StructureError: a crystal fails, with on_error="raise".

    Examples:
      >>> from pymatgen.core import Lattice, Structure
      >>> copper = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.6), ["Cu"], [[0, 0, 0]])
      >>> found = label(copper, "ase.calculators.emt:EMT", property="e_emt")
      >>> round(found.crystals[0].targets["e_emt"], 3)
      -0.007
    """
    if on_error not in ("raise", "skip"):
        raise ConfigError(f"on_error: expected 'raise' or 'skip', got {on_error!r}")
    path = None if out is None else Path(out)
    log = None if path is None else path.with_name(f"{path.name}.unfinished")
    # A kill between the archive and the end of its journal leaves both.
    is_left = resume and log is not None and log.exists()
    if path is not None and path.exists() and not is_left:
        raise RunExistsError(f"{path} exists; choose another name or remove it")
    if workers > 1 and not isinstance(calculator, str):
        raise ConfigError("several workers make their own calculators: give its name, not itself")
    made = _named(calculator) if isinstance(calculator, str) else make_calculator(calculator)
    names = _names(calculator, made, property, references is not None, scan)
    with ExitStack() as stack:
        journal = None
        if log is not None:
            options = {"calculator": made.origin, "scan": scan}
            journal = stack.enter_context(Journal(log, options, resume=resume))
        run = _Run(calculator if workers > 1 else made, scan, workers, journal, on_error)
        elements = _references(references, reference_property, run, show_progress)
        with progress("label", shown=show_progress) as advance:
            pairs = list(run.values(read_crystals(structures, properties=properties), advance))
        found = [_with_values(c, values, names, made.origin, elements) for c, values in pairs]
        crystals = [c for c in found if isinstance(c, Crystal)]
        failed = [*run.failed, *(r for r in found if isinstance(r, Rejected))]
        if not crystals:
            reason = failed[0].reason if failed else "no crystals"
            raise InputError(f"no crystal could be labeled; for instance: {reason}")
        if path is not None and journal is not None:
            if failed:
                _write_failed(path.with_name(f"{path.name}{FAILED}"), failed)
            write_dcgat(crystals, path)
            journal.remove()
    return Labeled(
        crystals=crystals,
        failed=failed,
        origin=made.origin if elements is None else f"{made.origin}; {elements}",
        properties=names,
        seconds=run.seconds,
        computed=run.computed,
    )


def _write_failed(path: Path, failed: Sequence[Rejected]) -> None:
    """Write the list of the crystals that failed."""
    text = io.StringIO(newline="")
    rows = [(item.id, item.source, item.reason) for item in failed]
    csv.writer(text).writerows([("id", "source", "reason"), *rows])
    write_durably(path, text.getvalue().encode("utf-8", "backslashreplace"))


def _names(
    calculator: Any, made: Calculator, name: str | None, is_formation: bool, scan: bool
) -> tuple[str, ...]:
    """Name the new properties."""
    text = calculator if isinstance(calculator, str) else type(calculator).__name__
    short = text.rpartition(":")[2].lower()
    energy = name or f"{'e-form' if is_formation else 'energy'}_{short}"
    return (energy, f"volume_{short}") if scan else (energy,)


class _Run:
    """Calculations of one call: in this process or in several, with a journal.

    Attributes:
      failed: crystals that failed so far.
      seconds, computed: time and number of the calculations.
    """

    def __init__(
        self,
        calculator: Any,
        scan: bool,
        workers: int,
        journal: Journal | None,
        on_error: str,
    ) -> None:
        self._work = functools.partial(_computed, calculator, scan)
        self._workers, self._journal, self._on_error = workers, journal, on_error
        self._known: dict[str, Value] = {} if journal is None else journal.known
        self.failed: list[Rejected] = []
        self.seconds, self.computed = 0.0, 0

    def values(
        self, items: Iterator[Crystal | Rejected], advance: Advance
    ) -> Iterator[tuple[Crystal, Mapping[str, float]]]:
        """Yield the crystals with energy and volume per atom, in their order.

        Raises:
          StructureError: one fails, with on_error="raise".
        """
        chunks = iter(lambda: list(islice(items, CHUNK)), [])
        with ExitStack() as stack:
            results: Iterator[tuple[list[Crystal | Rejected], dict[str, Value]]]
            if self._workers > 1:
                pool = stack.enter_context(worker_processes(self._workers))
                results = map_in_order(pool, self._work, self._jobs(chunks), 2 * self._workers)
            else:
                results = map(self._work, self._jobs(chunks))
            since = time.perf_counter()
            for chunk, new in results:
                self.computed += len(new)
                if self._journal is not None and new:
                    self._journal.add(new)
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
            missing = [d for d in map(structure_digest, crystals) if d not in self._known]
            yield chunk, list(dict.fromkeys(missing))

    def _value(self, item: Crystal | Rejected) -> Mapping[str, float] | None:
        if isinstance(item, Crystal):
            value = self._known[structure_digest(item)]
            if not isinstance(value, str):
                return value
            item = Rejected(id=item.id, source=item.source, reason=value)
        if self._on_error == "raise":
            raise item.error()
        self.failed.append(item)
        return None


@functools.cache
def _named(name: str) -> Calculator:
    """Make a calculator, once in each process."""
    return make_calculator(name)


def _computed(
    calculator: Any, scan: bool, job: tuple[list[Crystal | Rejected], list[str]]
) -> tuple[list[Crystal | Rejected], dict[str, Value]]:
    """Compute the values of the missing crystals of a chunk."""
    chunk, missing = job
    made: Calculator = _named(calculator) if isinstance(calculator, str) else calculator
    by_digest = {structure_digest(item): item for item in chunk if isinstance(item, Crystal)}
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


def structure_digest(crystal: Crystal) -> str:
    """Hash lattice, coordinates and elements: 32 hex digits."""
    digest = hashlib.blake2b(digest_size=16)
    for array, dtype in (
        (crystal.lattice, "<f8"),
        (crystal.frac_coords, "<f8"),
        (crystal.atomic_numbers, "u1"),
    ):
        digest.update(array.astype(dtype).tobytes())
    return digest.hexdigest()


def _with_values(
    crystal: Crystal,
    values: Mapping[str, float],
    names: Sequence[str],
    origin: str,
    elements: ElementEnergies | None,
) -> Crystal | Rejected:
    """Add the new properties to a crystal; reject one with an element without an energy."""
    energy = values["energy"]
    if elements is not None:
        numbers = crystal.atomic_numbers
        if missing := elements.missing(numbers):
            reason = f"no reference energy of {missing}"
            return Rejected(id=crystal.id, source=crystal.source, reason=reason)
        energy, origin = energy - elements.of(numbers), f"{origin}; {elements}"
    new = dict(zip(names, (energy, values.get("volume", np.nan)), strict=False))
    units = dict(zip(names, ("eV/atom", "A^3/atom"), strict=False))
    return dataclasses.replace(
        crystal,
        targets={**crystal.targets, **new},
        units={**crystal.units, **units},
        origins={**crystal.origins, **dict.fromkeys(names, origin)},
    )


def _references(
    references: str | Path | Mapping[str, float] | None,
    name: str,
    run: _Run,
    show_progress: bool | None,
) -> ElementEnergies | None:
    """Return given energies of the elements, or fit them to crystals.

    Raises:
      InputError: none of the crystals has a known formation energy.
    """
    if references is None:
        return None
    if isinstance(references, Mapping):
        return ElementEnergies.given(references)
    path = Path(references)
    if path.suffix == ".json" and path.is_file():
        plain = json.loads(path.read_text())
        if isinstance(plain, dict) and "entries" not in plain and "structure" not in plain:
            return ElementEnergies.given(plain)
    crystals = read_crystals(references, targets=[name])
    known = (c for c in crystals if isinstance(c, Rejected) or np.isfinite(c.targets[name]))
    with progress("reference crystals", shown=show_progress) as advance:
        pairs = list(run.values(known, advance))
    if len(pairs) < 2:
        raise InputError(
            f"{references}: expected crystals with a known {name!r}, to fit the energies of the "
            f"elements to, got {len(pairs)}; name the property (--reference-property), or give "
            "energies as JSON {symbol: eV/atom}"
        )
    numbers = [crystal.atomic_numbers for crystal, _ in pairs]
    energies = np.array([v["energy"] - c.targets[name] for c, v in pairs])
    return ElementEnergies.fit(numbers, energies)
