"""Files: read with errors that name them, written atomically.

Neither a crash nor a full disk leaves a partial file or folder under its name. A folder is filled
under a temporary name beside its final one and then renamed. A crash at any moment leaves the
earlier folder or the new one. During the exchange of the two the earlier one has another name,
under which `recovered` finds it. Its manifest holds sizes and checksums of the files.
"""

import csv
import errno
import fcntl
import hashlib
import io
import json
import logging
import lzma
import os
import pickle
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from cgatjax.errors import InputError, MismatchError, RunExistsError, StorageError

logger = logging.getLogger("cgatjax")
# Parsers (of JSON, NumPy, pymatgen, ASE, ...) have no exception of their own: damage surfaces as
# whichever built-in error the first wrong byte leads to, MemoryError where it announces a size.
PARSE_ERRORS = (
    *(OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError),
    *(AssertionError, RuntimeError, SyntaxError, MemoryError),
    *(pickle.UnpicklingError, struct.error, tarfile.TarError, zipfile.BadZipFile),
    *(zlib.error, lzma.LZMAError, csv.Error),
)
"""Exceptions of the standard library's and other parsers on malformed content."""


@contextmanager
def reading(
    path: str | Path,
    content: str,
    advice: str = "it is damaged or another kind of file",
    *further: type[Exception],
) -> Iterator[None]:
    """Turn the exceptions of parsers inside into an InputError that names the file.

    Args:
      path: file or folder that is read.
      content: what it should hold, with an article: "a model".
      advice: end of the message: what the user can do.
      *further: exceptions of the parser's own, besides `PARSE_ERRORS`.

    Raises:
      InputError: the content is malformed. An InputError or MismatchError raised inside keeps its
        class and message, with the path in front.
    """
    malformed: tuple[type[Exception], ...] = (*PARSE_ERRORS, *further)
    try:
        yield
    except StorageError:  # of what is written meanwhile
        raise
    except (InputError, MismatchError) as error:
        if str(error).startswith(f"{path}"):
            raise
        raise type(error)(f"{path}: {error}") from error
    except malformed as error:
        reason = f"{type(error).__name__}: {error!s:.300}"
        raise InputError(f"{path}: cannot be read as {content}: {reason}; {advice}") from error


PART = ".part"
"""Suffix of a file that is being written; such files are never read."""

_ADVICE = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up; free some space",
    errno.EFBIG: "files may not become this large; raise the limit (ulimit -f)",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.EACCES: "no permission; choose a folder that you may write to",
    errno.EPERM: "no permission; choose a folder that you may write to",
}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError inside into a StorageError with advice."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "check the disk")
        reason = error.strerror or str(error)
        raise StorageError(f"{path}: cannot be written: {reason}; {advice}") from error


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that is renamed to `path` when it is complete and on disk.

    An earlier file of that name stays until then; after an error no new file is left. A missing
    folder is created.
    """
    part = path.with_name(path.name + PART)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(part, "wb") as file:
                yield file
                file.flush()
                # Before the rename: a power cut may otherwise keep the new name without content.
                os.fsync(file.fileno())
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
        sync_folder(path.parent)


def write_durably(path: Path, data: bytes) -> None:
    """Write a file atomically, and wait until it is on disk."""
    with replacing(path) as file:
        file.write(data)


def csv_bytes(rows: Iterable[Sequence[Any]], notes: Iterable[str] = ()) -> bytes:
    """Format rows as CSV, after lines of notes that begin with "#"."""
    text = io.StringIO(newline="")
    text.writelines(f"# {note}\n" for note in notes)
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8", "backslashreplace")


def write_csv(path: Path, rows: Iterable[Sequence[Any]], notes: Iterable[str] = ()) -> None:
    """Write rows, the header first, and notes before them to a CSV file, atomically."""
    write_durably(path, csv_bytes(rows, notes))


def require_new(*paths: str | Path | None) -> None:
    """Raise RunExistsError if a path exists, and log the folders that will be made for the others.

    None stands for a path that is not requested.
    """
    requested = [Path(path) for path in paths if path is not None]
    for path in requested:
        if path.exists():
            raise RunExistsError(f"{path} exists; choose another name or remove it")
    for folder in dict.fromkeys(path.parent for path in requested):
        if not folder.exists():
            logger.info("%s: new folder", folder)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Wait until the names of the files in a folder are on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock(file: BinaryIO, folder: Path, doing: str) -> None:
    """Lock an open file until it is closed, against other processes in the same folder.

    RunExistsError, saying what another process is `doing`, if that one has the lock.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RunExistsError(f"{folder}: another process is {doing}") from None
    except OSError as error:  # network file systems without locks
        logger.warning("%s: not locked against other processes (%s)", folder, error.strerror)


@contextmanager
def complete_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder that is renamed to `path` at the end, and removed after an error."""
    part = path.with_name(path.name + PART)
    shutil.rmtree(part, ignore_errors=True)  # left by a killed run
    try:
        with writing(part):
            part.mkdir(parents=True)
        yield part
        with writing(path):
            part.rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


MANIFEST = "manifest.json"
"""Sizes and SHA-256 of the other files of a folder."""
EARLIER = ".earlier"
_LONGEST_NAME = 255
"""Characters; looking for longer names is an error of the file system."""


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """Yield an empty folder to fill; at the end, write its manifest and rename it to `path`.

    After an error inside, or on a full disk, an earlier folder is unchanged.
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


def remove_leftovers(folder: Path) -> None:
    """Remove what a crash has left of files and folders being written in a folder.

    A folder whose exchange was interrupted gets its earlier content back.
    """
    with writing(folder):
        for earlier in folder.glob(f"*{EARLIER}"):
            final = earlier.with_name(earlier.name.removesuffix(EARLIER))
            if not final.exists():
                earlier.rename(final)
            shutil.rmtree(earlier, ignore_errors=True)
        for part in folder.glob(f"*{PART}"):
            if part.is_dir():
                shutil.rmtree(part, ignore_errors=True)
            else:
                part.unlink()


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
        if (found_digest := sha256_of(file)) != digest:
            return f"{name}: expected SHA-256 {digest[:16]}..., found {found_digest[:16]}..."
    return None


def _files(folder: Path) -> list[Path]:
    return sorted(f for f in folder.rglob("*") if f.is_file())


def _checksums(folder: Path) -> dict[str, dict[str, int | str]]:
    """Return size and SHA-256 of every file below a folder, by relative path."""
    return {
        f.relative_to(folder).as_posix(): {"bytes": f.stat().st_size, "sha256": sha256_of(f)}
        for f in _files(folder)
    }


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
