"""Run folder: files written by a training and read when it is resumed.

config.toml    all options, resolved        split.json     ids of train, valid and test
history.csv    one row per epoch            model/         model of the best validation error so far
checkpoints/   last training checkpoints    report.json    parameters taken over in a transfer
inputs.json    hashes of the data and of the initial weights
ensemble.json, members/0, members/1, ...    runs of an ensemble, instead of model and checkpoints
skipped_batches.jsonl    steps with a loss or gradient that was not finite, with the crystals' ids
"""

import csv
import json
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import tomli_w

from cgatjax.config import TrainConfig
from cgatjax.errors import CgatjaxError, ConfigError, InputError, MismatchError, RunExistsError
from cgatjax.options import Options, load_toml
from cgatjax.runtime import PART, reading, remove_leftovers, write_csv, write_durably, writing

logger = logging.getLogger("cgatjax")
CONFIG = "config.toml"
SPLIT = "split.json"
HISTORY = "history.csv"
REPORT = "report.json"
DATA = "data.json"
INPUTS = "inputs.json"
SKIPPED = "skipped_batches.jsonl"
CHECKPOINTS = "checkpoints"
ENSEMBLE = "ensemble.json"
MEMBERS = "members"
SAFE_TO_CHANGE = ("checkpoint_seconds", "max_bad_steps")
"""Training options without influence on the results, which a resumed run may change."""


class Change(NamedTuple):
    """Difference between a run and its resumption; the name is dotted."""

    name: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.name}: {self.old!r} -> {self.new!r}"


