"""Loggers of training curves: TensorBoard and Weights & Biases.

`history.csv` is the record of a run; a logger gets the same numbers. A resumed run passes every
epoch again, from the first one on: a logger fills in what a kill lost, and skips what it has.
"""

import importlib.util
import json
import re
import secrets
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from cgatjax.errors import ConfigError, MissingExtraError
from cgatjax.runtime import reading, write_durably, writing

LOGGERS = ("tensorboard", "wandb")
"""Names of the loggers of `make_logger`, and of the extras that they need."""

_PACKAGES = {"tensorboard": "tensorboardX", "wandb": "wandb"}
_GROUPS = ("train", "valid", "seconds")
_HEADER, _CHECKSUM = struct.Struct("<Q"), struct.Struct("<I")


class Logger(Protocol):
    """Logger of the numbers of each epoch."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Log the values of an epoch, unless it was logged before.

        Args:
          step: number of finished epochs.
          values: name -> number; "/" in a name makes groups.
        """

    def close(self) -> None:
        """Write buffered values; the last call."""


def make_logger(name: str, run: str | Path) -> Logger:
    """Make the logger of a run folder: `tensorboard/` in it, or a W&B run of the folder's name.

    Args:
      name: one of `LOGGERS`.
      run: the folder; nothing is written before the first values.

    Raises:
      ConfigError: an unknown name.
      MissingExtraError: the logger's package is not installed.
    """
    run = Path(run)
    if name == "tensorboard":
        return TensorBoardLogger(run / "tensorboard")
    if name == "wandb":
        return WandbLogger(run)
    raise ConfigError(f"expected a logger among {list(LOGGERS)}, got {name!r}")


def curves(row: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of an epoch under the names of a logger.

    >>> curves({"epoch": 2, "rate": 0.5, "train_loss": 0.25, "valid_mae:e-form": 0.125})
    {'rate': 0.5, 'train/loss': 0.25, 'valid/mae/e-form': 0.125}
    """
    numbers = {k: v for k, v in row.items() if k != "epoch" and isinstance(v, int | float)}
    return {_grouped(name): float(value) for name, value in numbers.items()}


def _grouped(name: str) -> str:
    group, _, rest = name.partition("_")
    return f"{group}/{rest.replace(':', '/', 1)}" if group in _GROUPS and rest else name


class TensorBoardLogger:
    """Logger to TensorBoard's event files (extra `tensorboard`)."""

    def __init__(self, folder: str | Path) -> None:
        """Check that the package is installed; nothing is written yet.

        Args:
          folder: folder of the event files, made with the first values; `tensorboard --logdir
            FOLDER` shows them.

        Raises:
          MissingExtraError: tensorboardX is not installed.
        """
        _require("tensorboard")
        self._folder = Path(folder)
        self._writer: Any = None
        self._seen: set[tuple[str, int]] = set()

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Write the values of this step that are not in the folder.

        Characters that TensorBoard does not allow in names become "_".
        """
        with writing(self._folder):
            writer = self._opened()
            for name, value in values.items():
                tag = re.sub(r"[^-/\w.]", "_", name)
                if (tag, step) not in self._seen:
                    writer.add_scalar(tag, value, step)
                    self._seen.add((tag, step))
            writer.flush()

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()

    def _opened(self) -> Any:
        if self._writer is None:
            from tensorboardX import SummaryWriter

            self._seen = {(tag, step) for tag, step, _ in read_events(self._folder)}
            # Files are named by the second: a run resumed within one must not overwrite the first.
            number = len(list(self._folder.glob("events.out.tfevents.*")))
            self._writer = SummaryWriter(str(self._folder), filename_suffix=f".{number}")
        return self._writer


def read_events(folder: str | Path) -> Iterator[tuple[str, int, float]]:
    """Yield (name, step, value) of the numbers in a folder's event files, in order.

    A file truncated by a kill ends at its last complete record.

    Raises:
      MissingExtraError: tensorboardX is not installed.
    """
    _require("tensorboard")
    from tensorboardX.proto.event_pb2 import Event

    for file in sorted(Path(folder).glob("events.out.tfevents.*")):
        for record in _records(file.read_bytes()):
            event = Event.FromString(record)
            for value in event.summary.value:
                yield value.tag, event.step, value.simple_value


def _records(content: bytes) -> Iterator[bytes]:
    """Yield the records of an event file: length, its checksum, bytes, their checksum."""
    start = 0
    while (header := _checked(content, start, _HEADER.size)) is not None:
        start += _HEADER.size + _CHECKSUM.size
        record = _checked(content, start, *_HEADER.unpack(header))
        if record is None:
            return
        yield record
        start += len(record) + _CHECKSUM.size


def _checked(content: bytes, start: int, size: int) -> bytes | None:
    """Return bytes followed by their checksum; None if missing or the checksum is wrong."""
    from tensorboardX.record_writer import masked_crc32c

    part, checksum = content[start : start + size], content[start + size :][: _CHECKSUM.size]
    is_whole = len(part) == size and len(checksum) == _CHECKSUM.size
    return part if is_whole and _CHECKSUM.unpack(checksum)[0] == masked_crc32c(part) else None


class WandbLogger:
    """Logger to Weights & Biases (extra `wandb`), online or for `wandb sync`.

    wandb's own settings apply: `wandb login`, WANDB_MODE=offline, WANDB_ENTITY.
    """

    FILE = "wandb.json"

    def __init__(
        self,
        folder: str | Path,
        *,
        project: str | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        """Check that the package is installed; nothing is sent yet.

        Args:
          folder: run folder; its name is that of the W&B run, whose id is in `wandb.json`.
          project: W&B project; None for WANDB_PROJECT or, without it, W&B's default.
          config: options shown with the run.

        Raises:
          MissingExtraError: wandb is not installed.
        """
        _require("wandb")
        self._folder, self._project = Path(folder), project
        self._config = dict(config or {})
        self._run: Any = None
        self._id, self._next = "", 0

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Send the values, if the run does not have this step.

        Raises:
          InputError: the id of a resumed run cannot be read.
        """
        if self._run is None:
            self._open()
        if step >= self._next:
            self._run.log(dict(values), step=step)
            self._next = step + 1
            self._save()

    def close(self) -> None:
        """End the session; the run can be resumed."""
        if self._run is not None:
            self._run.finish()

    def _open(self) -> None:
        import wandb

        is_old = (self._folder / self.FILE).exists()
        self._id, self._next = self._saved() if is_old else (secrets.token_hex(4), 0)
        with writing(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=self._project,
            name=self._folder.name,
            id=self._id,
            dir=str(self._folder),
            config=self._config,
            resume="allow" if is_old else None,
        )
        if self._run.resumed:  # the server knows the steps that arrived
            self._next = self._run.step
        self._save()

    def _saved(self) -> tuple[str, int]:
        file = self._folder / self.FILE
        with reading(file, "the id of a W&B run", "remove it to start a new run"):
            content = json.loads(file.read_text())
            return str(content["id"]), int(content["next"])

    def _save(self) -> None:
        content = json.dumps({"id": self._id, "next": self._next})
        write_durably(self._folder / self.FILE, content.encode())


def _require(extra: str) -> None:
    if importlib.util.find_spec(_PACKAGES[extra]) is None:
        raise MissingExtraError(
            f"logging to {extra} needs {_PACKAGES[extra]}: pip install {_PACKAGES[extra]}"
        )
