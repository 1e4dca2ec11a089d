"""Formation energies and hull distances for files of crystals with energies."""

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np

from cgatjax.data.filters import OnError
from cgatjax.errors import ConfigError, TargetError
from cgatjax.preprocessing.hull import (
    Composition,
    HullEnergies,
    KnownHull,
    Polymorphs,
    composition_of,
    hull_energies,
)
from cgatjax.runtime import complete_folder, require_new
from cgatjax.structures import Crystal, Rejected, write_rejected
from cgatjax.structures.dcgat import write_dcgat
from cgatjax.structures.readers import read_crystals

EnergyKind = Literal["cell", "atom", "formation"]
"""Total energy of the cell in eV, total energy in eV/atom, or formation energy in eV/atom."""

FORMATION, DISTANCE, VOLUME = "e-form", "e_above_hull_new", "volume"
"""Names of the new targets, as in the DCGAT data; the volume is in A^3/atom."""

ENTRIES = 10_000
"""Crystals per file, as in the public archives."""


@dataclass(frozen=True, eq=False, kw_only=True)
class HullFiles:
    """Output of `add_hull`.

    Attributes:
      path: folder of DCGAT files.
      n_crystals: number of crystals in the files.
      n_labeled: number of crystals with the new targets.
      n_stable: number of stable crystals (distance at most 0).
      skipped: crystals without the new targets and unreadable entries, with reasons.
      skipped_path: file that lists the skipped entries, None if there are none.
    """

    path: Path
    n_crystals: int
    n_labeled: int
    n_stable: int
    skipped: Sequence[Rejected]
    skipped_path: Path | None


@dataclass(eq=False)
class _Entries:
    """Compositions, energies in eV/atom and (id, source) of the crystals, in order."""

    compositions: list[Composition] = field(default_factory=list)
    energies: list[float] = field(default_factory=list)
    names: list[tuple[str, str]] = field(default_factory=list)


def add_hull(
    inputs: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    energy: str,
    kind: EnergyKind,
    suffix: str | None = None,
    where: Mapping[str, str] | None = None,
    polymorphs: Polymorphs = "compete",
    workers: int = 1,
    executor: Executor | None = None,
    on_error: OnError = "raise",
) -> HullFiles:
    """Copy files of crystals with formation energies, signed hull distances and volumes added.

    All crystals together define the hull. The files are read twice, so that only compositions and
    energies are in memory. Crystals without the new targets are written without them. The volume is
    that of the given structure per atom, unless there is a property of its name.

    Args:
      inputs: paths, folders or patterns that `read_crystals` takes.
      out: folder to create, with files `00000.json.gz` and so on for `featurize`.
      energy: name of the energy property; in DCGAT files "energy" may be the entry's own energy.
      kind: kind of energy: "cell", "atom" or "formation".
      suffix: suffix of the new names, such as "@SCAN"; None for that of `energy`.
      where: label -> value of the crystals to read, see `read_crystals`: all crystals of a hull
        should have one functional and compatible settings.
      polymorphs: competing entries of the same composition, see `cgatjax.preprocessing.hull`.
      workers: number of processes to share the chemical systems.
      executor: executor to use instead of new processes.
      on_error: "raise" at the first crystal without a hull, or "skip" and list all of them in the
        file `OUT.skipped.csv`.

    Raises:
      RunExistsError: `out` exists.
      ConfigError: an option has an unknown value.
      TargetError: no crystal has the property, all have the placeholder 0.0, or a crystal has one
        of the new targets already.
      InputError: with on_error="raise", a crystal cannot be read or has no hull.
    """
    if kind not in ("cell", "atom", "formation") or on_error not in ("raise", "skip"):
        raise ConfigError(
            "expected kind 'cell', 'atom' or 'formation' and on_error 'raise' or 'skip', "
            f"got {kind!r} and {on_error!r}"
        )
    if suffix is None:
        suffix = "".join(energy.partition("@")[1:])
    out, read = Path(out), partial(read_crystals, inputs, where=where)
    listed = out.with_name(out.name + ".skipped.csv")
    require_new(out, listed)
    entries, unread = _read(read(targets=[energy]), energy, kind, on_error)
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
        raise unlabeled[0].error(can_skip=True)
    # Formation energies may have the name of the new ones: the values are the same.
    _write(read(), out, found, suffix, energy if kind == "formation" else "")
    skipped = [*unread, *unlabeled]
    if skipped:
        write_rejected(listed, skipped)
    return HullFiles(
        path=out,
        n_crystals=len(entries.energies),
        n_labeled=len(entries.energies) - len(unlabeled),
        n_stable=int(np.count_nonzero(found.distance <= 0)),
        skipped=skipped,
        skipped_path=listed if skipped else None,
    )


def read_hull(
    inputs: str | Path | Sequence[str | Path], energy: str = FORMATION, on_error: OnError = "raise"
) -> KnownHull:
    """Read known phases with formation energies in eV/atom, such as the files of `add_hull`.

    Args:
      inputs: paths, folders or patterns that `read_crystals` takes.
      energy: name of the property with the formation energy.
      on_error: "raise" at the first entry that cannot be read or has no energy, or "skip" it.

    Raises:
      TargetError: no crystal has the property, or all have the placeholder 0.0.
      InputError: with on_error="raise", an entry cannot be used.
    """
    crystals = read_crystals(inputs, targets=[energy])
    entries, _ = _read(crystals, energy, "formation", on_error)
    values = np.array(entries.energies)
    known = np.isfinite(values) if on_error == "skip" else np.ones(len(values), bool)
    compositions = [c for c, use in zip(entries.compositions, known, strict=True) if use]
    return KnownHull(compositions, values[known])


def _read(
    crystals: Iterator[Crystal | Rejected], energy: str, kind: EnergyKind, on_error: OnError
) -> tuple[_Entries, list[Rejected]]:
    """Read compositions and energies in eV/atom; also return the unreadable entries."""
    entries, unread = _Entries(), []
    for item in crystals:
        if isinstance(item, Rejected):
            if on_error == "raise":
                raise item.error(can_skip=True)
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
        raise TargetError(
            f"{energy!r} is 0.0 for all crystals, a placeholder; name another property"
        )
    return entries, unread


def _write(
    crystals: Iterator[Crystal | Rejected], out: Path, found: HullEnergies, suffix: str, same: str
) -> None:
    with complete_folder(out) as part:
        labeled = _labeled(crystals, found, suffix, same)
        batches = iter(lambda: list(islice(labeled, ENTRIES)), [])
        for number, batch in enumerate(batches):
            write_dcgat(batch, part / f"{number:05d}.json.gz")


def _labeled(
    items: Iterator[Crystal | Rejected], found: HullEnergies, suffix: str, same: str
) -> Iterator[Crystal]:
    """Read the crystals again, and add the new targets if known."""
    names, volume = (FORMATION + suffix, DISTANCE + suffix), VOLUME + suffix
    crystals = (item for item in items if isinstance(item, Crystal))
    for crystal, *values in zip(crystals, found.formation, found.distance, strict=True):
        given = sorted(set(names) & set(crystal.targets) - {same})
        if given:
            raise TargetError(
                f"{crystal.id!r} in {crystal.source} has {given} already; choose another suffix, "
                "such as @SCAN"
            )
        new = dict(zip(names, map(float, values), strict=True))
        own = {volume: crystal.volume / crystal.n_sites}
        yield replace(crystal, targets={**own, **crystal.targets, **new})
