"""Screening loop: predict candidates chunk by chunk, keep the best, write sorted results."""

import dataclasses
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cgatjax.data.arguments import one_target
from cgatjax.data.batching import default_float
from cgatjax.data.datasets import Dataset
from cgatjax.data.store import Store
from cgatjax.errors import InputError
from cgatjax.inference.prediction import log_unrecorded
from cgatjax.inference.predictor import Predictor
from cgatjax.model.model import Model, versions, weights_digest
from cgatjax.preprocessing.hull import KnownHull
from cgatjax.runtime import stop_requests
from cgatjax.runtime.progress import progress
from cgatjax.screening.best_files import BEST, write_best
from cgatjax.screening.composition_filter import REASONS, UNSEEN, CompositionFilter
from cgatjax.screening.decorations import (
    CandidateSource,
    ChunkPredictions,
    Decorations,
    Elements,
    Task,
    templates_digest,
    templates_of,
)
from cgatjax.screening.hit_rows import HitRows
from cgatjax.screening.ranked_parquet import count_unseen
from cgatjax.screening.ranking import Keep
from cgatjax.screening.result_folder import RESULTS, Chunk, ResultFolder
from cgatjax.screening.streams import StoredGraphs, StructureStream
from cgatjax.screening.templates import Classes
from cgatjax.structures import SYMBOLS, Crystal, Rejected
from cgatjax.structures.readers import read_crystals

