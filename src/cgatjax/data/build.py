"""From structures to a store: read, filter, featurise in parallel, write shards in order."""

import csv
import hashlib
import json
import multiprocessing
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa

from cgatjax.config import GraphConfig
from cgatjax.data.graphs import CrystalGraph, featurize
from cgatjax.data.pipeline import map_in_order
from cgatjax.data.properties import unit_of
from cgatjax.data.readers import read_crystals
from cgatjax.data.reduction import reduce_graph
from cgatjax.data.shards import ShardWriter, rows_of, write_durably
from cgatjax.data.store import FORMAT, MANIFEST, SKIPPED, Store, open_store
from cgatjax.data.structures import Crystal, Rejected
from cgatjax.errors import ConfigError, InputError, RunExistsError, StructureError, TargetError
from cgatjax.progress import progress

CHUNK = 256
"""Crystals sent to a worker at a time."""


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


@dataclass(eq=False)
class _Tally:
    """What happened to every crystal that was read.

    What fails in reading and in featurising is listed apart: workers read ahead, and the list must
    not depend on how far.
    """

    on_error: str
    unread: list[tuple[str, Rejected]] = field(default_factory=list)
    failed: list[tuple[str, Rejected]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def reject(self, rejected: Rejected, *, featurizing: bool = False) -> None:
        if self.on_error == "raise":
            raise rejected.error()
        (self.failed if featurizing else self.unread).append(("error", rejected))

    def leave_out(self, crystal: Crystal, reason: str) -> None:
        rejected = Rejected(id=crystal.id, source=crystal.source, reason=reason)
        self.unread.append(("filter", rejected))

    @property
    def skipped(self) -> list[tuple[str, Rejected]]:
        return self.unread + self.failed

    def count(self, kind: str) -> int:
        return sum(k == kind for k, _ in self.skipped)


def build_store(
    inputs: Any,
    out: str | Path,
    config: GraphConfig = GraphConfig(),  # noqa: B008 - frozen
    *,
    targets: Sequence[str] | None = None,
    units: Mapping[str, str] | None = None,
    keep: Filter = Filter(),  # noqa: B008 - immutable
    reduce: bool = True,
    workers: int = 1,
    executor: Executor | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    show_progress: bool = False,
) -> Store:
    """Featurises structures into a new store.

    Args:
      inputs: whatever `read_crystals` takes: files, folders, globs, structures.
      out: folder to create.
      config: graph options, stored with the data.
      targets: properties to keep; None keeps every numeric one.
      units: units of targets that are not known by name.
      keep: crystals to leave out on purpose.
      reduce: merge sites and edges that no network can tell apart (exact, and smaller).
      workers: processes; the result does not depend on their number.
      executor: runs the featurising instead of local processes (Dask, MPI, Parsl).
      on_error: "raise" at the first bad crystal, or "skip" it; skipped ones stand in
        `skipped.csv` with the reason.
      show_progress: a progress bar on standard error.

    Raises:
      RunExistsError: `out` exists.
      StructureError: a crystal cannot be used, with on_error="raise".
      TargetError: no crystal has a named target.
      InputError: nothing to read, or nothing left.
    """
    if on_error not in ("raise", "skip"):
        raise ConfigError(f"on_error: expected 'raise' or 'skip', got {on_error!r}")
    out = Path(out)
    if out.exists():
        raise RunExistsError(f"{out} exists; choose another folder or remove it")
    tally = _Tally(on_error)
    crystals = _accepted(read_crystals(inputs, targets=targets), keep, tally)
    jobs = iter(lambda: list(islice(crystals, CHUNK)), [])
    run = _map_in_order(jobs, _Featurizer(config, reduce), workers, executor)
    with _complete_or_not_at_all(out) as folder:
        writer = ShardWriter(folder)
        with progress("featurize", shown=show_progress) as advance:
            for batch, rejected in run:
                for item in rejected:
                    tally.reject(item, featurizing=True)
                writer.add(batch)
                advance(batch.num_rows + len(rejected), f"{len(tally.skipped)} left out")
        if writer.n_rows == 0:
            reasons = [r.reason for _, r in tally.skipped[:3]]
            raise InputError(
                f"no usable crystal among {len(tally.skipped)} read; for instance: {reasons}"
            )
        _check_targets(targets, writer.known, inputs)
        names = sorted(writer.known) if targets is None else list(targets)
        known_units = {n: (units or {}).get(n, unit_of(n)) for n in names}
        _finish(writer, config, reduce, tally, known_units)
    return open_store(out)


def store_graphs(
    graphs: Iterable[tuple[CrystalGraph, Mapping[str, float]]],
    out: str | Path,
    config: GraphConfig,
    *,
    units: Mapping[str, str] | None = None,
    reduce: bool = True,
) -> Store:
    """Writes graphs that were made elsewhere into a new store.

    Args:
      graphs: (graph, its properties) pairs; not reduced yet, NaN where a property is unknown.
      out: folder to create.
      config: the options that the graphs were made with.
      units: units of properties that are not known by name.
      reduce: merge sites and edges that no network can tell apart.

    Raises:
      RunExistsError: `out` exists.
      InputError: no graphs, an id that comes twice, or a graph with another K than `config`.
    """
    out = Path(out)
    if out.exists():
        raise RunExistsError(f"{out} exists; choose another folder or remove it")
    pairs = _storable(graphs, config)
    with _complete_or_not_at_all(out) as folder:
        writer = ShardWriter(folder)
        while chunk := list(islice(pairs, CHUNK)):
            writer.add(rows_of([(reduce_graph(g) if reduce else g, t) for g, t in chunk]))
        if writer.n_rows == 0:
            raise InputError("expected at least one crystal graph to store, got none")
        known_units = {n: (units or {}).get(n, unit_of(n)) for n in sorted(writer.known)}
        _finish(writer, config, reduce, _Tally("raise"), known_units)
    return open_store(out)


def _storable(
    graphs: Iterable[tuple[CrystalGraph, Mapping[str, float]]], config: GraphConfig
) -> Iterator[tuple[CrystalGraph, Mapping[str, float]]]:
    """The pairs, checked one by one."""
    seen = set()
    for graph, targets in graphs:
        if graph.id in seen:
            raise InputError(f"id {graph.id!r} comes twice; ids must be unique in a store")
        if graph.max_neighbors != config.max_neighbors:
            raise InputError(
                f"{graph.id!r}: expected K = {config.max_neighbors} as in the graph options, "
                f"got {graph.max_neighbors}"
            )
        seen.add(graph.id)
        yield graph, targets


def _finish(
    writer: ShardWriter,
    config: GraphConfig,
    reduce: bool,
    tally: _Tally,
    units: Mapping[str, str],
) -> None:
    """Writes the last shard and what makes the folder a store."""
    shards = writer.close()
    manifest = {
        "format": FORMAT,
        "graph": config.to_dict(),
        "reduced": reduce,
        "n": writer.n_rows,
        "n_error": tally.count("error"),
        "n_filtered": tally.count("filter"),
        "sites": writer.sites,
        "targets": units,
        "shards": shards,
        "digest": _digest(config, reduce, shards),
    }
    _write_skipped(writer.out / SKIPPED, tally.skipped)
    write_durably(writer.out / MANIFEST, json.dumps(manifest, indent=1).encode())


@contextmanager
def _complete_or_not_at_all(out: Path) -> Iterator[Path]:
    """A hidden folder beside `out` that takes its name in the end, or vanishes after an error."""
    folder = out.with_name(f".{out.name}.{os.getpid()}.part")
    folder.mkdir(parents=True)
    try:
        yield folder
        folder.rename(out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _accepted(
    found: Iterable[Crystal | Rejected], keep: Filter, tally: _Tally
) -> Iterator[Crystal]:
    """The crystals to featurise; everything else goes into the tally."""
    for item in found:
        if isinstance(item, Rejected):
            tally.reject(item)
        elif item.id in tally.seen:
            reason = "its id was read before; ids must be unique in a store"
            tally.reject(Rejected(id=item.id, source=item.source, reason=reason))
        elif (unwanted := keep.reason(item)) is not None:
            tally.leave_out(item, unwanted)
        else:
            tally.seen.add(item.id)
            yield item


@dataclass(frozen=True)
class _Featurizer:
    """The work of a worker: crystals -> (rows of a shard, the ones that failed)."""

    config: GraphConfig
    reduce: bool

    def __call__(self, crystals: list[Crystal]) -> tuple[pa.RecordBatch, list[Rejected]]:
        done: list[tuple[CrystalGraph, Mapping[str, float]]] = []
        rejected = []
        for crystal in crystals:
            try:
                graph = featurize(crystal, self.config)
            except StructureError as error:
                reason = str(error)
                rejected.append(Rejected(id=crystal.id, source=crystal.source, reason=reason))
            else:
                done.append((reduce_graph(graph) if self.reduce else graph, crystal.targets))
        return rows_of(done), rejected


def _map_in_order(
    jobs: Iterator[list[Crystal]],
    work: _Featurizer,
    workers: int,
    executor: Executor | None,
) -> Iterator[tuple[pa.RecordBatch, list[Rejected]]]:
    """Results in the order of the jobs, a bounded number of them under way."""
    if executor is None and workers <= 1:
        yield from map(work, jobs)
    elif executor is not None:
        yield from map_in_order(executor, work, jobs, 4 * max(workers, 2))
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            yield from map_in_order(pool, work, jobs, 2 * workers)


def _check_targets(targets: Sequence[str] | None, known: set[str], inputs: Any) -> None:
    missing = [t for t in targets or () if t not in known]
    if missing:
        sample = islice(read_crystals(inputs), 1000)
        there = sorted(
            {name for item in sample if isinstance(item, Crystal) for name in item.targets}
        )
        raise TargetError(f"no crystal has a value for target(s) {missing}; the input has {there}")


def _digest(config: GraphConfig, reduce: bool, shards: Sequence[Mapping[str, Any]]) -> str:
    text = json.dumps([config.digest(), reduce, [s["sha256"] for s in shards]])
    return hashlib.sha256(text.encode()).hexdigest()


def _write_skipped(path: Path, skipped: Sequence[tuple[str, Rejected]]) -> None:
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["kind", "id", "source", "reason"])
        rows.writerows([kind, r.id, r.source, r.reason] for kind, r in skipped)
