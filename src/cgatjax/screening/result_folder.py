"""The folder of a screening: finished parts while it runs, sorted results in the end.

    screening.jsonl        what was asked for; then a line for each finished part
    shards/00000.parquet   the rows kept of a part, sorted; removed in the end
    results/00000.parquet  all that is kept, sorted over all files; with a manifest of checksums
    report.json            counts, reasons, times; written last
    skipped.csv            structures that could not be used, and why

A part counts once its line is on disk, and its line is written after its shard: whatever a kill
leaves behind it is removed and done again.
"""

import csv
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cgatjax.errors import ConfigError, InputError, RunExistsError
from cgatjax.runtime.atomic_files import hold, write_durably, writing
from cgatjax.runtime.atomic_folders import damage, new_folder
from cgatjax.screening.ranked_parquet import SCHEMA, Ranked, means_of, merged, write_rows
from cgatjax.screening.ranking import Keep, Selection

JOURNAL, SHARDS, RESULTS = "screening.jsonl", "shards", "results"
REPORT, SKIPPED = "report.json", "skipped.csv"
RESULT_ROWS = 2**20
"""Rows of a file of the results."""
_ANEW = "choose another folder, or remove this one and begin anew"


@dataclass(frozen=True, kw_only=True)
class Part:
    """A finished piece of the work.

    Attributes:
      covers: which candidates, in words of their source.
      seen: candidates looked at.
      predicted: those that passed the filters.
      left_out: reason -> how many, filters and thresholds.
      skipped: (id, source, reason) of structures that could not be used.
      rows: kept rows in the shard.
      file, sha256: the shard; "" where nothing was kept.
      seconds: what it took.
    """

    covers: dict[str, Any]
    seen: int
    predicted: int
    left_out: dict[str, int] = field(default_factory=dict)
    skipped: list[list[str]] = field(default_factory=list)
    rows: int = 0
    file: str = ""
    sha256: str = ""
    seconds: float = 0.0


