"""Files of crystals with energies, written again with the targets that their hull gives."""

import csv
import io
import math
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np

from cgatjax.data.filters import OnError
from cgatjax.errors import ConfigError, RunExistsError, TargetError
from cgatjax.preprocessing.hull import (
    Composition,
    HullEnergies,
    Polymorphs,
    composition_of,
    hull_energies,
)
from cgatjax.runtime.atomic_files import PART, write_durably, writing
from cgatjax.structures.crystal import Crystal, Rejected
from cgatjax.structures.dcgat import write_dcgat
from cgatjax.structures.readers import read_crystals

EnergyKind = Literal["cell", "atom", "formation"]
"""Total energy of the cell in eV, total energy in eV/atom, or formation energy in eV/atom."""

FORMATION, DISTANCE = "e-form", "e_above_hull_new"
"""Names of the new targets: those of the authors' data."""

ENTRIES = 10_000
"""Crystals in a file, as in the public archives."""


@dataclass(frozen=True, eq=False, kw_only=True)
class HullFiles:
    """What `add_hull` has made.

    Attributes:
      path: folder of DCGAT files.
      n_crystals: crystals in them.
      n_labeled: of these, crystals with the new targets.
      n_stable: of these, crystals on the hull (distance at most 0).
      skipped: the others, and what could not be read, each with the reason.
      skipped_path: the file where these stand, None if there is none.
    """

    path: Path
    n_crystals: int
    n_labeled: int
    n_stable: int
    skipped: Sequence[Rejected]
    skipped_path: Path | None


@dataclass(eq=False)
class _Entries:
    """What the hull needs of the crystals, in their order."""

    compositions: list[Composition] = field(default_factory=list)
    energies: list[float] = field(default_factory=list)
    names: list[tuple[str, str]] = field(default_factory=list)


def add_hull(
    inputs: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    energy: str,
    kind: EnergyKind,
    suffix: str = "",
    polymorphs: Polymorphs = "compete",
    workers: int = 1,
    executor: Executor | None = None,
    on_error: OnError = "raise",
) -> HullFiles:
    """Writes the crystals of some files again, with formation energy and signed hull distance.

    All crystals together make the hull. The files are read twice, so that only compositions and
    energies are in memory. Properties that are numbers are kept. A crystal without the new targets
    is kept without them.

    Args:
      inputs: paths, folders or patterns that `read_crystals` takes.
      out: folder to create, of files `00000.json.gz` and so on for `featurize`.
      energy: name of the property; in DCGAT files "energy" is also that of the entry itself.
      kind: what it is: "cell", "atom" or "formation".
      suffix: of the new names, such as "@SCAN".
      polymorphs: what competes at the composition of an entry, see `cgatjax.preprocessing.hull`.
      workers: processes that share the chemical systems; the result is the same.
      executor: does the work in place of processes of our own.
      on_error: "raise" at the first crystal that has no hull, or "skip" to list all of them in the
        file `OUT.skipped.csv`.

    Raises:
      RunExistsError: `out` exists.
      ConfigError: an option has another value.
      TargetError: no crystal has the property, all have the placeholder 0.0, or a crystal has one
        of the new targets already.
      InputError: with on_error="raise", a crystal that cannot be read or has no hull.
      StorageError: the files cannot be written.
    """
    if kind not in ("cell", "atom", "formation") or on_error not in ("raise", "skip"):
        raise ConfigError(
            "expected kind 'cell', 'atom' or 'formation' and on_error 'raise' or 'skip', "
            f"got {kind!r} and {on_error!r}"
        )
    out = Path(out)
    listed = out.with_name(out.name + ".skipped.csv")
    for path in (out, listed):
        if path.exists():
            raise RunExistsError(f"{path} exists; choose another folder or remove it")
    entries, unread = _read(inputs, energy, kind, on_error)
    found = hull_energies(
        entries.compositions,
        entries.energies,
        are_formation=kind == "formation",
        polymorphs=polymorphs,
        workers=workers,
        executor=executor,
    )
    unlabeled = [
        Rejected(id=entries.names[k][0], source=entries.names[k][1], reason=reason)
        for k, reason in found.reasons.items()
    ]
    if unlabeled and on_error == "raise":
        raise unlabeled[0].error()
    _write(inputs, out, found, (FORMATION + suffix, DISTANCE + suffix))
    skipped = [*unread, *unlabeled]
    if skipped:
        _write_list(listed, skipped)
    return HullFiles(
        path=out,
        n_crystals=len(entries.energies),
        n_labeled=len(entries.energies) - len(unlabeled),
        n_stable=int(np.count_nonzero(found.distance <= 0)),
        skipped=skipped,
        skipped_path=listed if skipped else None,
    )


def _read(
    inputs: str | Path | Sequence[str | Path], energy: str, kind: EnergyKind, on_error: OnError
) -> tuple[_Entries, list[Rejected]]:
    """Compositions and energies in eV/atom, and what cannot be read."""
    entries, unread = _Entries(), []
    for item in read_crystals(inputs, targets=[energy]):
        if isinstance(item, Rejected):
            if on_error == "raise":
                raise item.error()
            unread.append(item)
            continue
        atoms = item.n_sites if kind == "cell" else 1
        entries.compositions.append(composition_of(item.atomic_numbers))
        entries.energies.append(item.targets[energy] / atoms)
        entries.names.append((item.id, item.source))
    known = [value for value in entries.energies if math.isfinite(value)]
    if not known:
        raise TargetError(f"no crystal among {len(entries.energies)} has a value for {energy!r}")
    if not any(known):
        raise TargetError(f"{energy!r} is 0.0 for all crystals: a placeholder; name another one")
    return entries, unread


def _write(
    inputs: str | Path | Sequence[str | Path],
    out: Path,
    found: HullEnergies,
    names: tuple[str, str],
) -> None:
    """The files, in a folder that has its name when all are there."""
    part = out.with_name(out.name + PART)
    shutil.rmtree(part, ignore_errors=True)  # of a run that was killed
    with writing(part):
        part.mkdir(parents=True)
        try:
            labeled = _labeled(inputs, found, names)
            batches = iter(lambda: list(islice(labeled, ENTRIES)), [])
            for number, batch in enumerate(batches):
                write_dcgat(batch, part / f"{number:05d}.json.gz")
            part.rename(out)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _labeled(
    inputs: str | Path | Sequence[str | Path], found: HullEnergies, names: tuple[str, str]
) -> Iterator[Crystal]:
    """The crystals once more, with the new targets where they are known."""
    crystals = (item for item in read_crystals(inputs) if isinstance(item, Crystal))
    for crystal, *values in zip(crystals, found.formation, found.distance, strict=True):
        given = sorted(set(names) & set(crystal.targets))
        if given:
            raise TargetError(
                f"{crystal.id!r} in {crystal.source} has {given} already; choose another suffix, "
                "such as @SCAN"
            )
        new = dict(zip(names, map(float, values), strict=True))
        yield replace(crystal, targets={**crystal.targets, **new})


def _write_list(path: Path, skipped: Sequence[Rejected]) -> None:
    text = io.StringIO(newline="")
    rows = [(item.id, item.source, item.reason) for item in skipped]
    csv.writer(text).writerows([("id", "source", "reason"), *rows])
    write_durably(path, text.getvalue().encode("utf-8", "backslashreplace"))
