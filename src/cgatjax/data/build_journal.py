"""The journal of a store that is being built: what is finished, so that a killed build goes on.

`unfinished.jsonl` in the store's folder begins with the options of the build. Then come, as they
happen, the crystals that could not be featurized and the shards that are on disk. A line counts
once a later shard's line stands below it, or is one itself; what was written after the last shard
is forgotten and done again.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from cgatjax.data.shard_reader import Shard
from cgatjax.data.shard_writer import SHARDS, FinishedShard
from cgatjax.data.store import JOURNAL
from cgatjax.errors import ConfigError, InputError, MismatchError
from cgatjax.runtime.atomic_files import hold, writing
from cgatjax.structures.crystal import Crystal, Rejected

_ANEW = "remove the folder and build anew"


class Journal:
    """What a build has done so far, in a file that is locked while it is open.

    Attributes:
      folder: of the store.
      shards: the finished ones, in order.
    """

    def __init__(self, folder: Path, options: Mapping[str, Any]) -> None:
        """Begins a build in an existing folder, or goes on with the one that stands there.

        Raises:
          RunExistsError: another process is at it.
          ConfigError: it was begun with other options; the message lists them.
          InputError: the journal is damaged.
          StorageError: the journal cannot be written.
        """
        self.folder = folder
        self.shards: list[FinishedShard] = []
        self._failed: dict[str, str] = {}
        self._path = folder / JOURNAL
        with writing(self._path):
            self._file: BinaryIO = open(self._path, "a+b")  # noqa: SIM115 - closed by `close`
        try:
            hold(self._file, folder, "building this store")
            self._read(json.loads(json.dumps(options)))
            self._drop_unfinished_shards()
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Lets go of the file."""
        self._file.close()

    def add_failure(self, rejected: Rejected, digest: bytes) -> None:
        """Notes a crystal that could not be featurized.

        Raises:
          StorageError: the journal cannot be written.
        """
        line = {"id": rejected.id, "source": rejected.source, "reason": rejected.reason}
        self._append({"failed": {**line, "digest": digest.hex()}})

    def add_shard(self, shard: FinishedShard) -> None:
        """Notes a shard that is on disk, and all failures before it, for good.

        Raises:
          StorageError: the journal cannot be written.
        """
        self._append({"shard": asdict(shard)})
        with writing(self._path):
            os.fsync(self._file.fileno())
        self.shards.append(shard)

    def failures(self) -> Iterator[Rejected]:
        """The crystals that could not be featurized, in order."""
        self._file.seek(0)
        for line in self._file:
            failed = json.loads(line).get("failed")
            if failed is not None:
                yield Rejected(**{key: failed[key] for key in ("id", "source", "reason")})

    def rest(self, crystals: Iterator[Crystal]) -> Iterator[Crystal]:
        """The crystals that are not done yet.

        Args:
          crystals: all of them, from the beginning.

        Raises:
          MismatchError: they are not those that the finished shards were made of.
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
                    f"structures or targets than when {shard.file} was made; {_ANEW}"
                )
        for crystal in crystals:
            if not self._has_failed(crystal):
                yield crystal

    def _expect(self, name: str, crystals: Iterator[Crystal]) -> Crystal:
        """The next crystal that had not failed; it must have this id."""
        for crystal in crystals:
            if self._has_failed(crystal):
                continue
            if crystal.id != name:
                raise MismatchError(
                    f"{self.folder}: the input has changed since the build began: expected the "
                    f"crystal {name!r}, found {crystal.id!r}; {_ANEW}"
                )
            return crystal
        raise MismatchError(
            f"{self.folder}: the input has changed since the build began: it ends before the "
            f"crystal {name!r}; {_ANEW}"
        )

    def _has_failed(self, crystal: Crystal) -> bool:
        digest = self._failed.get(crystal.id)
        if digest is not None and digest != crystal_digest(crystal).hex():
            raise MismatchError(
                f"{self.folder}: the crystal {crystal.id!r} could not be featurized and has "
                f"changed since; {_ANEW}"
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
        """Takes over what is finished, and cuts off what comes after it."""
        begun: Mapping[str, Any] = options
        end, failed = 0, {}
        self._file.seek(0)
        try:
            while (line := self._file.readline()).endswith(b"\n"):
                content = json.loads(line)
                if "failed" in content:
                    failed[content["failed"]["id"]] = content["failed"]["digest"]
                    continue
                if end == 0:
                    begun = dict(content["options"])
                else:
                    self.shards.append(_shard_of(content["shard"]))
                    self._failed |= failed
                end, failed = self._file.tell(), {}
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{self._path}: damaged: {error!r}; {_ANEW}") from error
        _compare(self.folder, begun, options)
        with writing(self._path):
            self._file.truncate(end)
        if end == 0:
            self._append({"options": options})

    def _drop_unfinished_shards(self) -> None:
        """Removes files of shards that the journal does not know: they were being written."""
        finished = {self.folder / shard.file for shard in self.shards}
        with writing(self.folder / SHARDS):
            for path in (self.folder / SHARDS).glob("*"):
                if path not in finished:
                    path.unlink()


def crystal_digest(crystal: Crystal) -> bytes:
    """Hash of all that a crystal's row is made of: id, structure and targets."""
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


def _compare(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuses options that differ from those that the build was begun with."""
    changes = [
        f"{name}: was {before.get(name)!r}, now {now.get(name)!r}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    if changes:
        raise ConfigError(
            f"{folder}: a build that is resumed cannot change its options: {'; '.join(changes)}"
        )