class ScreenFolder:
    """Journal and shards of one screening, locked while it is open.

    Attributes:
      path: the folder.
      parts: the finished ones, in order.
      selection: knows the best rows so far.
    """

    def __init__(self, path: Path, options: Mapping[str, Any], keep: Keep, *, resume: bool) -> None:
        """Begins in a new folder, or goes on in that of the same screening.

        Raises:
          RunExistsError: the folder holds something and is not to be resumed, or is in use.
          ConfigError: it was begun with other options.
          InputError: it is damaged.
        """
        self.path, self.parts = path, list[Part]()
        self.selection, self._keep = Selection(keep), keep
        held = path.is_dir() and any(path.iterdir())
        if path.exists() and not path.is_dir():
            raise RunExistsError(f"{path} is a file; {_ANEW}")
        if held and not (path / JOURNAL).is_file():
            raise RunExistsError(f"{path} holds other files than a screening; {_ANEW}")
        if held and not resume:
            raise RunExistsError(
                f"{path} holds a screening; go on with it by --resume (resume=True), or {_ANEW}"
            )
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
            self._file = open(path / JOURNAL, "a+b")  # noqa: SIM115 - closed by `close`
        try:
            hold(self._file, path, "running this screening")
            self._read(json.loads(json.dumps(options)))
            self._check_shards()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Lets go of the folder."""
        self._file.close()

    @property
    def is_finished(self) -> bool:
        """Whether the results are complete."""
        return (self.path / REPORT).is_file()

    def report(self) -> dict[str, Any]:
        """What the report of a finished screening says.

        Raises:
          InputError: it cannot be read.
        """
        try:
            found: dict[str, Any] = json.loads((self.path / REPORT).read_text())
        except (OSError, ValueError) as error:
            raise InputError(f"{self.path / REPORT}: {error}; {_ANEW}") from error
        return found

    def add(self, part: Part, rows: Ranked, about: Mapping[str, str]) -> None:
        """Puts the kept rows of a part, sorted, and then its line on disk.

        Raises:
          StorageError: they cannot be written.
        """
        if len(rows.ids):
            file = f"{SHARDS}/{len(self.parts):05d}.parquet"
            with writing(self.path / SHARDS):
                (self.path / SHARDS).mkdir(exist_ok=True)
            write_rows(self.path / file, rows.table(), about)
            digest = hashlib.sha256((self.path / file).read_bytes()).hexdigest()
            part = Part(**{**asdict(part), "rows": len(rows.ids), "file": file, "sha256": digest})
        self._append({"part": asdict(part)})
        self.parts.append(part)

    def finish(self, about: Mapping[str, str], report: Callable[[int], Mapping[str, Any]]) -> None:
        """Merges the shards into the sorted results, writes lists and report, removes the shards.

        Args:
          about: metadata of the files.
          report: what the report says, given the number of rows in the results.

        Raises:
          StorageError: something cannot be written.
        """
        files = [self.path / part.file for part in self.parts if part.file]
        n_rows = 0
        with new_folder(self.path / RESULTS) as results:
            tables = merged(files, self._keep.highest, self._keep.best, RESULT_ROWS)
            for number, table in enumerate(tables):
                write_rows(results / f"{number:05d}.parquet", table, about)
                n_rows += len(table)
            if not n_rows:
                write_rows(results / "00000.parquet", SCHEMA.empty_table(), about)
        self._write_skipped()
        text = json.dumps(report(n_rows), indent=1)
        write_durably(self.path / REPORT, text.encode())
        self._remove_shards()

    def _write_skipped(self) -> None:
        skipped = [row for part in self.parts for row in part.skipped]
        if skipped:
            text = io.StringIO(newline="")
            csv.writer(text).writerows([("id", "source", "reason"), *skipped])
            data = text.getvalue().encode("utf-8", "backslashreplace")
            write_durably(self.path / SKIPPED, data)

    def _remove_shards(self) -> None:
        with writing(self.path / SHARDS):
            shutil.rmtree(self.path / SHARDS, ignore_errors=True)

    def _append(self, line: Mapping[str, Any]) -> None:
        with writing(self.path / JOURNAL):
            self._file.seek(0, os.SEEK_END)
            self._file.write(json.dumps(line).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())

    def _read(self, options: Mapping[str, Any]) -> None:
        """Takes over what is finished, cuts off what a kill left of a line."""
        lines = []
        self._file.seek(0)
        try:
            while (line := self._file.readline()).endswith(b"\n"):
                lines.append(json.loads(line))
                end = self._file.tell()
            begun = lines[0]["options"] if lines else None
            self.parts = [Part(**line["part"]) for line in lines[1:]]
        except (ValueError, LookupError, TypeError) as error:
            raise InputError(f"{self.path / JOURNAL}: damaged: {error!r:.200}; {_ANEW}") from error
        with writing(self.path / JOURNAL):
            self._file.truncate(end if lines else 0)
        if begun is None:
            self._append({"options": options})
        elif begun != options:
            raise ConfigError(f"{self.path}: {_differences(begun, options)}; {_ANEW}")

    def _check_shards(self) -> None:
        """Removes shards without a line, and refuses lines without their shard."""
        if self.is_finished:
            if (fault := damage(self.path / RESULTS)) is not None:
                raise InputError(f"{self.path / RESULTS}: {fault}; {_ANEW}")
            self._remove_shards()
            return
        known = {self.path / part.file: part for part in self.parts if part.file}
        with writing(self.path / SHARDS):
            for file in (self.path / SHARDS).glob("*"):
                if file not in known:
                    file.unlink()
        for file, part in known.items():
            found = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "no file"
            if found != part.sha256:
                raise InputError(
                    f"{file}: expected SHA-256 {part.sha256:.16}, found {found:.16}; {_ANEW}"
                )
            self.selection.note(means_of(file))


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    names: Sequence[str] = [n for n in sorted({*before, *now}) if before.get(n) != now.get(n)]
    listing = "; ".join(f"{n}: was {before.get(n)!r:.200}, now {now.get(n)!r:.200}" for n in names)
    return f"is the folder of another screening ({listing})"