logger = logging.getLogger("cgatjax")
CHUNK_ROWS = 16384
"""Predicted candidates per chunk: the most that a kill can lose."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Screened:
    """Finished screening.

    Attributes:
      path: folder of the screening.
      report: content of `report.json`.
    """

    path: Path
    report: dict[str, Any]

    def __repr__(self) -> str:
        kept, seen = self.report["rows"], self.report["seen"]
        return f"Screened({str(self.path)!r}: {kept:,} of {seen:,} candidates kept)"

    @property
    def results(self) -> Path:
        """Folder of the sorted Parquet files."""
        return self.path / RESULTS


def screen(
    model: Model | Predictor,
    inputs: Any,
    out: str | Path,
    *,
    elements: Elements | None = None,
    classes: Classes = "element",
    filters: CompositionFilter | None = None,
    keep: Keep | None = None,
    target: str | None = None,
    structures: int = 10,
    keep_unseen: bool = False,
    hull: KnownHull | None = None,
    resume: bool = False,
    chunk_rows: int = CHUNK_ROWS,
    batch_size: int | None = None,
    properties: str | Path | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    show_progress: bool | None = None,
) -> Screened:
    """Predict all decorations of prototypes, or all structures of a stream, and keep the best.

    Args:
      model: trained model or ensemble.
      inputs: anything that `read_crystals` takes: prototypes if `elements` are given, otherwise the
        candidates themselves; or a store or data set of candidates. A list of prototypes may hold
        structure types of `synthetic.prototypes.find_prototype`, with the site classes A, B, X, ...
      out: folder for shards, results and report.
      elements: elements to put on each site class; other classes keep their own element.
      classes: "element": one site class per element of the prototype; "orbit": one per set of sites
        that the network cannot distinguish.
      filters: compositions to predict; all by default.
      keep: predictions to keep; all by default.
      target: property to rank by; needed if the model has several.
      structures: number of the best candidates to write as CIF files, except for those of a store,
        which has no coordinates.
      keep_unseen: keep candidates with elements that the model was never trained on.
      hull: known phases (`read_hull`), to which the distances of the hits are computed; only for
        models of formation energies in eV/atom.
      resume: continue an interrupted screening, if there is one; a finished one is returned as is.
      chunk_rows: predicted candidates per chunk, after which results are written to disk.
      batch_size: candidates per batch; None to choose it by graph size and device.
      properties: CSV file with the baselines of CIF and POSCAR files, as for `predict`.
      on_error: "raise" at the first structure that cannot be used, or "skip" and list it.
        Prototypes are never skipped.
      show_progress: show progress on standard error; by default in terminals and notebooks.

    Returns:
      The finished screening; `.results` holds the sorted rows.

    Raises:
      RunExistsError: `out` is not empty and `resume` is False.
      ConfigError: `out` holds another screening.
      InputError: unknown elements or site classes, no candidate, or a damaged folder.
      StructureError: a prototype (or structure) cannot be used, such as a disordered one.
      Interrupted: SIGTERM or SIGINT; finished chunks are on disk.
    """
    predictor, filters, keep = Predictor.of(model), filters or CompositionFilter(), keep or Keep()
    name = one_target(predictor.targets, target)
    hit_rows, filters = HitRows.of(predictor, hull, name), _seen(filters, predictor, keep_unseen)
    task = Task(
        predictor=predictor,
        target=name,
        filters=filters,
        chunk_rows=chunk_rows,
        batch_size=batch_size,
        hit_rows=hit_rows,
    )
    source, described = _source(task, inputs, elements, classes, properties, on_error)
    options = _identity(task, keep) | {"on_error": on_error, "inputs": described}
    options["hull"] = hull.digest if hull is not None else None
    folder = ResultFolder(Path(out), options, keep, resume=resume)
    try:
        if folder.is_finished:
            logger.info("%s: finished before", out)
        else:
            _run(folder, source, show_progress)
            _finish(folder, source, task, options)
        if not (folder.path / BEST).is_file():
            count = 0 if isinstance(inputs, Iterator) else structures  # cannot be read again
            write_best(folder.path, folder.path / RESULTS, count, source.crystals)
        return Screened(path=folder.path, report=folder.report())
    finally:
        folder.close()


def _seen(filters: CompositionFilter, predictor: Predictor, keep_unseen: bool) -> CompositionFilter:
    """Leave out compositions with elements that the model was never trained on."""
    if predictor.unseen is None:
        log_unrecorded()
        return filters
    symbols = [SYMBOLS[z] for z in np.flatnonzero(predictor.unseen[1:]) + 1]
    unseen = filters.unseen if keep_unseen else tuple(dict.fromkeys([*filters.unseen, *symbols]))
    return filters.replace(unseen=unseen)


def _source(
    task: Task,
    inputs: Any,
    elements: Elements | None,
    classes: Classes,
    properties: str | Path | None,
    on_error: Literal["raise", "skip"],
) -> tuple[CandidateSource, Any]:
    """Make the source of the candidates, and describe them for the record of the screening."""
    if elements is not None:
        templates = templates_of(task.predictor, inputs, elements, classes)
        return Decorations(task, templates), templates_digest(templates)
    if isinstance(inputs, Store | Dataset):
        data = inputs.all() if isinstance(inputs, Store) else inputs
        return StoredGraphs(task, data), [data.digest, len(data)]
    return StructureStream(task, _reader(inputs, properties), on_error), "structures"


def _run(folder: ResultFolder, source: CandidateSource, show_progress: bool | None) -> None:
    """Predict the remaining chunks."""
    done = sum(chunk.seen for chunk in folder.chunks)
    if done:
        logger.info("%s: resuming after %d candidates", folder.path, done)
    with stop_requests() as stop, progress("screen", source.total, shown=show_progress) as advance:
        if done:
            advance(done, "")
        start, n_new = time.perf_counter(), 0

        def count(n: int) -> None:
            nonlocal n_new
            n_new += n
            advance(n, f"{n_new / (time.perf_counter() - start):,.0f}/s")
            if stop.signum is not None:
                finished = sum(chunk.seen for chunk in folder.chunks)
                raise stop.interrupted(f"after {finished} candidates")

        since = time.perf_counter()
        for predictions in source.predict_chunks(folder.chunks, count):
            _add_chunk(folder, predictions, time.perf_counter() - since)
            since = time.perf_counter()


def _add_chunk(folder: ResultFolder, predictions: ChunkPredictions, seconds: float) -> None:
    chosen, left_out = folder.selection.chosen(predictions.mean)
    chunk = Chunk(
        covers=predictions.covers,
        seen=predictions.seen,
        predicted=len(predictions.mean),
        left_out=dict(sorted((+(predictions.left_out + left_out)).items())),
        skipped=[[r.id, r.source, r.reason] for r in predictions.skipped],
        seconds=seconds,
    )
    folder.add(chunk, predictions.rows(chosen))


def _finish(
    folder: ResultFolder, source: CandidateSource, task: Task, options: Mapping[str, Any]
) -> None:
    """Merge the shards and write the report."""
    chunks = folder.chunks
    if not sum(chunk.seen for chunk in chunks):
        raise InputError("expected at least one candidate to screen, got none")
    metadata = {
        "target": task.target,
        "unit": task.hit_rows.unit,
        "std_note": task.hit_rows.std_note,
    }
    left_out = sum((Counter(chunk.left_out) for chunk in chunks), Counter[str]())
    seconds, predicted = sum(c.seconds for c in chunks), sum(c.predicted for c in chunks)
    start = time.perf_counter()

    def report(rows: int) -> dict[str, Any]:
        return {
            **metadata,
            "seen": sum(chunk.seen for chunk in chunks),
            "predicted": predicted,
            "skipped": sum(len(chunk.skipped) for chunk in chunks),
            "left_out": dict(sorted(left_out.items())),
            "rows": rows,
            "seconds": {"predict": seconds, "merge": time.perf_counter() - start},
            "candidates_per_second": predicted / seconds if seconds else 0.0,
            "options": dict(options),
            "prototypes": source.describe(),
        }

    folder.finish(metadata, report)
    if n := left_out[REASONS[UNSEEN]]:
        logger.warning(
            "%d of %d candidates contain elements never seen in training; left out "
            "(--keep-unseen, keep_unseen=True, keeps them)",
            n,
            sum(chunk.seen for chunk in chunks),
        )
    count, rows, symbols = count_unseen(sorted((folder.path / RESULTS).glob("*.parquet")))
    if count:
        logger.warning(
            "%d of %d results contain elements never seen in training: %s",
            count,
            rows,
            ", ".join(sorted(symbols, key=SYMBOLS.index)),
        )


def _identity(task: Task, keep: Keep) -> dict[str, Any]:
    """Describe what the results depend on; a screening is resumed only if nothing differs."""
    predictor, target = task.predictor, task.target
    model = predictor.model
    scales = [m.normalizers[target] for m in predictor.members if target in m.normalizers]
    return {
        "target": target,
        "weights": [weights_digest(member.params) for member in predictor.members],
        "normalizers": [dataclasses.asdict(scale) for scale in scales],
        "std": task.hit_rows.std_note,
        "process": predictor.digest(target),
        "network": model.config.digest(),
        "graph": model.graph_config.to_dict(),
        "element_table": model.element_table.digest(),
        "filters": task.filters.to_dict(),
        "keep": keep.to_dict(),
        "chunk_rows": task.chunk_rows,
        "batch_size": task.batch_size,
        "precision": str(default_float()),
        "versions": versions(),
    }


def _reader(
    inputs: Any, properties: str | Path | None
) -> Callable[[], Iterator[Crystal | Rejected]]:
    """Return a function that reads the input from the start; an iterator can be read only once."""
    if isinstance(inputs, Iterator):
        once = iter([inputs])

        def read_once() -> Iterator[Crystal | Rejected]:
            return read_crystals(next(once), properties=properties)

        return read_once
    return lambda: read_crystals(inputs, properties=properties)
