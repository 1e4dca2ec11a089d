"""Atomic folders with a manifest of checksums.

A folder is filled under a temporary name beside its final one and then renamed. A crash at any
moment leaves the earlier folder or the new one. During the exchange of the two the earlier one has
another name, under which `recovered` finds it.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cgatjax.runtime.atomic_files import PART, sync_folder, write_durably, writing
from cgatjax.runtime.parse_errors import PARSE_ERRORS

MANIFEST = "manifest.json"
"""Sizes and SHA-256 of the other files of a folder."""
EARLIER = ".earlier"
_CHUNK = 1 << 22
_LONGEST_NAME = 255
"""Characters; looking for longer names is an error of the file system."""


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """Yield an empty folder to fill; at the end, write its manifest and rename it to `path`.

    After an error inside, or on a full disk, an earlier folder is unchanged.

    Raises:
      StorageError: the folder cannot be written.
    """
    path = Path(path)
    part = path.with_name(path.name + PART)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        try:
            yield part
            _flush(part)
            write_durably(part / MANIFEST, json.dumps(_checksums(part), indent=1).encode())
            _exchange(part, path)
            sync_folder(path.parent)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def recovered(path: str | Path) -> Path:
    """Return the folder, or the earlier one if a crash interrupted the exchange."""
    path = Path(path)
    earlier = path.with_name(path.name + EARLIER)
    return earlier if earlier.is_dir() and not path.exists() else path


def damage(folder: str | Path) -> str | None:
    """Describe the first fault of a folder of `new_folder`; None if all files are intact."""
    folder = Path(folder)
    try:
        expected = json.loads((folder / MANIFEST).read_text())
        recorded = {name: (int(e["bytes"]), str(e["sha256"])) for name, e in expected.items()}
    except PARSE_ERRORS as error:
        return f"{MANIFEST}: expected sizes and SHA-256 of the files: {error!r:.300}"
    for name, (size, digest) in sorted(recorded.items()):
        file = folder / name
        if len(name) > _LONGEST_NAME or not file.is_file():
            return f"{name:.{_LONGEST_NAME}}: missing"
        if (found := file.stat().st_size) != size:
            return f"{name}: expected {size} bytes, found {found}"
        if (found_digest := _sha256(file)) != digest:
            return f"{name}: expected SHA-256 {digest[:16]}..., found {found_digest[:16]}..."
    return None


def _files(folder: Path) -> list[Path]:
    return sorted(f for f in folder.rglob("*") if f.is_file())


def _checksums(folder: Path) -> dict[str, dict[str, int | str]]:
    """Return size and SHA-256 of every file below a folder, by relative path."""
    return {
        f.relative_to(folder).as_posix(): {"bytes": f.stat().st_size, "sha256": _sha256(f)}
        for f in _files(folder)
    }


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with open(file, "rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _flush(folder: Path) -> None:
    """Wait until the files below a folder are on disk."""
    for file in _files(folder):
        with open(file, "rb") as stream:
            os.fsync(stream.fileno())


def _exchange(new: Path, path: Path) -> None:
    """Replace a folder by a new one; the earlier one is removed last."""
    # No system call replaces a folder that is not empty: two renames, and `recovered` between them.
    earlier = path.with_name(path.name + EARLIER)
    if path.exists():
        shutil.rmtree(earlier, ignore_errors=True)
        path.rename(earlier)
    new.rename(path)
    shutil.rmtree(earlier, ignore_errors=True)
