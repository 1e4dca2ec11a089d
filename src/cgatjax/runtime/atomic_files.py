"""Atomic writes: neither a crash nor a full disk leaves a partial file under its name."""

import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cgatjax.errors import RunExistsError, StorageError

logger = logging.getLogger("cgatjax")

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
    """Turn an OSError inside into a StorageError with advice.

    Raises:
      StorageError: `path` cannot be written.
    """
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

    An earlier file of that name stays until then; after an error no new file is left.

    Raises:
      StorageError: the file cannot be written.
    """
    part = path.with_name(path.name + PART)
    with writing(path):
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
    """Write a file atomically, and wait until it is on disk.

    Raises:
      StorageError: the file cannot be written; an earlier file of that name is intact.
    """
    with replacing(path) as file:
        file.write(data)


def sync_folder(folder: Path) -> None:
    """Wait until the names of the files in a folder are on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock(file: BinaryIO, folder: Path, doing: str) -> None:
    """Lock an open file until it is closed, against other processes in the same folder.

    Raises:
      RunExistsError: another process has the lock; `doing` describes the operation.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RunExistsError(f"{folder}: another process is {doing}") from None
    except OSError as error:  # network file systems without locks
        logger.warning("%s: not locked against other processes (%s)", folder, error.strerror)
