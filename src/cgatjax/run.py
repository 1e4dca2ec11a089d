"""A run folder: what a training leaves behind, and where a resumed one finds it.

config.toml   all options, resolved          split.json    ids of train, valid and test
history.csv   one row per epoch              model/        the best model by validation
state/        last training state (orbax)    report.json   of a transfer, what was carried over
"""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from cgatjax.errors import ConfigError, InputError, RunExistsError
from cgatjax.options import Options, load_toml

CONFIG = "config.toml"
SPLIT = "split.json"
HISTORY = "history.csv"
REPORT = "report.json"
DATA = "data.json"
SAFE_TO_CHANGE = ("checkpoint_seconds",)
"""Training options that a resumed run may change."""


class RunFolder:
    """The folder of one training run.

    Attributes:
      path: where it is.
      resuming: whether it existed and is continued.
    """

    def __init__(self, path: str | Path, *, resume: bool = False) -> None:
        """Creates the folder, or opens it to resume.

        Raises:
          RunExistsError: it exists and is not to be resumed.
          InputError: it is to be resumed and holds no run.
        """
        self.path = Path(path)
        self.resuming = resume
        if resume and not (self.path / CONFIG).is_file():
            raise InputError(f"{path}: nothing to resume: no {CONFIG} in it")
        if not resume and self.path.exists():
            raise RunExistsError(
                f"{path} exists; add --resume to go on with it, or choose another folder"
            )
        self.path.mkdir(parents=True, exist_ok=True)

    def save_config(self, sections: Mapping[str, Options]) -> None:
        """Writes the resolved options, or checks that a resumed run has the same ones.

        Raises:
          ConfigError: resuming with changed options; the message lists each change.
        """
        tables = {name: section.to_dict() for name, section in sections.items()}
        file = self.path / CONFIG
        if self.resuming:
            old = load_toml(file, {name: type(s) for name, s in sections.items()})
            changes = _changes(_plain(old), _plain(tables))
            if changes:
                raise ConfigError(
                    f"{file}: a resumed run cannot change its options: {'; '.join(changes)}"
                )
            return
        file.write_bytes(tomli_w.dumps(tables).encode())

    def save_json(self, name: str, content: Any) -> None:
        """Writes a JSON file into the folder."""
        (self.path / name).write_text(json.dumps(content, indent=1))

    def save_history(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Writes all epochs so far as CSV."""
        names = list(dict.fromkeys(name for row in rows for name in row))
        part = self.path / f"{HISTORY}.part"
        with open(part, "w", newline="") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)
        part.replace(self.path / HISTORY)


def _changes(old: Any, new: Any, name: str = "") -> list[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = sorted(set(old) | set(new))
        nested = [_changes(old.get(k), new.get(k), f"{name}.{k}" if name else k) for k in keys]
        return [change for changes in nested for change in changes]
    if old == new or name.split(".")[-1] in SAFE_TO_CHANGE:
        return []
    return [f"{name}: was {old!r}, now {new!r}"]


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))
