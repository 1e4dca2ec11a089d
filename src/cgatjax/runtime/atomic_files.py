"""Writing files so that neither a crash nor a full disk leaves half of one under its name."""

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
"""Ending of a file that is being written; what has it is never read."""

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
    """Turns an operating system's refusal to write `path` into an error that says what to do.

    Raises:
      StorageError: any OSError inside that is not an error of ours.
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
    """Opens a file that takes the name `path`, in one step, when it is complete and on disk.

    An earlier file of that name stays until then; after an error nothing new is left.

    Raises:
      StorageError: it cannot be written.
    """
    part = path.with_name(path.name + PART)
    with writing(path):
        try:
            with open(part, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
        sync_folder(path.parent)


def write_durably(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all, and waits until the disk has it.

    Raises:
      StorageError: it cannot be written; an earlier file of that name is intact.
    """
    with replacing(path) as file:
        file.write(data)


def sync_folder(folder: Path) -> None:
    """Waits until the disk knows the names of the files in a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock(file: BinaryIO, folder: Path, doing: str) -> None:
    """Locks an open file, until it is closed, against other processes at the same folder.

    Raises:
      RunExistsError: another process holds it; `doing` says what it is at.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RunExistsError(f"{folder}: another process is {doing}") from None
    except OSError as error:  # network file systems that know no locks
        logger.warning("%s: not locked against other processes (%s)", folder, error.strerror)
