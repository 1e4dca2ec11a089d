"""Build a store from structures: read, filter, featurize in parallel, write shards in order.

A build keeps a log in the store's folder and can be resumed from it; the store is then equal, byte
for byte, to one built without interruption. Memory holds some chunks of crystals, one shard, and
the ids read so far.
"""

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from cgatjax.config import GraphConfig
from cgatjax.data import shard_writer as shards
from cgatjax.data.build_input import BuildInput
from cgatjax.data.build_log import BuildLog, crystal_digest
from cgatjax.data.filters import SKIPPED_READING, Filter, InputFilter, OnError
from cgatjax.data.shard_writer import ShardWriter, rows_of
from cgatjax.data.store import BUILD_LOG, FORMAT, MANIFEST, SKIPPED, Store, open_store
from cgatjax.data.store_writer import finish
from cgatjax.errors import ConfigError, InputError, RunExistsError
from cgatjax.graphs.crystal_graph import CrystalGraph
from cgatjax.graphs.reduction import graph_or_rejected
from cgatjax.runtime import writing
from cgatjax.runtime.executors import map_in_workers
from cgatjax.runtime.progress import progress
from cgatjax.structures import Crystal, Rejected
from cgatjax.structures.plausibility import MIN_DISTANCE
from cgatjax.structures.readers import count_structures

logger = logging.getLogger("cgatjax")
CHUNK = 256
"""Crystals sent to a worker at a time."""


def build_store(
    inputs: Any,
    out: str | Path,
    config: GraphConfig | Mapping[str, Any] = GraphConfig(),  # noqa: B008 - frozen
    *,
    targets: Sequence[str] | None = None,
    units: Mapping[str, str] | None = None,
    properties: str | Path | None = None,
    min_distance: float = MIN_DISTANCE,
    per_atom: Sequence[str] = (),
    where: Mapping[str, str] | None = None,
    rename: Mapping[str, str] | None = None,
    keep: Filter = Filter(),  # noqa: B008 - immutable
    reduce: bool = True,
    workers: int = 1,
    executor: Executor | None = None,
    on_error: OnError = "raise",
    resume: bool = False,
    show_progress: bool | None = None,
) -> Store:
    """Featurize structures into a new store, or resume an unfinished build.

    Args:
      inputs: any input of `read_crystals`: files, folders, globs, structures.
      out: folder to create.
      config: graph options, stored with the data.
      targets: properties to keep; None keeps every numeric one, and "cell_volume".
      units: units of targets; else those that the files state, else those known by name.
      properties: CSV file with a row for each CIF or POSCAR file; None looks beside the files.
      min_distance: smallest allowed distance of two sites in angstrom; 0 allows any.
      per_atom: properties of the whole cell to divide by the number of sites.
      where: label -> value of the crystals to keep, such as {"functional": "PBE"}.
      rename: property of the input -> name in the store, which `targets` and `units` then use; the
        unit stays. A transfer reuses the head of a property of the same name (before "@").
      keep: filter of the crystals.
      reduce: merge equivalent sites and edges (exact, and smaller).
      workers: number of processes, or of the executor's workers; does not change the store.
      executor: runs the featurizing instead of local processes (Dask, MPI, Parsl).
      on_error: "raise" at the first unusable crystal, or "skip" and list it in `skipped.csv`.
      resume: continue after the last finished shard of an interrupted build; the input is read
        again and compared. A missing folder is a new build; a finished store is opened.
      show_progress: show progress on standard error; by default in terminals and notebooks.

    Raises:
      RunExistsError: `out` exists and `resume` is not set, or another process is building it.
      ConfigError: a resumed build had other options; a property of two units or calculators; two
        properties renamed to one.
      MismatchError: a resumed build had other crystals.
      StructureError: a crystal cannot be used, with on_error="raise".
      TargetError, InputError: no crystal has a named target, or none can be used.

    Examples:
      >>> import tempfile
      >>> from cgatjax.synthetic.dataset import ionic_crystals
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     store = build_store(ionic_crystals(5), f"{folder}/ionic", targets=["e-form@low"])
      ...     len(store), store.units
      (5, {'e-form@low': 'eV/atom'})
    """
    if on_error not in ("raise", "skip"):
        raise ConfigError(f"on_error: expected 'raise' or 'skip', got {on_error!r}")
    out, config = Path(out), GraphConfig.of(config)
    if resume and (out / MANIFEST).is_file():
        return _open_finished(out, config, reduce)
    names = (tuple(per_atom), where or {}, rename or {})
    source = BuildInput(inputs, properties, targets, units, min_distance, *names)
    options, found = {**source.options, **_options(config, reduce, keep)}, source.read()
    total = count_structures(inputs)
    with (
        _unfinished(out, options, resume) as log,
        closing(InputFilter(out, keep, on_error)) as chosen,
    ):
        crystals = log.remaining(source.warned(chosen.accepted(found)))
        jobs = iter(lambda: list(islice(crystals, CHUNK)), [])
        chunks = map_in_workers(_Featurizer(config, reduce), jobs, workers, executor)
        writer = _written(chunks, log, chosen, total, show_progress)
        stored = source.stored_units(writer.known)
        chosen.write_skipped(out / SKIPPED, log.failures())
        chosen.close()
        finish(writer, config, reduce, chosen.counts, stored, source.origins)
    return open_store(out)


