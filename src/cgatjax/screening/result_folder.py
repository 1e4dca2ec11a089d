"""Result folder of a screening: finished chunks while it runs, sorted results at the end.

    screening.jsonl        options of the screening, then a line for each finished chunk
    shards/00000.parquet   sorted rows kept from a chunk; removed at the end
    results/00000.parquet  all rows kept, sorted across all files; with a manifest of checksums
    report.json            counts, reasons, times; written last
    skipped.csv            structures that could not be used, and the reasons

The line of a chunk is written after its shard, and a chunk is finished once its line is on disk: a
shard without a line, left by a kill, is removed and computed again.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from cgatjax.errors import InputError, RunExistsError
from cgatjax.runtime import (
    damage,
    new_folder,
    reading,
    sha256_of,
    write_csv,
    write_durably,
    writing,
)
from cgatjax.runtime.journal import Journal
from cgatjax.screening.ranked_parquet import SCHEMA, Rows, means_of, merged, write_rows
from cgatjax.screening.ranking import Keep, Selection

JOURNAL, SHARDS, RESULTS = "screening.jsonl", "shards", "results"
REPORT, SKIPPED = "report.json", "skipped.csv"
RESULT_ROWS = 2**20
"""Rows per result file."""
_START_OVER = "choose another folder, or remove this one to start over"


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Journal entry of a finished chunk of candidates.

    Attributes:
      covers: range of candidates, as the candidate source describes it.
      seen, predicted: number of candidates considered, and of those that passed the filters.
      left_out: reason -> number of candidates left out by filters and thresholds.
      skipped: (id, source, reason) of structures that could not be used.
      rows: number of rows in the shard; without any, `file` and `sha256` are "".
      seconds: wall time.
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


class ResultFolder:
    """Journal and shards of one screening, locked while it is open; keeps the best rows so far."""

    def __init__(self, path: Path, options: Mapping[str, Any], keep: Keep, *, resume: bool) -> None:
        """Create the folder, or open that of the same screening.

        Raises:
          RunExistsError: the folder is in use, or not empty and `resume` is False.
          ConfigError: the folder belongs to a screening with other options.
          InputError: the folder is damaged.
        """
        self.path, self.chunks = path, list[Chunk]()
        self.selection, self._keep = Selection(keep), keep
        occupied = path.is_dir() and any(path.iterdir())
        if path.exists() and not path.is_dir():
            raise RunExistsError(f"expected a folder, {path} is a file; {_START_OVER}")
        if occupied and not (path / JOURNAL).is_file():
            raise RunExistsError(f"{path} holds other files than a screening; {_START_OVER}")
        if occupied and not resume:
            raise RunExistsError(
                f"{path} holds a screening; resume it with --resume (resume=True), or {_START_OVER}"
            )
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
        self._journal = Journal(path / JOURNAL, options, "running this screening", _START_OVER)
        with ExitStack() as on_failure:
            on_failure.callback(self.close)
            with reading(path / JOURNAL, "the journal of a screening", _START_OVER):
                self.chunks = [Chunk(**entry["chunk"]) for entry in self._journal.entries()]
            self._check_shards()
            on_failure.pop_all()

    def close(self) -> None:
        """Close the journal, which releases the lock of the folder."""
        self._journal.close()

    @property
    def is_finished(self) -> bool:
        """True if the results are complete."""
        return (self.path / REPORT).is_file()

    def report(self) -> dict[str, Any]:
        """Read the report of a finished screening; InputError if that is not possible."""
        try:
            found: dict[str, Any] = json.loads((self.path / REPORT).read_text())
        except (OSError, ValueError) as error:
            raise InputError(f"{self.path / REPORT}: {error}; {_START_OVER}") from error
        return found

    def add(self, chunk: Chunk, rows: Rows) -> None:
        """Write the sorted rows kept from a chunk, then its journal line."""
        if len(rows):
            file = f"{SHARDS}/{len(self.chunks):05d}.parquet"
            write_rows(self.path / file, rows, {})
            digest = sha256_of(self.path / file)
            chunk = replace(chunk, rows=len(rows), file=file, sha256=digest)
        self._journal.append({"chunk": asdict(chunk)})
        self.chunks.append(chunk)

    def finish(
        self, metadata: Mapping[str, str], report: Callable[[int], Mapping[str, Any]]
    ) -> None:
        """Merge the shards into the sorted results, write the report, and remove the shards.

        `report` makes the report from the number of rows in the results.
        """
        files = [self.path / chunk.file for chunk in self.chunks if chunk.file]
        n_rows = 0
        with new_folder(self.path / RESULTS) as results:
            tables = merged(files, self._keep.highest, self._keep.best, RESULT_ROWS)
            for number, table in enumerate(tables):
                write_rows(results / f"{number:05d}.parquet", table, metadata)
                n_rows += len(table)
            if not n_rows:
                write_rows(results / "00000.parquet", SCHEMA.empty_table(), metadata)
        self._write_skipped()
        text = json.dumps(report(n_rows), indent=1)
        write_durably(self.path / REPORT, text.encode())
        self._remove_shards()

    def _write_skipped(self) -> None:
        skipped = [row for chunk in self.chunks for row in chunk.skipped]
        if skipped:
            write_csv(self.path / SKIPPED, [("id", "source", "reason"), *skipped])

    def _remove_shards(self) -> None:
        with writing(self.path / SHARDS):
            shutil.rmtree(self.path / SHARDS, ignore_errors=True)

    def _check_shards(self) -> None:
        """Remove shards without a journal line, and refuse lines without their shard."""
        if self.is_finished:
            if (fault := damage(self.path / RESULTS)) is not None:
                raise InputError(f"{self.path / RESULTS}: {fault}; {_START_OVER}")
            self._remove_shards()
            return
        known = {self.path / chunk.file: chunk for chunk in self.chunks if chunk.file}
        with writing(self.path / SHARDS):
            for file in (self.path / SHARDS).glob("*"):
                if file not in known:
                    file.unlink()
        for file, chunk in known.items():
            found = sha256_of(file) if file.is_file() else "no file"
            if found != chunk.sha256:
                raise InputError(
                    f"{file}: expected SHA-256 {chunk.sha256:.16}, got {found:.16}; {_START_OVER}"
                )
            self.selection.note(means_of(file))
