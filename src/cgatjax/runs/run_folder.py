"""A run folder: what a training leaves behind, and where a resumed one finds it.

config.toml   all options, resolved          split.json    ids of train, valid and test
history.csv   one row per epoch              model/        the best model by validation so far
state/        the last training states       report.json   of a transfer, what was carried over
inputs.json   fingerprints of the data and of the weights at the start
ensemble.json, members/0, members/1, ...   of an ensemble, instead of a model and its states
skipped_batches.jsonl   steps whose loss or gradient was not finite, with the crystals' ids
"""

import csv
import io
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tomli_w

from cgatjax.config import TrainConfig
from cgatjax.errors import ConfigError, InputError, MismatchError, RunExistsError
from cgatjax.options import Options, load_toml
from cgatjax.runtime.atomic_files import PART, write_durably, writing
from cgatjax.runtime.parse_errors import reading

logger = logging.getLogger("cgatjax")
CONFIG = "config.toml"
SPLIT = "split.json"
HISTORY = "history.csv"
REPORT = "report.json"
DATA = "data.json"
INPUTS = "inputs.json"
SKIPPED = "skipped_batches.jsonl"
ENSEMBLE = "ensemble.json"
MEMBERS = "members"
SAFE_TO_CHANGE = ("checkpoint_seconds", "max_bad_steps")
"""Training options that change no number of a run, so that a resumed one may change them."""


class Change(NamedTuple):
    """A difference between a run and its resumption; the name is dotted."""

    name: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.name}: {self.old!r} -> {self.new!r}"


class RunFolder:
    """The folder of one training run.

    Attributes:
      path: where it is.
      resuming: whether it existed and is continued.
    """

    def __init__(self, path: str | Path, *, resume: bool = False) -> None:
        """Creates the folder, or opens it to resume.

        A run that was killed before its options were written has done nothing; it begins anew.

        Raises:
          RunExistsError: it exists and is not to be resumed.
          InputError: it is to be resumed and holds no run.
          StorageError: it cannot be created.
        """
        self.path = Path(path)
        self.resuming = resume and (self.path / CONFIG).is_file()
        if resume and not self.resuming and not self._was_hardly_begun():
            raise InputError(f"{path}: nothing to resume: no {CONFIG} in it")
        if not resume and self.path.exists():
            raise RunExistsError(
                f"{path} exists; add --resume to go on with it, or choose another folder"
            )
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)

    def _was_hardly_begun(self) -> bool:
        """Whether there is a folder with nothing in it but what is written before the options."""
        found = {f.name.removesuffix(PART) for f in self.path.glob("*")}
        return self.path.is_dir() and found <= {SPLIT, DATA, CONFIG}

    def save_config(self, sections: Mapping[str, Options]) -> None:
        """Writes the resolved options; a resumed run may change only what changes no number.

        That is `SAFE_TO_CHANGE`, and more epochs where the learning rate does not depend on their
        number and the last epoch had a validation of its own right.

        Raises:
          ConfigError: resuming with other changes; the message lists each of them.
        """
        tables = {name: section.to_dict() for name, section in sections.items()}
        file = self.path / CONFIG
        if self.resuming:
            old = load_toml(file, {name: type(s) for name, s in sections.items()})
            changes = differences(old, tables)
            refused = [c for c in changes if not _is_safe(c, _train_config(sections))]
            if refused:
                raise ConfigError(
                    f"{file}: a resumed run cannot change its options: "
                    f"{'; '.join(map(str, refused))}"
                )
            for change in changes:
                logger.info("resumed with %s", change)
        write_durably(file, tomli_w.dumps(tables).encode())

    def save_inputs(self, inputs: Mapping[str, Any]) -> None:
        """Writes what else decides the outcome, or checks that it is still the same.

        Raises:
          MismatchError: data or first weights are not those of the run; each change is listed.
          InputError: the record of the run is damaged.
        """
        file = self.path / INPUTS
        if not (self.resuming and file.exists()):
            self.save_json(INPUTS, inputs)
            return
        with reading(file, "the record of a run's inputs"):
            changes = differences(json.loads(file.read_text()), inputs)
        if changes:
            raise MismatchError(
                f"{self.path}: not the data or the weights that the run began with: "
                f"{'; '.join(map(str, changes))}; resume with the same, or begin a new run"
            )

    def save_json(self, name: str, content: Any) -> None:
        """Writes a JSON file into the folder, whole or not at all."""
        write_durably(self.path / name, json.dumps(content, indent=1).encode())

    def save_history(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Writes all epochs so far as CSV."""
        names = list(dict.fromkeys(name for row in rows for name in row))
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, names)
        writer.writeheader()
        writer.writerows(rows)
        write_durably(self.path / HISTORY, text.getvalue().encode())

    def log_skipped(self, epoch: int, step: int, ids: Sequence[str]) -> None:
        """Notes a step that was left out: epoch and step in it, from 1, and the crystals' ids."""
        with writing(self.path / SKIPPED), open(self.path / SKIPPED, "a") as file:
            file.write(json.dumps({"epoch": epoch, "step": step, "ids": list(ids)}) + "\n")

    def forget_skipped(self, epoch: int, step: int) -> None:
        """Removes the notes of later steps than this one: a resumed run comes to them again."""
        file = self.path / SKIPPED
        if not file.exists():
            return
        # The kill that is resumed from may have cut the last line short.
        lines = [line for line in file.read_text().splitlines() if line.endswith("}")]
        noted = [(entry["epoch"], entry["step"]) for entry in map(json.loads, lines)]
        kept = [line for line, at in zip(lines, noted, strict=True) if at <= (epoch, step)]
        write_durably(file, "".join(f"{line}\n" for line in kept).encode())


def differences(old: Any, new: Any, name: str = "") -> list[Change]:
    """Where two nested dictionaries of plain values differ; lists and tuples are the same."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = sorted(set(old) | set(new))
        nested = [differences(old.get(k), new.get(k), f"{name}.{k}" if name else k) for k in keys]
        return [change for changes in nested for change in changes]
    plain_old, plain_new = (json.loads(json.dumps(value)) for value in (old, new))
    return [] if plain_old == plain_new else [Change(name, old, new)]


def _is_safe(change: Change, train: TrainConfig | None) -> bool:
    """Whether an uninterrupted run with the new value would have come to the same state."""
    field = change.name.split(".")[-1]
    if field == "epochs" and train is not None:
        without_end = train.schedule != "cyclical" or train.cycle_period is not None
        return without_end and change.new > change.old and change.old % train.validate_every == 0
    return field in SAFE_TO_CHANGE


def _train_config(sections: Mapping[str, Options]) -> TrainConfig | None:
    found = [getattr(section, "train", section) for section in sections.values()]
    return next((config for config in found if isinstance(config, TrainConfig)), None)
