"""Label crystals with the energies of a calculator."""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cgatjax.errors import ConfigError, InputError, RunExistsError
from cgatjax.labeling.calculations import Calculations, named_calculator
from cgatjax.labeling.calculators import Calculator, make_calculator
from cgatjax.labeling.element_energies import ElementEnergies
from cgatjax.runtime import require_new, writing
from cgatjax.runtime.journal import Journal
from cgatjax.runtime.progress import progress
from cgatjax.structures import SYMBOLS, Crystal, Rejected, write_rejected
from cgatjax.structures.dcgat import write_dcgat
from cgatjax.structures.readers import read_crystals

FAILED = ".failed.csv"
"""Suffix of the list of crystals that failed, beside the archive."""
REFERENCE_CRYSTALS = 50
"""Crystals of each element, where there are as many, that suffice to fit its energy."""


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
      references: energies of the elements (symbol -> eV/atom, or a JSON file) to subtract, for
        formation energies; or crystals with known formation energies, to which they are fitted: the
        first ones that make up `REFERENCE_CRYSTALS` of each element.
      reference_property: name of the known formation energies.
      scan: take the energy at the minimum over the volume of the cell, whose volume per atom
        becomes the property "volume_NAME".
      properties: CSV file with further properties of CIF and POSCAR files.
      out: archive to write (.json, .json.gz, .json.bz2); failed crystals are listed beside it, in
        OUT.failed.csv.
      workers: number of processes, each with a calculator; needs one that is given by name.
      on_error: "skip" crystals that fail into `.failed`, or "raise" at the first.
      resume: continue a stopped run of the same `out`.
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
    path = Path(out) if out else None
    log = None if path is None else _journal_of(path, resume)
    if workers > 1 and not isinstance(calculator, str):
        raise ConfigError("several workers make their own calculators: give its name, not itself")
    made = (
        named_calculator(calculator) if isinstance(calculator, str) else make_calculator(calculator)
    )
    names = _names(calculator, made, property, references is not None, scan)
    with ExitStack() as stack:
        journal = None
        if log is not None:
            options = {"calculator": made.origin, "scan": scan}
            journal = Journal(log, options, "labeling these crystals", "remove the file")
            stack.enter_context(journal)
        run = Calculations(calculator if workers > 1 else made, scan, workers, journal, on_error)
        elements = _references(references, reference_property, run, show_progress)
        with progress("label", shown=show_progress) as advance:
            pairs = list(run.values(read_crystals(structures, properties=properties), advance))
        found = [_with_values(c, values, names, made.origin, elements) for c, values in pairs]
        crystals = [c for c in found if isinstance(c, Crystal)]
        failed = [*run.failed, *(r for r in found if isinstance(r, Rejected))]
        _write(path, journal, crystals, failed)
    return Labeled(
        crystals=crystals,
        failed=failed,
        origin=made.origin if elements is None else f"{made.origin}; {elements}",
        properties=names,
        seconds=run.seconds,
        computed=run.computed,
    )


def _write(
    path: Path | None, journal: Journal | None, crystals: list[Crystal], failed: list[Rejected]
) -> None:
    """Write archive and list of failures, if wanted, and end the journal."""
    if not crystals:
        reason = failed[0].reason if failed else "no crystals"
        raise InputError(f"no crystal could be labeled; for instance: {reason}")
    if path is not None and journal is not None:
        if failed:
            write_rejected(path.with_name(f"{path.name}{FAILED}"), failed)
        write_dcgat(crystals, path)
        journal.remove()


def _journal_of(path: Path, resume: bool) -> Path:
    """Return the path of the journal of an archive, in a folder that exists."""
    log = path.with_name(f"{path.name}.unfinished")
    # A kill between the archive and the end of its journal leaves both.
    if not (resume and log.exists()):
        require_new(path)
    if log.exists() and not resume:
        raise RunExistsError(
            f"{log} is left from a stopped run; continue it with --resume (resume=True), or remove "
            "it"
        )
    with writing(log):
        log.parent.mkdir(parents=True, exist_ok=True)
    return log


def _names(
    calculator: Any, made: Calculator, name: str | None, is_formation: bool, scan: bool
) -> tuple[str, ...]:
    """Name the new properties."""
    text = calculator if isinstance(calculator, str) else type(calculator).__name__
    short = text.rpartition(":")[2].lower()
    energy = name or f"{'e-form' if is_formation else 'energy'}_{short}"
    return (energy, f"volume_{short}") if scan else (energy,)


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
    run: Calculations,
    show_progress: bool | None,
) -> ElementEnergies | None:
    """Return given energies of the elements, or fit them to crystals."""
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
        pairs = list(run.values(_enough(known), advance))
    if len(pairs) < 2:
        raise InputError(
            f"{references}: expected crystals with a known {name!r}, to fit the energies of the "
            f"elements to, got {len(pairs)}; name the property (--reference-property), or give "
            "energies as JSON {symbol: eV/atom}"
        )
    numbers = [crystal.atomic_numbers for crystal, _ in pairs]
    energies = np.array([v["energy"] - c.targets[name] for c, v in pairs])
    return ElementEnergies.fit(numbers, energies)


def _enough(crystals: Iterable[Crystal | Rejected]) -> Iterator[Crystal | Rejected]:
    """Leave out crystals with none but elements that enough of those before have."""
    counts = np.zeros(len(SYMBOLS), int)
    for crystal in crystals:
        if isinstance(crystal, Crystal):
            elements = np.unique(crystal.atomic_numbers)
            if counts[elements].min() >= REFERENCE_CRYSTALS:
                continue
            counts[elements] += 1
        yield crystal
