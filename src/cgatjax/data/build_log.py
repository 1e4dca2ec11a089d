"""Log of an unfinished store, from which a killed build is resumed.

`unfinished.jsonl` in the store's folder begins with the options of the build. Crystals that could
not be featurized and shards that are on disk follow in the order of events. A shard's line confirms
itself and the lines above it; what follows the last shard is dropped and done again.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cgatjax.data.shard_reader import Shard
from cgatjax.data.shard_writer import SHARDS, FinishedShard
from cgatjax.data.store import BUILD_LOG
from cgatjax.errors import MismatchError
from cgatjax.runtime import reading, writing
from cgatjax.runtime.journal import Journal
from cgatjax.structures import Crystal, Rejected, structure_digest

_REBUILD = "remove the folder and build the store again"


class BuildLog(Journal):
    """Journal of a build in the `folder` of a store, with the finished `shards` in order."""

    def __init__(self, folder: Path, options: Mapping[str, Any]) -> None:
        """Start the log in an existing folder, or continue the one in it, as of `Journal`."""
        super().__init__(folder / BUILD_LOG, options, "building this store", _REBUILD)
        self.folder, self.shards = folder, list[FinishedShard]()
        self._failed: dict[str, str] = {}
        with ExitStack() as on_failure:
            on_failure.callback(self.close)
            self._read()
            self._drop_unfinished_shards()
            on_failure.pop_all()

    def add_failure(self, rejected: Rejected, digest: bytes) -> None:
        """Log a crystal that could not be featurized."""
        line = {"id": rejected.id, "source": rejected.source, "reason": rejected.reason}
        self.append({"failed": {**line, "digest": digest.hex()}}, durably=False)

    def add_shard(self, shard: FinishedShard) -> None:
        """Log a shard that is on disk; confirms all failures before it."""
        self.append({"shard": asdict(shard)})
        self.shards.append(shard)

    def failures(self) -> Iterator[Rejected]:
        """Yield the crystals that could not be featurized, in order."""
        for failed in (entry["failed"] for entry in self.entries() if "failed" in entry):
            yield Rejected(**{key: failed[key] for key in ("id", "source", "reason")})

    def remaining(self, crystals: Iterator[Crystal]) -> Iterator[Crystal]:
        """Yield those of all crystals that come after the finished shards.

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

    def _read(self) -> None:
        """Read the finished shards, and cut off the lines after the last one."""
        kept, failed = 0, dict[str, str]()
        with reading(self.path, "the log of a build", _REBUILD):
            for number, entry in enumerate(self.entries(), 1):
                if "failed" in entry:
                    failed[entry["failed"]["id"]] = entry["failed"]["digest"]
                    continue
                self.shards.append(_shard_of(entry["shard"]))
                self._failed |= failed
                kept, failed = number, {}
        self.keep(kept)

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
    return structure_digest(crystal, repr((crystal.id, targets)))


def _shard_of(fields: Mapping[str, Any]) -> FinishedShard:
    return FinishedShard(**{**fields, "targets": tuple(fields["targets"])})
