"""Journal of a long work: JSON lines of what is done, from which a stopped work is resumed."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

from cgatjax.errors import ConfigError
from cgatjax.runtime.files import lock, reading, writing


class Journal:
    """File of JSON lines, locked while it is open; the first line holds the options of the work.

    A kill may cut the last line short: without its newline it does not count, and is removed.
    """

    def __init__(self, path: Path, options: Mapping[str, Any], doing: str, advice: str) -> None:
        """Start the journal, or continue the one in the file, whose folder exists.

        `doing` and `advice` complete the messages.

        Raises:
          RunExistsError: another process has locked the journal.
          ConfigError: it has other options; the message lists them.
          InputError: it is damaged.
        """
        self.path = path
        with writing(path):
            self._file = open(path, "a+b")  # noqa: SIM115 - closed by `close`
        with ExitStack() as on_failure:
            on_failure.callback(self.close)
            lock(self._file, path.parent, doing)
            self._begin(json.loads(json.dumps(options)), advice)
            on_failure.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close and unlock the file; an error is that of a line which could not be written."""
        with writing(self.path):
            self._file.close()

    def entries(self) -> Iterator[dict[str, Any]]:
        """Yield the lines after the first one, in order."""
        self._file.seek(0)
        self._file.readline()
        yield from map(json.loads, self._file)

    def append(self, *entries: Mapping[str, Any], durably: bool = True) -> None:
        """Write lines, and wait until they and all before them are on disk unless told not to."""
        with writing(self.path):
            self._file.seek(0, os.SEEK_END)
            self._file.write("".join(f"{json.dumps(entry)}\n" for entry in entries).encode())
            self._file.flush()
            if durably:
                os.fsync(self._file.fileno())

    def keep(self, n: int) -> None:
        """Remove the entries after the first n."""
        self._file.seek(0)
        for _ in range(1 + n):
            self._file.readline()
        with writing(self.path):
            self._file.truncate(self._file.tell())

    def remove(self) -> None:
        """Remove the file, once the work is done."""
        with writing(self.path), suppress(FileNotFoundError):
            self.path.unlink()

    def _begin(self, options: Mapping[str, Any], advice: str) -> None:
        end, before = 0, None
        self._file.seek(0)
        with reading(self.path, "a journal", advice):
            while (line := self._file.readline()).endswith(b"\n"):
                content, end = json.loads(line), self._file.tell()
                before = dict(content["options"]) if before is None else before
        if before is not None and before != options:
            changes = [
                f"{name}: was {before.get(name)!r:.200}, now {options.get(name)!r:.200}"
                for name in sorted({*before, *options})
                if before.get(name) != options.get(name)
            ]
            raise ConfigError(
                f"{self.path}: resume with the same options, or {advice}: {'; '.join(changes)}"
            )
        with writing(self.path):
            self._file.truncate(end)
        if before is None:
            self.append({"options": options})