class RunFolder:
    """Folder of one training run.

    Attributes:
      path: the folder.
      resuming: True if it existed and is resumed.
    """

    def __init__(self, path: str | Path, *, resume: bool = False) -> None:
        """Create the folder, or open it to resume.

        A run that was killed before its options were written starts from the beginning.

        Raises:
          RunExistsError: the folder exists and `resume` is False.
          InputError: `resume` is True and the folder holds no run.
        """
        self.path = Path(path)
        self._is_new = not self.path.exists()
        self.resuming = resume and (self.path / CONFIG).is_file()
        if resume and not self.resuming and not self._has_no_options():
            raise InputError(f"{path}: nothing to resume: no {CONFIG} in it")
        if not resume and self.path.exists():
            raise RunExistsError(
                f"{path} exists; add --resume to continue it, or choose another folder"
            )
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        if resume:
            remove_leftovers(self.path)

    def is_finished(self, epochs: int) -> bool:
        """Check whether a resumed run has done this number of epochs, with its model written."""
        return self.resuming and epochs_done(self.path) == epochs

    def begin(self) -> None:
        """Mark the run as begun: its folder is kept whatever happens."""
        self._is_new = False

    def remove_if_untrained(self) -> None:
        """Remove the files of a run that this object created and that took no step."""
        if not self._is_new or any(self.path.glob(f"{MEMBERS}/*")):
            return
        for name in (CONFIG, SPLIT, DATA, INPUTS, REPORT, ENSEMBLE):
            (self.path / name).unlink(missing_ok=True)
        for name in (CHECKPOINTS, "embeddings", "tensorboard", MEMBERS):
            shutil.rmtree(self.path / name, ignore_errors=True)
        # A file of somebody else stays.
        with suppress(OSError):
            self.path.rmdir()

    def _has_no_options(self) -> bool:
        """True if the run was killed before config.toml was written."""
        found = {f.name.removesuffix(PART) for f in self.path.glob("*")}
        return self.path.is_dir() and found <= {SPLIT, DATA, CONFIG}

    def save_config(self, sections: Mapping[str, Options]) -> None:
        """Write the resolved options; a resumed run may only change those without influence.

        They are `SAFE_TO_CHANGE`, and the number of epochs if it grows, the learning rate does not
        depend on it, and the last epoch had a regular validation.

        Raises:
          ConfigError: other options of a resumed run have changed; the message lists them.
        """
        tables = {name: section.to_dict() for name, section in sorted(sections.items())}
        file = self.path / CONFIG
        with writing(self.path):  # a call that ended before its first step removed it
            self.path.mkdir(parents=True, exist_ok=True)
        if self.resuming:
            old = load_toml(file, {name: type(s) for name, s in sections.items()})
            changes = differences(old, tables)
            refused = [c for c in changes if not _is_safe(c, _train_config(sections))]
            if refused:
                raise ConfigError(
                    f"{file}: a resumed run cannot change its options: "
                    f"{'; '.join(map(str, refused))}{_how_to_train_longer(refused)}"
                )
            for change in changes:
                logger.info("resumed with %s", change)
        write_durably(file, tomli_w.dumps(tables).encode())

    def save_inputs(self, inputs: Mapping[str, Any]) -> None:
        """Write the hashes of data and initial weights, or compare them with those of the run.

        Raises:
          MismatchError: data or initial weights have changed; the message lists the changes.
          InputError: the file is damaged.
        """
        file = self.path / INPUTS
        if not (self.resuming and file.exists()):
            self.save_json(INPUTS, inputs)
            return
        with reading(file, "the record of a run's inputs"):
            changes = differences(json.loads(file.read_text()), inputs)
        if changes:
            raise MismatchError(
                f"{self.path}: expected the data and initial weights of the run: "
                f"{'; '.join(map(str, changes))}; resume with the same, or start a new run"
            )

    def save_json(self, name: str, content: Any) -> None:
        """Write a JSON file into the folder, atomically."""
        write_durably(self.path / name, json.dumps(content, indent=1).encode())

    def save_history(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write all epochs so far as CSV."""
        names = list(dict.fromkeys(name for row in rows for name in row))
        write_csv(self.path / HISTORY, [names, *([row.get(n) for n in names] for row in rows)])

    def log_skipped(self, epoch: int, step: int, ids: Sequence[str]) -> None:
        """Log a skipped step: epoch, step of the epoch from 1, and the crystals' ids."""
        with writing(self.path / SKIPPED), open(self.path / SKIPPED, "a") as file:
            file.write(json.dumps({"epoch": epoch, "step": step, "ids": list(ids)}) + "\n")

    def forget_skipped(self, epoch: int, step: int) -> None:
        """Remove later steps from the log: a resumed run repeats them."""
        file = self.path / SKIPPED
        if not file.exists():
            return
        # The kill that is resumed from may have cut the last line short.
        lines = [line for line in file.read_text().splitlines() if line.endswith("}")]
        noted = [(entry["epoch"], entry["step"]) for entry in map(json.loads, lines)]
        kept = [line for line, at in zip(lines, noted, strict=True) if at <= (epoch, step)]
        write_durably(file, "".join(f"{line}\n" for line in kept).encode())


@contextmanager
def removed_if_untrained(run: RunFolder | None) -> Iterator[None]:
    """Remove a new run folder if an error of the user ends the call before the first step."""
    try:
        yield
    except CgatjaxError:
        if run is not None:
            run.remove_if_untrained()
        raise


def epochs_done(path: Path) -> int:
    """Read the number of epochs in the history of a run folder, 0 if it has none."""
    file = path / HISTORY
    if not file.is_file():
        return 0
    with reading(file, "a run's history"), open(file, newline="") as text:
        rows = list(csv.DictReader(text))
        return int(rows[-1]["epoch"]) if rows else 0


def differences(old: Any, new: Any, name: str = "") -> list[Change]:
    """List the differences of two nested dictionaries; lists and tuples are equal."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = sorted(set(old) | set(new))
        nested = [differences(old.get(k), new.get(k), f"{name}.{k}" if name else k) for k in keys]
        return [change for changes in nested for change in changes]
    plain_old, plain_new = (json.loads(json.dumps(value)) for value in (old, new))
    return [] if plain_old == plain_new else [Change(name, old, new)]


def _is_safe(change: Change, train: TrainConfig | None) -> bool:
    """True if an uninterrupted run with the new value would have reached the same state."""
    field = change.name.split(".")[-1]
    if field == "epochs" and train is not None:
        # A cycle of the whole training would change the rates of past epochs. The last epoch is
        # always validated; a longer run would not have validated there out of turn.
        without_end = train.schedule in ("plateau", "constant") or (
            train.schedule == "cyclical" and train.cycle_period is not None
        )
        return without_end and change.new > change.old and change.old % train.validate_every == 0
    return field in SAFE_TO_CHANGE


def _how_to_train_longer(refused: Sequence[Change]) -> str:
    longer = [c for c in refused if c.name.endswith("epochs") and c.new > c.old]
    if not longer:
        return ""
    return (
        ". The rates of its epochs depend on their number (or on validations between them). To "
        "train longer, continue in a new run, transfer --from RUN --mode full --normalizer keep; "
        "runs with --schedule plateau or constant, or a --cycle-period, can be resumed with more "
        "--epochs"
    )


def _train_config(sections: Mapping[str, Options]) -> TrainConfig | None:
    found = [getattr(section, "train", section) for section in sections.values()]
    return next((config for config in found if isinstance(config, TrainConfig)), None)
