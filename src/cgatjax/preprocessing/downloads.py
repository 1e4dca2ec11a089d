"""Files of public archives, resumed after interruptions and checked.

A file that is under way has the ending `.part`; it takes its name when its size and checksum are
those that the archive gives.
"""

import hashlib
import http.client
import logging
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from cgatjax.errors import DownloadError, InputError, StorageError
from cgatjax.preprocessing.records import RemoteFile, open_address
from cgatjax.runtime.atomic_files import PART, writing

logger = logging.getLogger("cgatjax")

ATTEMPTS = 6
"""Times in a row that a file may fail without a new byte."""
PIECE = 2**20
"""Most bytes read at a time."""

_PASSING = {408, 425, 429, 500, 502, 503, 504}
"""HTTP states that may be gone a moment later."""


def download(
    file: RemoteFile,
    folder: str | Path,
    *,
    pause: float = 1.0,
    report: Callable[[int], None] = lambda n: None,
) -> bool:
    """Fetches a file, or the rest of it; what is there already and sound is left alone.

    Args:
      file: of a record.
      folder: where it goes; made if it is not there.
      pause: seconds before the second attempt; doubled for each further one.
      report: told the bytes that came, negative where they must come again.

    Returns:
      Whether anything was fetched.

    Raises:
      InputError: another file of this name is in the folder.
      DownloadError: the server refuses, keeps failing, or sends other bytes than the archive says;
        what came of a file that is not complete stays for the next time.
      StorageError: the file cannot be written.
    """
    folder = Path(folder)
    target, part = folder / file.name, folder / (file.name + PART)
    if target.exists():
        wrong = _difference(file, target)
        if wrong:
            raise InputError(f"{target}: another file has this name: {wrong}; move it away")
        return False
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    _fetch_all(file, part, pause, report)
    wrong = _difference(file, part)
    if wrong:
        with writing(part):
            part.unlink()
        raise DownloadError(f"{file.url}: {wrong}; it was removed, try again")
    with writing(target):
        part.rename(target)
    return True


def _fetch_all(file: RemoteFile, part: Path, pause: float, report: Callable[[int], None]) -> None:
    """Connects again as long as each `ATTEMPTS` connections bring something."""
    failures = 0
    while True:
        before = _size(part)
        try:
            if _fetch(file, part, report):
                return
            reason = "the connection ended early"
        except StorageError:
            raise
        except HTTPError as error:
            if error.code not in _PASSING:
                raise DownloadError(f"{file.url}: {error.code} {error.reason}") from error
            reason = f"{error.code} {error.reason}"
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
        failures = 0 if _size(part) > before else failures + 1
        if failures >= ATTEMPTS:
            raise DownloadError(
                f"{file.url}: {reason}, {failures} times in a row; {_size(part)} bytes are kept, "
                "and the same command goes on there"
            )
        logger.info("%s: %s; trying again", file.name, reason)
        time.sleep(pause * 2**failures)


def _fetch(file: RemoteFile, part: Path, report: Callable[[int], None]) -> bool:
    """One connection, from where the part ends; says whether the file is complete."""
    start = _size(part)
    if file.size is not None and start == file.size:
        return True
    headers = {"Range": f"bytes={start}-"} if start else {}
    try:
        response = open_address(file.url, headers)
    except HTTPError as error:
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not start:
            raise
        response = open_address(file.url, {})
    with response:
        is_rest = response.status == http.client.PARTIAL_CONTENT
        came_range = response.headers.get("Content-Range", "")
        if is_rest and not re.match(rf"bytes {start}-", came_range):
            raise DownloadError(f"{file.url}: asked for bytes {start}-, got {came_range!r}")
        if start and not is_rest:
            report(-start)
        length = response.headers.get("Content-Length")
        came = _store(response, part, "ab" if is_rest else "wb", report)
    if file.size is not None:
        return _size(part) >= file.size
    return length is None or came >= int(length)


def _store(response: Any, part: Path, mode: str, report: Callable[[int], None]) -> int:
    """Writes what comes; the number of bytes."""
    came = 0
    with writing(part):
        stream = open(part, mode)  # noqa: SIM115 - errors of reading are not those of writing
    with stream:
        while piece := response.read1(PIECE):  # what is there: `read` loses it in a timeout
            with writing(part):
                stream.write(piece)
            came += len(piece)
            report(len(piece))
    return came


def _difference(file: RemoteFile, path: Path) -> str:
    """What is wrong with a file on disk, "" if nothing is known to be."""
    if file.size is not None and _size(path) != file.size:
        return f"expected {file.size} bytes, got {_size(path)}"
    if file.checksum:
        algorithm, _, expected = file.checksum.partition(":")
        with open(path, "rb") as stream:
            found = hashlib.file_digest(stream, algorithm).hexdigest()
        if found != expected:
            return f"expected {file.checksum}, got {algorithm}:{found}"
    return ""


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
