"""Downloads from public archives, resumable and verified.

An incomplete file has the ending `.part`; it is renamed once its size and checksum agree with those
of the archive.
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
from cgatjax.runtime import PART, writing

logger = logging.getLogger("cgatjax")

ATTEMPTS = 6
"""Consecutive failures without a new byte before giving up."""
PIECE = 2**20
"""Maximum number of bytes per read."""

_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
"""HTTP status codes that are worth another attempt."""


def download(
    file: RemoteFile,
    folder: str | Path,
    *,
    pause: float = 1.0,
    report: Callable[[int], None] = lambda n: None,
) -> bool:
    """Download a file or the rest of it, unless it exists and is valid.

    Args:
      file: file of a record.
      folder: folder to write to, created if missing.
      pause: seconds before the second attempt; doubled for each further attempt.
      report: called with numbers of bytes received, negative if a download starts over.

    Returns:
      True if anything was downloaded.

    Raises:
      InputError: the folder has another file of this name.
      DownloadError: the server refuses or keeps failing (received bytes are kept for the next
        call), or size or checksum differ.
    """
    folder = Path(folder)
    target, part = folder / file.name, folder / (file.name + PART)
    if target.exists():
        if fault := _mismatch(file, target):
            raise InputError(f"{target}: another file has this name: {fault}; move it away")
        return False
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    _fetch_all(file, part, pause, report)
    if fault := _mismatch(file, part):
        with writing(part):
            part.unlink()
        raise DownloadError(f"{file.url}: {fault}; the file was removed, try again")
    with writing(target):
        part.rename(target)
    return True


def _fetch_all(file: RemoteFile, part: Path, pause: float, report: Callable[[int], None]) -> None:
    """Connect until the file is complete; give up after `ATTEMPTS` failures without a new byte."""
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
            if error.code not in _TRANSIENT:
                raise DownloadError(f"{file.url}: {error.code} {error.reason}") from error
            reason = f"{error.code} {error.reason}"
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
        failures = 0 if _size(part) > before else failures + 1
        if failures >= ATTEMPTS:
            raise DownloadError(
                f"{file.url}: {reason}, {failures} times in a row; {_size(part)} bytes are kept, "
                "run the same command to resume"
            )
        logger.info("%s: %s; trying again", file.name, reason)
        time.sleep(pause * 2**failures)


def _fetch(file: RemoteFile, part: Path, report: Callable[[int], None]) -> bool:
    """Download the rest of a partial file in one connection; True if the file is complete."""
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
        received_range = response.headers.get("Content-Range", "")
        if is_rest and not re.match(rf"bytes {start}-", received_range):
            raise DownloadError(f"{file.url}: expected bytes {start}-, got {received_range!r}")
        if start and not is_rest:
            report(-start)
        length = response.headers.get("Content-Length")
        received = _store(response, part, "ab" if is_rest else "wb", report)
    if file.size is not None:
        return _size(part) >= file.size
    return length is None or received >= int(length)


def _store(response: Any, part: Path, mode: str, report: Callable[[int], None]) -> int:
    """Append a response to a partial file; return the number of bytes received."""
    received = 0
    with writing(part):
        stream = open(part, mode)  # noqa: SIM115 - `writing` must not catch errors of reading
    with stream:
        while piece := response.read1(PIECE):  # `read` would lose what came before a timeout
            with writing(part):
                stream.write(piece)
            received += len(piece)
            report(len(piece))
    return received


def _mismatch(file: RemoteFile, path: Path) -> str:
    """Describe a wrong size or checksum of a file on disk; "" if both agree or are unknown."""
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
