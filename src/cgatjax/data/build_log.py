"""Log of an unfinished store, from which a killed build is resumed.

`unfinished.jsonl` in the store's folder begins with the options of the build. Crystals that could
not be featurized and shards that are on disk follow in the order of events. A shard's line confirms
itself and the lines above it; what follows the last shard is dropped and done again.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from cgatjax.data.shard_reader import Shard
from cgatjax.data.shard_writer import SHARDS, FinishedShard
from cgatjax.data.store import BUILD_LOG
from cgatjax.errors import ConfigError, MismatchError
from cgatjax.runtime.atomic_writes import lock, writing
from cgatjax.runtime.parse_errors import reading
from cgatjax.structures.crystal import Crystal, Rejected

_REBUILD = "remove the folder and build the store again"


class BuildLog:
    """Log file of a build, locked while it is open.

    Attributes:
      folder: folder of the store.
      shards: finished shards, in order.
    """

    def __init__(self, folder: Path, options: Mapping[str, Any]) -> None:
        """Start the log in an existing folder, or continue the one in it.

        Raises:
          RunExistsError: another process is building the store.
          ConfigError: the log has other options; the message lists them.
          InputError: the log is damaged.
          StorageError: the log cannot be written.
        """
        self.folder = folder
        self.shards: list[FinishedShard] = []
        self._failed: dict[str, str] = {}
        self._path = folder / BUILD_LOG
        with writing(self._path):
            self._file: BinaryIO = open(self._path, "a+b")  # noqa: SIM115 - closed by `close`
        with ExitStack() as on_failure:
            on_failure.callback(self.close)
            lock(self._file, folder, "building this store")
            self._read(json.loads(json.dumps(options)))
            self._drop_unfinished_shards()
            on_failure.pop_all()

    def close(self) -> None:
        """Close and unlock the file.

        Raises:
          StorageError: a line that could not be written before cannot be written now either.
        """
        with writing(self._path):
            self._file.close()

    def add_failure(self, rejected: Rejected, digest: bytes) -> None:
        """Log a crystal that could not be featurized.

        Raises:
          StorageError: the log cannot be written.
        """
        line = {"id": rejected.id, "source": rejected.source, "reason": rejected.reason}
        self._append({"failed": {**line, "digest": digest.hex()}})

    def add_shard(self, shard: FinishedShard) -> None:
        """Log a shard that is on disk; confirms all failures before it.

        Raises:
          StorageError: the log cannot be written.
        """
        self._append({"shard": asdict(shard)})
        with writing(self._path):
            os.fsync(self._file.fileno())
        self.shards.append(shard)

    def failures(self) -> Iterator[Rejected]:
        """Yield the crystals that could not be featurized, in order."""
        self._file.seek(0)
        for line in self._file:
            failed = json.loads(line).get("failed")
            if failed is not None:
                yield Rejected(**{key: failed[key] for key in ("id", "source", "reason")})

    def remaining(self, crystals: Iterator[Crystal]) -> Iterator[Crystal]:
        """Yield the crystals after the finished shards.

        Args:
          crystals: all crystals, from the beginning.

        Raises:
          MismatchError: the finished shards were made of other crystals.
          InputError: a finished shard is damaged.
        """
        for shard in self.shards:
            digests = hashlib.sha256()
            names = self._ids_of(shard)
            for name in names:
                digests.update(crystal_digest(self._expect(name, crystals)))
            if digests.hexdigest() != shard.crystals:
                raise MismatchError(
                    f"{self.folder}: the crystals {names[0]!r} to {names[-1]!r} have other "
                    f"structures or targets than when {shard.file} was made; {_REBUILD}"
                )
        for crystal in crystals:
            if not self._has_failed(crystal):
                yield crystal

    def _expect(self, name: str, crystals: Iterator[Crystal]) -> Crystal:
        """Return the next crystal that had not failed; it must have this id."""
        for crystal in crystals:
            if self._has_failed(crystal):
                continue
            if crystal.id != name:
                raise MismatchError(
                    f"{self.folder}: the input has changed since the build began: expected the "
                    f"crystal {name!r}, found {crystal.id!r}; {_REBUILD}"
                )
            return crystal
        raise MismatchError(
            f"{self.folder}: the input has changed since the build began: it ends before the "
            f"crystal {name!r}; {_REBUILD}"
        )

    def _has_failed(self, crystal: Crystal) -> bool:
        digest = self._failed.get(crystal.id)
        if digest is not None and digest != crystal_digest(crystal).hex():
            raise MismatchError(
                f"{self.folder}: the crystal {crystal.id!r} could not be featurized and has "
                f"changed since; {_REBUILD}"
            )
        return digest is not None

    def _ids_of(self, shard: FinishedShard) -> list[str]:
        file = Shard(self.folder / shard.file, shard.entry)
        file.verify()
        return file.strings("id").to_pylist()

    def _append(self, line: Mapping[str, Any]) -> None:
        with writing(self._path):
            self._file.seek(0, os.SEEK_END)
            self._file.write(json.dumps(line).encode() + b"\n")
            self._file.flush()

    def _read(self, options: Mapping[str, Any]) -> None:
        """Read the finished shards, and cut off the lines after the last one."""
        logged: Mapping[str, Any] = options
        end, failed = 0, {}
        self._file.seek(0)
        with reading(self._path, "the log of a build", _REBUILD):
            # A kill may cut the last line short: without its newline it does not count.
            while (line := self._file.readline()).endswith(b"\n"):
                content = json.loads(line)
                if "failed" in content:
                    failed[content["failed"]["id"]] = content["failed"]["digest"]
                    continue
                if end == 0:
                    logged = dict(content["options"])
                else:
                    self.shards.append(_shard_of(content["shard"]))
                    self._failed |= failed
                end, failed = self._file.tell(), {}
        _require_same(self.folder, logged, options)
        with writing(self._path):
            self._file.truncate(end)
        if end == 0:
            self._append({"options": options})

    def _drop_unfinished_shards(self) -> None:
        """Remove shards that are not in the log: they were being written."""
        finished = {self.folder / shard.file for shard in self.shards}
        with writing(self.folder / SHARDS):
            for path in (self.folder / SHARDS).glob("*"):
                if path not in finished:
                    path.unlink()


def crystal_digest(crystal: Crystal) -> bytes:
    """Hash a crystal's id, structure and targets, which decide its row."""
    targets = sorted((name, float(value)) for name, value in crystal.targets.items())
    digest = hashlib.blake2b(repr((crystal.id, targets)).encode(), digest_size=16)
    for array, dtype in (
        (crystal.lattice, "<f8"),
        (crystal.frac_coords, "<f8"),
        (crystal.atomic_numbers, "u1"),
    ):
        digest.update(array.astype(dtype).tobytes())
    return digest.digest()


def _shard_of(fields: Mapping[str, Any]) -> FinishedShard:
    return FinishedShard(**{**fields, "targets": tuple(fields["targets"])})


def _require_same(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise ConfigError if options have changed since the build began."""
    changes = [
        f"{name}: was {before.get(name)!r}, now {now.get(name)!r}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    if changes:
        raise ConfigError(
            f"{folder}: a resumed build cannot change its options: {'; '.join(changes)}"
        )
