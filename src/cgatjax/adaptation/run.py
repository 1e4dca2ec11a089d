"""The function `adapt`: input, folder of results, sources; then everything in order."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cgatjax.adaptation.findings import (
    run_adaptation,
    save_test_predictions,
    summary,
    to_json,
)
from cgatjax.adaptation.report import write_report
from cgatjax.adaptation.sources import Source, blank_source, with_common_std
from cgatjax.adaptation.task import make_task
from cgatjax.config import AdaptConfig, GraphConfig
from cgatjax.data.arguments import is_store_folder
from cgatjax.data.build import build_store
from cgatjax.data.datasets import Dataset
from cgatjax.data.filters import OnError
from cgatjax.data.splits import Split
from cgatjax.data.store import Store, open_store
from cgatjax.errors import ConfigError, InputError, RunExistsError
from cgatjax.inference.loading import read_predictor
from cgatjax.inference.predictor import Predictor
from cgatjax.model.model import Model
from cgatjax.pretrained.loading import load_predictor
from cgatjax.pretrained.locations import shipped
from cgatjax.runs.run_folder import SPLIT, differences
from cgatjax.runtime import reading, write_durably, writing
from cgatjax.runtime.progress import progress

logger = logging.getLogger("cgatjax")
Start = Model | Predictor | str | Path
"""Trained model, its name, or its folder."""
DEFAULT_SOURCES = ("mp-small", "mp-medium")
"""Models that come with the package, to start from if none is named."""
RESULT, OPTIONS, REPORT, TEST = "adapt.json", "options.json", "report.html", "test.csv"


@dataclass(frozen=True, eq=False, kw_only=True)
class Adapted:
    """Result of an adaptation.

    Attributes:
      path: folder with report.html, adapt.json, test.csv and model/.
      result: content of adapt.json.
      predictor: chosen model, for `predict`, `screen`, `select` and the others.
    """

    path: Path
    result: dict[str, Any]
    predictor: Predictor

    def __repr__(self) -> str:
        test, unit = self.result["test"], self.result["unit"] or "?"
        return (
            f"Adapted({str(self.path)!r}: {self.result['chosen']}; test MAE {test['mae']:.4g} "
            f"{unit} on {test['n']} crystals)"
        )

    @property
    def report(self) -> Path:
        """Report, one HTML page."""
        return self.path / REPORT


def adapt(
    data: Any,
    target: str,
    *,
    out: str | Path,
    sources: Sequence[Start] | Mapping[str, Start] | Start | None = None,
    config: AdaptConfig | Mapping[str, Any] = AdaptConfig(),  # noqa: B008 - frozen
    properties: str | Path | None = None,
    embeddings: Sequence[str | Path] = (),
    workers: int = 1,
    on_error: OnError = "raise",
    resume: bool = False,
    made_by: str = "",
    show_progress: bool | None = None,
) -> Adapted:
    """Find the best model that the data allow, and report on it.

    Compares simple models of the composition, Gaussian processes, partly and wholly trained
    networks by cross-validation, takes the best one, or a mean of good ones, gives it a validated
    standard deviation, and reads the test set once, at the end.

    Args:
      data: a store, its folder, a data set of one, or any input of `build_store`.
      target: property to learn.
      out: folder to create.
      sources: trained models, or their names or folders, to start from; or name -> model. None for
        `DEFAULT_SOURCES`, and () or "none" for no model. Whole networks start from the first one
        unless another is better beyond noise; all add their heads, predictions and embeddings.
      config: options, or a dictionary of them.
      properties: CSV file with the values of CIF and POSCAR files, as of `build_store`.
      embeddings: Parquet files with columns "id" and "embedding" from another program; a Gaussian
        process on each is one more candidate to compare with.
      workers: number of processes that featurize.
      on_error: "raise" at the first unusable structure, or "skip" it.
      made_by: command for the report.
      resume: continue in `out` if it holds an unfinished adaptation; a finished one is returned.
      show_progress: show progress on standard error; by default in terminals and notebooks.

    Raises:
      RunExistsError: `out` exists and `resume` is not set.
      ConfigError: a resumed adaptation had other options.
      InputError: too few crystals with a value.
      TargetError: the data have no such property.
      MismatchError: graphs of a store that do not fit a source.
    """
    config, out = AdaptConfig.of(config), Path(out)
    _open_folder(out, resume)
    if resume and (out / RESULT).is_file():
        return load_adaptation(out)
    given = _models(sources)
    with progress("adapt", shown=show_progress) as advance:
        crystals = _crystals(data, given, out, properties, workers, on_error, show_progress)
        names = [*(name for name, _ in given), *map(str, embeddings)]
        _check_options(out, crystals, target, config, names)
        for name, model in given:
            model.check_options(crystals.graph_config, name)
        task = make_task(crystals, target, config)
        pool, test, rest = task.pool, task.test, task.unlabeled
        split = Split(train=tuple(pool.ids), valid=(), test=tuple(test.ids))
        split.save(out / SPLIT)
        logger.info(
            "%d crystals to train on, %d to test on, %d without a value",
            *map(len, (pool, test, rest)),
        )
        found = [
            Source(name=name, model=model, pool=pool, crystals=task.crystals)
            for name, model in given
        ]
        if not found:
            found = [blank_source(pool, task.crystals, target, config.seed)]
        found = with_common_std(found, target)
        files = [Path(path) for path in embeddings]
        findings = run_adaptation(task, found, files, config, out, lambda text: advance(0, text))
        save_test_predictions(out / TEST, findings)
        write_report(out / REPORT, findings, out, made_by)
        # The last file: it marks the adaptation as finished.
        write_durably(out / RESULT, to_json(summary(findings)))
    return load_adaptation(out)


def load_adaptation(path: str | Path) -> Adapted:
    """Load a finished adaptation from its folder.

    Raises:
      InputError: it is not finished, or a file is damaged.
    """
    path = Path(path)
    with reading(path, "a finished adaptation", "resume it with --resume"):
        result = json.loads((path / RESULT).read_text())
    return Adapted(path=path, result=result, predictor=read_predictor(path / "model"))


def _open_folder(out: Path, resume: bool) -> None:
    if out.exists() and not resume and any(out.iterdir()):
        raise RunExistsError(
            f"{out} exists; add --resume (resume=True) to continue it, or choose another folder"
        )
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)


def _models(sources: Any) -> list[tuple[str, Model]]:
    """Load the sources, each with its name."""
    if sources is None:
        sources = [name for name in DEFAULT_SOURCES if name in shipped()]
    if sources in ("none", ["none"], ("none",)):
        sources = []
    if isinstance(sources, Mapping):
        listed = list(sources.items())
    else:
        every = list(sources) if isinstance(sources, list | tuple) else [sources]
        listed = [(_name(source, k, len(every)), source) for k, source in enumerate(every)]
    found = list[tuple[str, Model]]()
    for name, source in listed:
        if isinstance(source, str | Path):
            source = load_predictor(source)
        model = source.model if isinstance(source, Predictor) else source
        if not isinstance(model, Model):
            raise InputError(f"expected a trained model or its folder, got {type(model).__name__}")
        twice = sum(name == other.split(" (")[0] for other, _ in found)
        found.append((f"{name} ({twice + 1})" if twice else name, model))
    options = {model.graph_config for _, model in found}
    if len(options) > 1:
        raise ConfigError(
            f"sources {[name for name, _ in found]}: expected models with the same graph options; "
            "adapt them one at a time"
        )
    return found


def _name(source: Any, number: int, count: int) -> str:
    if isinstance(source, str | Path):
        return Path(source).name
    return "the source" if count == 1 else f"source {number + 1}"


def _crystals(
    data: Any,
    given: Sequence[tuple[str, Model]],
    out: Path,
    properties: str | Path | None,
    workers: int,
    on_error: OnError,
    show_progress: bool | None,
) -> Dataset:
    """Return the crystals of a store or data set, or featurize them into OUT/store."""
    if isinstance(data, Dataset):
        return data
    if isinstance(data, Store):
        return data.all()
    if isinstance(data, list | tuple) and len(data) == 1 and is_store_folder(data[0]):
        data = data[0]
    if is_store_folder(data):
        return open_store(data).all()
    graphs = given[0][1].graph_config if given else GraphConfig.recommended()
    return build_store(
        data,
        out / "store",
        graphs,
        properties=properties,
        workers=workers,
        on_error=on_error,
        resume=(out / "store").exists(),
        show_progress=show_progress,
    ).all()


def _check_options(
    out: Path, data: Dataset, target: str, config: AdaptConfig, sources: Sequence[str]
) -> None:
    """Write the options, or compare them with those of the adaptation that is resumed.

    Raises:
      ConfigError: they differ in more than the time.
    """
    content = {
        "data": data.digest,
        "crystals": hashlib.sha256(json.dumps(data.ids).encode()).hexdigest()[:16],
        "target": target,
        "sources": list(sources),
        "options": config.to_dict(),
    }
    file = out / OPTIONS
    if file.is_file():
        with reading(file, "the options of an adaptation", "choose another folder"):
            before = json.loads(file.read_text())
        changes = [c for c in differences(before, content) if c.name != "options.minutes"]
        if changes:
            raise ConfigError(
                f"{out}: a resumed adaptation cannot change its data and options (but minutes): "
                f"{'; '.join(map(str, changes))}"
            )
    write_durably(file, to_json(content))
