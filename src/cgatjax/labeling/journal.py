"""Journal of a labeling: values that are computed, from which a stopped run is resumed.

Each line is a JSON object: the first names the calculator and the options, the others hold the
digest of a structure with its values or the reason of a failure. An incomplete last line is
dropped.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Self

from cgatjax.errors import ConfigError, InputError, RunExistsError
from cgatjax.runtime.atomic_writes import lock, writing

Value = Mapping[str, float] | str
"""Values by name, or the reason why there are none."""


class Journal:
    """Journal file, locked while it is open.

    Attributes:
      known: digest of a structure -> its values, or the reason of a failure.
    """

    def __init__(self, path: Path, options: Mapping[str, Any], *, resume: bool) -> None:
        """Start a journal, or continue one.

        Raises:
          RunExistsError: there is one and `resume` is False, or another process writes it.
          ConfigError: it is of another calculator or other options.
          InputError: it is damaged.
          StorageError: it cannot be written.
        """
        self.path = path
        self.known: dict[str, Value] = {}
        if path.exists() and not resume:
            raise RunExistsError(
                f"{path} is left from a stopped run; continue it with --resume (resume=True), or "
                "remove it"
            )
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = open(path, "a+b")  # noqa: SIM115 - closed by `close`
        try:
            lock(self._file, path.parent, "labeling these crystals")
            self._read(json.loads(json.dumps(dict(options))))
        except BaseException:
            self._close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    def add(self, values: Mapping[str, Value]) -> None:
        """Append values by digest, and wait until they are on disk."""
        self.known |= values
        lines = [json.dumps({"digest": d, "value": v}) for d, v in values.items()]
        self._write("".join(f"{line}\n" for line in lines))

    def remove(self) -> None:
        """Remove the file, once the values are saved elsewhere."""
        with writing(self.path):
            self.path.unlink(missing_ok=True)

    def _close(self) -> None:
        with writing(self.path):
            self._file.close()

    def _write(self, text: str) -> None:
        with writing(self.path):
            self._file.seek(0, os.SEEK_END)
            self._file.write(text.encode())
            self._file.flush()
            os.fsync(self._file.fileno())

    def _read(self, options: Mapping[str, Any]) -> None:
        self._file.seek(0)
        content = self._file.read()
        whole = content[: content.rfind(b"\n") + 1]
        lines = whole.splitlines()
        if not lines:
            with writing(self.path):
                self._file.truncate(0)
            self._write(json.dumps(options) + "\n")
            return
        try:
            before, *rest = [json.loads(line) for line in lines]
            self.known = {line["digest"]: line["value"] for line in rest}
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"{self.path}: damaged, remove it: {error!r:.200}") from error
        if before != options:
            raise ConfigError(
                f"{self.path}: the stopped run had {before}, not {options}; give the same options, "
                "or remove it"
            )
        with writing(self.path):
            self._file.truncate(len(whole))
