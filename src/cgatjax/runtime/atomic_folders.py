"""Folders that appear whole or not at all, with a manifest that tells damage later.

A folder is filled under a temporary name beside its final one and then renamed. A crash at any
moment leaves the earlier folder or the new one; only in the instant of the exchange the earlier one
has another name, under which `settled` finds it.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cgatjax.runtime.atomic_files import PART, sync_folder, write_durably, writing

MANIFEST = "manifest.json"
"""Sizes and SHA-256 of the other files of a folder."""
EARLIER = ".earlier"
_CHUNK = 1 << 22
_LONGEST_NAME = 255
"""Characters; file systems refuse to look for longer ones."""


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """Yields an empty folder to fill; at the end it gets a manifest and takes the place of `path`.

    After an error inside, or on a full disk, an earlier folder is as it was.

    Raises:
      StorageError: it cannot be written.
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


def settled(path: str | Path) -> Path:
    """The folder itself, or its earlier content where a crash fell into the exchange."""
    path = Path(path)
    earlier = path.with_name(path.name + EARLIER)
    return earlier if earlier.is_dir() and not path.exists() else path


def damage(folder: str | Path) -> str | None:
    """What is wrong with a folder of `new_folder`; None if each file is as it was written."""
    folder = Path(folder)
    try:
        expected = json.loads((folder / MANIFEST).read_text())
        recorded = {name: (int(e["bytes"]), str(e["sha256"])) for name, e in expected.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        return f"{MANIFEST}: expected sizes and SHA-256 of the files: {error!r:.300}"
    except RecursionError:
        return f"{MANIFEST}: nested too deeply"
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
    """Size and SHA-256 of every file below a folder, by its path there."""
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
    """Waits until the disk has the files below a folder."""
    for file in _files(folder):
        with open(file, "rb") as stream:
            os.fsync(stream.fileno())


def _exchange(new: Path, path: Path) -> None:
    """Puts a folder in the place of another, which is removed last."""
    earlier = path.with_name(path.name + EARLIER)
    if path.exists():
        shutil.rmtree(earlier, ignore_errors=True)
        path.rename(earlier)
    new.rename(path)
    shutil.rmtree(earlier, ignore_errors=True)
