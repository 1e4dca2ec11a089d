"""From structures to a store: read, filter, featurize in parallel, write shards in order.

A build keeps a journal in the folder of the store, so that it goes on where it was killed; the
store is then equal, byte for byte, to one that was built in one go. In memory are some chunks of
crystals, one shard, and the ids read.
"""

import logging
import multiprocessing
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from cgatjax.config import GraphConfig
from cgatjax.data import shard_writer as shards
from cgatjax.data.build_journal import Journal, crystal_digest
from cgatjax.data.filters import UNREAD, Filter, Intake, OnError
from cgatjax.data.shard_writer import ShardWriter, rows_of
from cgatjax.data.store import FORMAT, JOURNAL, MANIFEST, SKIPPED, Store, open_store
from cgatjax.data.store_writer import finish, unit_for
from cgatjax.errors import ConfigError, InputError, RunExistsError, StructureError, TargetError
from cgatjax.graphs.crystal_graph import CrystalGraph, featurize
from cgatjax.graphs.reduction import reduce_graph
from cgatjax.runtime.atomic_files import writing
from cgatjax.runtime.executors import map_in_order
from cgatjax.runtime.progress import progress
from cgatjax.structures.crystal import Crystal, Rejected
from cgatjax.structures.delta_targets import (
    Differences,
    properties_to_read,
    units_with,
    with_differences,
)
from cgatjax.structures.readers import read_crystals

logger = logging.getLogger("cgatjax")
CHUNK = 256
"""Crystals sent to a worker at a time."""
EARLY = 1000
"""Crystals after which a target without any value is warned of."""


def build_store(
    inputs: Any,
    out: str | Path,
    config: GraphConfig = GraphConfig(),  # noqa: B008 - frozen
    *,
    targets: Sequence[str] | None = None,
    units: Mapping[str, str] | None = None,
    differences: Differences | None = None,
    properties: str | Path | None = None,
    keep: Filter = Filter(),  # noqa: B008 - immutable
    reduce: bool = True,
    workers: int = 1,
    executor: Executor | None = None,
    on_error: OnError = "raise",
    resume: bool = False,
    show_progress: bool = False,
) -> Store:
    """Featurizes structures into a new store, or goes on with one that was not finished.

    Args:
      inputs: whatever `read_crystals` takes: files, folders, globs, structures.
      out: folder to create.
      config: graph options, stored with the data.
      targets: properties to keep; None keeps every numeric one.
      units: units of targets that are not known by name.
      differences: further targets: name -> (one, other), the value of one less that of the other.
      properties: CSV file with a row for each CIF or POSCAR file; None looks beside the files.
      keep: crystals to leave out on purpose.
      reduce: merge sites and edges that no network can tell apart (exact, and smaller).
      workers: processes, or those of the executor; the result does not depend on their number.
      executor: runs the featurizing instead of local processes (Dask, MPI, Parsl).
      on_error: "raise" at the first bad crystal, or "skip" it; skipped ones stand in
        `skipped.csv` with the reason.
      resume: go on after the last finished shard if `out` holds an unfinished build; the input is
        read again and compared, not featurized again. A folder that is not there is begun, and a
        finished store with these graph options is opened as it is.
      show_progress: a progress bar on standard error.

    Raises:
      RunExistsError: `out` exists and is not to be resumed, or another process is building it.
      ConfigError: a resumed build was begun with other options; a difference of two units, or
        called like a property.
      MismatchError: a resumed build was begun with other crystals.
      StructureError: a crystal cannot be used, with on_error="raise".
      TargetError: no crystal has a named target.
      InputError: nothing to read, or nothing left.
      StorageError: the store cannot be written. After this and any other interruption, what is
        finished stays on disk for `resume`.

    Examples:
      >>> import tempfile
      >>> from pymatgen.core import Lattice, Structure
      >>> cell = Lattice.cubic(5.6)
      >>> salt = Structure.from_spacegroup("Fm-3m", cell, ["Na", "Cl"], [[0] * 3, [0.5] * 3])
      >>> salt.properties["e-form"] = -2.1
      >>> folder = Path(tempfile.mkdtemp())
      >>> store = build_store([salt], folder / "salt.store", GraphConfig.recommended())
      >>> len(store), store.units, store.target("e-form").tolist()
      (1, {'e-form': 'eV/atom'}, [-2.1])
    """
    if on_error not in ("raise", "skip"):
        raise ConfigError(f"on_error: expected 'raise' or 'skip', got {on_error!r}")
    out = Path(out)
    if resume and (out / MANIFEST).is_file():
        return _finished_before(out, config, reduce)
    differences = differences or {}
    units = units_with(units, differences)
    named = properties_to_read(targets, differences)
    found = read_crystals(inputs, targets=named, properties=properties)
    found = with_differences(found, differences, targets)
    wanted = list(dict.fromkeys([*(targets or ()), *differences]))
    options = _as_options(config, reduce, targets, units, differences, keep)
    with (
        _unfinished(out, options, resume) as journal,
        closing(Intake(out, keep, on_error)) as intake,
    ):
        writer = ShardWriter(out, journal.shards)
        accepted = _watched(intake.accepted(found), wanted, inputs, properties)
        crystals = journal.rest(accepted)
        run = _map_in_order(crystals, _Featurizer(config, reduce), workers, executor)
        with progress("featurize", shown=show_progress) as advance:
            for rejected in journal.failures():
                intake.count_failure(rejected)
            advance(writer.n_rows, "finished before")
            for done in run:
                _record(done, journal, intake, writer)
                left_out = intake.counts.total()
                advance(done.rows.num_rows + len(done.failed), f"{left_out} left out")
        writer.close()
        if writer.n_rows == 0:
            raise InputError(
                f"no usable crystal among {intake.counts.total()} read; for instance: "
                f"{intake.reasons}"
            )
        _check_targets(wanted, writer.known, inputs, properties)
        names = sorted(writer.known) if targets is None else wanted
        intake.write_list(out / SKIPPED, journal.failures())
        intake.close()
        finish(writer, config, reduce, intake.counts, {n: unit_for(n, units) for n in names})
    return open_store(out)