def _options(config: GraphConfig, reduce: bool, keep: Filter) -> dict[str, Any]:
    """Return the options, besides the targets, that decide the bytes of a store."""
    graph = {f"graph.{name}": value for name, value in config.to_dict().items()}
    return {"format": FORMAT, "shard": shards.SHARD, **graph, "reduce": reduce, **keep._asdict()}


class _Chunk(NamedTuple):
    """Featurized crystals: their rows with a digest each, and those that failed."""

    rows: pa.RecordBatch
    digests: list[bytes]
    failed: list[tuple[Rejected, bytes]]


@dataclass(frozen=True)
class _Featurizer:
    """Function of a worker process, from crystals to rows."""

    config: GraphConfig
    reduce: bool

    def __call__(self, crystals: list[Crystal]) -> _Chunk:
        done: list[tuple[CrystalGraph, Mapping[str, float]]] = []
        digests, failed = [], []
        for crystal in crystals:
            digest = crystal_digest(crystal)
            graph = graph_or_rejected(crystal, self.config, reduce=self.reduce)
            if isinstance(graph, Rejected):
                failed.append((graph, digest))
            else:
                done.append((graph, crystal.targets))
                digests.append(digest)
        return _Chunk(rows_of(done), digests, failed)


def _written(
    chunks: Iterator[_Chunk],
    log: BuildLog,
    chosen: InputFilter,
    total: int | None,
    show_progress: bool | None,
) -> ShardWriter:
    """Write the chunks as shards; log failures and shards."""
    writer = ShardWriter(log.folder, log.shards)
    with progress("featurize", total, shown=show_progress) as advance:
        for rejected in log.failures():
            chosen.count_failure(rejected)
        if writer.n_rows:
            advance(writer.n_rows, "finished before")
        for chunk in chunks:
            # Failures first: a shard's line in the log confirms those above it.
            for rejected, digest in chunk.failed:
                chosen.count_failure(rejected)
                log.add_failure(rejected, digest)
            for shard in writer.add(chunk.rows, chunk.digests):
                log.add_shard(shard)
            skipped = f"{chosen.counts.total()} skipped"
            advance(chunk.rows.num_rows + len(chunk.failed), skipped)
    writer.close()
    if writer.n_rows == 0:
        raise InputError(
            f"no usable crystal among {chosen.counts.total()} read; for instance: {chosen.reasons}"
        )
    return writer


@contextmanager
def _unfinished(out: Path, options: Mapping[str, Any], resume: bool) -> Iterator[BuildLog]:
    """Open the folder of a build with its log, and remove the log at the end.

    After an error the folder is kept if it has a finished shard, and removed otherwise.
    """
    # Callbacks run on any exit but the regular one, KeyboardInterrupt included: Ctrl-C in the
    # middle of a long build must not lose its shards, nor leave a folder without any.
    with ExitStack() as on_failure:
        if _make_folder(out, resume):
            on_failure.callback(shutil.rmtree, out, ignore_errors=True)
        log = BuildLog(out, options)
        # The folder may be another process's until the log is open, which locks it.
        on_failure.pop_all()
        on_failure.callback(_keep_finished, out, log)
        with closing(log):
            yield log
            log.remove()
        on_failure.pop_all()


def _keep_finished(out: Path, log: BuildLog) -> None:
    if log.shards:
        logger.warning("%s: finished shards are kept; continue with --resume", out)
    else:
        shutil.rmtree(out, ignore_errors=True)


def _make_folder(out: Path, resume: bool) -> bool:
    """Create the folder if it does not exist; return True if it is new."""
    if not out.exists():
        with writing(out):
            out.mkdir(parents=True)
        return True
    is_unfinished = (out / BUILD_LOG).exists() and not (out / MANIFEST).exists()
    if not resume:
        state, advice = "exists", "choose another folder"
        if is_unfinished:
            state, advice = "holds an unfinished build", "continue with --resume (resume=True)"
        raise RunExistsError(f"{out} {state}; {advice} or remove it")
    if not is_unfinished and any(out.iterdir()):
        raise InputError(f"{out}: nothing to resume: the folder holds no unfinished build")
    return False


def _open_finished(out: Path, config: GraphConfig, reduce: bool) -> Store:
    """Open the store of a resumed build that was finished before."""
    store = open_store(out)
    if (store.graph_config, store.reduced) != (config, reduce):
        raise ConfigError(
            f"{out}: is finished, with {store.graph_config} and reduce={store.reduced}; choose "
            f"another folder for {config} and reduce={reduce}"
        )
    logger.info("%s: the store is finished", out)
    # A kill between writing the manifest and removing these leaves them in a whole store.
    with writing(out):
        for leftover in (out / BUILD_LOG, out / SKIPPED_READING):
            leftover.unlink(missing_ok=True)
    return store
