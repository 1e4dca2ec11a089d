"""`screen`: the verb. Sources give predictions, `Keep` chooses, the folder keeps."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cgatjax.data.batching import default_float
from cgatjax.data.datasets import Dataset
from cgatjax.data.store import Store
from cgatjax.errors import ConfigError, InputError, TargetError
from cgatjax.inference.prediction import BATCH
from cgatjax.inference.predictor import Predictor
from cgatjax.models.fingerprint import versions, weights_digest
from cgatjax.models.model import Model
from cgatjax.runtime.progress import progress
from cgatjax.runtime.signals import stop_requests
from cgatjax.screening.composition_filter import CompositionFilter
from cgatjax.screening.decorations import Decorations, Found, Source
from cgatjax.screening.ranking import Keep
from cgatjax.screening.result_folder import RESULTS, Part, ScreenFolder
from cgatjax.screening.site_classes import Elements, templates_digest, templates_of
from cgatjax.screening.streams import Stored, Structures
from cgatjax.screening.templates import Classes
from cgatjax.structures.crystal import Crystal, Rejected
from cgatjax.structures.readers import read_crystals

logger = logging.getLogger("cgatjax")
PART_ROWS = 16384
"""Candidates of a part: what a kill can cost."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Screened:
    """A finished screening.

    Attributes:
      path: its folder.
      report: what `report.json` says.
    """

    path: Path
    report: dict[str, Any]

    @property
    def results(self) -> Path:
        """The folder of the sorted Parquet files."""
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
    resume: bool = False,
    part_rows: int = PART_ROWS,
    batch_size: int | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    show_progress: bool = False,
) -> Screened:
    """Predicts all decorations of prototypes, or all structures of a stream, and keeps the best.

    Args:
      model: a trained model, or an ensemble.
      inputs: whatever `read_crystals` takes: the prototypes if `elements` are given, otherwise the
        structures themselves; or a store or data set of them.
      out: folder for shards, results and report.
      elements: for classes of sites the elements to put there; classes without keep their own.
      classes: "element": sites of one element of the prototype are a class; "orbit": sites that
        the network cannot tell apart are.
      filters: which compositions to predict; all by default.
      keep: which predictions to keep; all by default.
      target: the property, where the model has several.
      resume: go on with a screening that was stopped, or begin; a finished one is left as it is.
      part_rows: candidates of a part, after which its results are on disk.
      batch_size: candidates in a batch; chosen by sizes and device if None.
      on_error: "raise" at the first structure that cannot be used, or "skip" it into a list.
        Prototypes are never skipped.
      show_progress: a progress bar on standard error.

    Returns:
      The finished screening; `.results` holds the sorted rows.

    Raises:
      RunExistsError: `out` holds something and `resume` is False.
      ConfigError: `out` holds another screening.
      InputError: unknown elements or classes, no candidate, a damaged folder.
      StructureError: a prototype (or structure) that cannot be used, such as a disordered one.
      Interrupted: SIGTERM or SIGINT; what is finished is on disk.
    """
    predictor, filters, keep = Predictor.of(model), filters or CompositionFilter(), keep or Keep()
    name = _target(predictor, target)
    if part_rows < 1 or (batch_size is not None and batch_size < 1):
        raise ConfigError(f"expected sizes of at least 1, got {part_rows=}, {batch_size=}")
    options = _identity(predictor, name, filters, keep)
    options |= {"part_rows": part_rows, "batch_size": batch_size, "on_error": on_error}
    source: Source
    if elements is not None:
        templates = templates_of(predictor, inputs, elements, classes)
        source = Decorations(predictor, name, templates, filters, part_rows, batch_size)
        options["inputs"] = templates_digest(templates)
    elif isinstance(inputs, Store | Dataset):
        data = inputs.all() if isinstance(inputs, Store) else inputs
        source = Stored(predictor, name, data, filters, part_rows, batch_size or BATCH)
        options["inputs"] = [data.digest, len(data)]
    else:
        size, read = batch_size or BATCH, _reader(inputs)
        source = Structures(predictor, name, read, filters, part_rows, size, on_error)
        options["inputs"] = "structures"
    folder = ScreenFolder(Path(out), options, keep, resume=resume)
    try:
        if not folder.is_finished:
            _run(folder, source, show_progress)
            _finish(folder, source, predictor, name, options)
        else:
            logger.info("%s: finished before", out)
        return Screened(path=folder.path, report=folder.report())
    finally:
        folder.close()