class _Done(NamedTuple):
    """A chunk of crystals after the work: rows and what they were made of, and the failures."""

    rows: pa.RecordBatch
    digests: list[bytes]
    failed: list[tuple[Rejected, bytes]]


@dataclass(frozen=True)
class _Featurizer:
    """The work of a worker."""

    config: GraphConfig
    reduce: bool

    def __call__(self, crystals: list[Crystal]) -> _Done:
        done: list[tuple[CrystalGraph, Mapping[str, float]]] = []
        digests, failed = [], []
        for crystal in crystals:
            digest = crystal_digest(crystal)
            try:
                graph = featurize(crystal, self.config)
            except StructureError as error:
                rejected = Rejected(id=crystal.id, source=crystal.source, reason=str(error))
                failed.append((rejected, digest))
            else:
                done.append((reduce_graph(graph) if self.reduce else graph, crystal.targets))
                digests.append(digest)
        return _Done(rows_of(done), digests, failed)


def _map_in_order(
    crystals: Iterator[Crystal],
    work: _Featurizer,
    workers: int,
    executor: Executor | None,
) -> Iterator[_Done]:
    """Results in the order of the crystals, a bounded number of chunks under way."""
    jobs = iter(lambda: list(islice(crystals, CHUNK)), [])
    if executor is None and workers <= 1:
        yield from map(work, jobs)
    elif executor is not None:
        yield from map_in_order(executor, work, jobs, 4 * max(workers, 2))
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            yield from map_in_order(pool, work, jobs, 2 * workers)


def _record(done: _Done, journal: Journal, intake: Intake, writer: ShardWriter) -> None:
    """Counts and notes the failures of a chunk, and writes the shards that it fills."""
    for rejected, digest in done.failed:
        intake.count_failure(rejected)
        journal.add_failure(rejected, digest)
    for shard in writer.add(done.rows, done.digests):
        journal.add_shard(shard)


@contextmanager
def _unfinished(out: Path, options: Mapping[str, Any], resume: bool) -> Iterator[Journal]:
    """The folder with its journal, which is removed in the end.

    After an error the folder stays if a shard is finished, and vanishes if there is none.
    """
    is_new = _make_folder(out, resume)
    try:
        journal = Journal(out, options)
    except BaseException:
        if is_new:
            shutil.rmtree(out, ignore_errors=True)
        raise
    try:
        with closing(journal):
            yield journal
            with writing(out):
                (out / JOURNAL).unlink()
    except BaseException:
        if journal.shards:
            logger.warning("%s: finished shards are kept; go on with --resume", out)
        else:
            shutil.rmtree(out, ignore_errors=True)
        raise


def _make_folder(out: Path, resume: bool) -> bool:
    """Makes the folder if it is not there; says whether."""
    if not out.exists():
        with writing(out):
            out.mkdir(parents=True)
        return True
    is_unfinished = (out / JOURNAL).exists() and not (out / MANIFEST).exists()
    if not resume:
        advice = "go on with --resume (resume=True)" if is_unfinished else "choose another folder"
        holds = "holds an unfinished build" if is_unfinished else "exists"
        raise RunExistsError(f"{out} {holds}; {advice} or remove it")
    if not is_unfinished and any(out.iterdir()):
        raise InputError(f"{out}: nothing to resume: the folder holds no unfinished build")
    return False


def _finished_before(out: Path, config: GraphConfig, reduce: bool) -> Store:
    """The store of a build that is to be resumed and has nothing left to do."""
    store = open_store(out)
    if (store.graph_config, store.reduced) != (config, reduce):
        raise ConfigError(
            f"{out}: is finished, with {store.graph_config} and reduce={store.reduced}; choose "
            f"another folder for {config} and reduce={reduce}"
        )
    logger.info("%s: the store is finished", out)
    with writing(out):
        for leftover in (out / JOURNAL, out / UNREAD):
            leftover.unlink(missing_ok=True)
    return store


def _as_options(
    config: GraphConfig,
    reduce: bool,
    targets: Sequence[str] | None,
    units: Mapping[str, str],
    differences: Differences,
    keep: Filter,
) -> dict[str, Any]:
    """All that the bytes of a store depend on besides its crystals."""
    graph = {f"graph.{name}": value for name, value in config.to_dict().items()}
    return {
        "format": FORMAT,
        "shard": shards.SHARD,
        **graph,
        "reduce": reduce,
        "targets": None if targets is None else list(targets),
        "units": dict(units),
        "differences": {name: list(pair) for name, pair in differences.items()},
        **keep._asdict(),
    }


def _watched(
    crystals: Iterator[Crystal],
    wanted: Sequence[str],
    inputs: Any,
    properties: str | Path | None,
) -> Iterator[Crystal]:
    """The same crystals; warns once if the first of them have no value of a named target."""
    missing = set(wanted)
    for number, crystal in enumerate(crystals, 1):
        missing -= {name for name, value in crystal.targets.items() if isfinite(value)}
        yield crystal
        if number == EARLY and missing:
            logger.warning(
                "none of the first %s crystals has a value of target(s) %s; %s; the rest is read "
                "all the same",
                f"{EARLY:,}", sorted(missing), _what_is_there(inputs, properties)
            )  # fmt: skip


def _check_targets(
    wanted: Sequence[str], known: set[str], inputs: Any, properties: str | Path | None
) -> None:
    missing = [t for t in wanted if t not in known]
    if missing:
        raise TargetError(
            f"no crystal has a value for target(s) {missing}; {_what_is_there(inputs, properties)}"
        )


def _what_is_there(inputs: Any, properties: str | Path | None) -> str:
    """Names the properties that the first crystals of an input have."""
    if isinstance(inputs, Iterator):
        return "check the names of the properties"
    sample = islice(read_crystals(inputs, properties=properties), EARLY)
    there = sorted({name for item in sample if isinstance(item, Crystal) for name in item.targets})
    if there:
        return f"the input has {there}"
    return (
        "the input has none; values of CIF and POSCAR files stand in properties.csv beside them, "
        "or in a CSV file given as properties (--properties)"
    )