def _run(folder: ScreenFolder, source: Source, show_progress: bool) -> None:
    """Predicts what is not done yet."""
    done = sum(part.seen for part in folder.parts)
    if done:
        logger.info("%s: going on after %d candidates", folder.path, done)
    with (
        stop_requests() as stop,
        progress("screen", source.total, shown=show_progress) as advance,
    ):
        advance(done, "")
        begun, n_new = time.perf_counter(), 0

        def count(n: int) -> None:
            nonlocal n_new
            n_new += n
            advance(n, f"{n_new / (time.perf_counter() - begun):,.0f}/s")
            if stop.signum is not None:
                finished = sum(part.seen for part in folder.parts)
                raise stop.interrupted(f"after {finished} candidates")

        parts = source.found(folder.parts, count)
        since = time.perf_counter()
        for found in parts:
            _keep_part(folder, found, time.perf_counter() - since)
            since = time.perf_counter()


def _keep_part(folder: ScreenFolder, found: Found, seconds: float) -> None:
    chosen, left_out = folder.selection.chosen(found.mean)
    part = Part(
        covers=found.covers,
        seen=found.seen,
        predicted=len(found.mean),
        left_out=dict(sorted((+(found.left_out + left_out)).items())),
        skipped=[[r.id, r.source, r.reason] for r in found.skipped],
        seconds=seconds,
    )
    folder.add(part, found.rows(chosen), {})


def _finish(
    folder: ScreenFolder,
    source: Source,
    predictor: Predictor,
    target: str,
    options: Mapping[str, Any],
) -> None:
    """Merges, and writes the report.

    Raises:
      InputError: there was no candidate at all.
    """
    parts = folder.parts
    if not sum(part.seen for part in parts):
        raise InputError("expected at least one candidate to screen, got none")
    note, unit = predictor.std_note(target), predictor.units[target]
    left_out = sum((Counter(part.left_out) for part in parts), Counter[str]())
    seconds, predicted = sum(p.seconds for p in parts), sum(p.predicted for p in parts)
    began = time.perf_counter()

    def report(rows: int) -> dict[str, Any]:
        return {
            "target": target,
            "unit": unit,
            "std_note": note,
            "seen": sum(part.seen for part in parts),
            "predicted": predicted,
            "skipped": sum(len(part.skipped) for part in parts),
            "left_out": dict(sorted(left_out.items())),
            "rows": rows,
            "seconds": {"predict": seconds, "merge": time.perf_counter() - began},
            "candidates_per_second": predicted / seconds if seconds else 0.0,
            "options": dict(options),
            "prototypes": source.describe(),
        }

    about = {"target": target, "unit": unit, "std_note": note}
    folder.finish(about, report)


def _target(predictor: Predictor, target: str | None) -> str:
    if target is None and len(predictor.targets) == 1:
        return predictor.targets[0]
    if target not in predictor.targets:
        raise TargetError(
            f"expected the property to screen by, one of {list(predictor.targets)}, got {target!r}"
        )
    return str(target)


def _identity(
    predictor: Predictor, target: str, filters: CompositionFilter, keep: Keep
) -> dict[str, Any]:
    """What the results depend on; a screening is only resumed with the same."""
    model = predictor.model
    scales = [m.normalizers[target] for m in predictor.members if target in m.normalizers]
    return {
        "target": target,
        "weights": [weights_digest(member.params) for member in predictor.members],
        "normalizers": [[scale.mean, scale.std] for scale in scales],
        "std": predictor.std_note(target),
        "process": _process_digest(predictor, target),
        "network": model.config.digest(),
        "graph": model.graph_config.to_dict(),
        "element_table": model.element_table.digest(),
        "filters": filters.to_dict(),
        "keep": keep.to_dict(),
        "precision": str(default_float()),
        "versions": versions(),
    }


def _process_digest(predictor: Predictor, target: str) -> str:
    """Hash of the Gaussian process and of the factor on the standard deviation, if any."""
    found = predictor.processes.get(target) if predictor.reads_embeddings else None
    factors = predictor.rescalings.get(predictor.uncertainty, {})
    numbers = [found.process, found.x_mean, found.x_std, found.y_mean, found.y_std] if found else []
    return f"{weights_digest(numbers)} {factors.get(target)}"


def _reader(inputs: Any) -> Callable[[], Iterator[Crystal | Rejected]]:
    """A function that reads the input from its beginning; an iterator can be read once."""
    if isinstance(inputs, Iterator):
        once = iter([inputs])

        def read_once() -> Iterator[Crystal | Rejected]:
            return read_crystals(next(once))

        return read_once
    return lambda: read_crystals(inputs)
