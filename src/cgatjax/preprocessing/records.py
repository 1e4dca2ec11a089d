"""Records of public archives (Zenodo, Materials Cloud Archive).

A record is located through its DOI, and its files through the InvenioRDM interface that both
archives have; no file name or address is hard-coded.
"""

import http.client
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urljoin, urlsplit
from urllib.request import Request, urlopen

from cgatjax.errors import DownloadError, InputError

ARCHIVES: dict[str, str] = {
    "dcgat-pbe": "10.24435/materialscloud:m7-50",
    "dcgat-pbesol-scan": "10.24435/materialscloud:5j-9m",
    "cgat-models": "10.5281/zenodo.8143755",
}
"""DOIs of the PBE crystals, the PBEsol and SCAN crystals, and the pre-trained networks."""

TIMEOUT = 60.0
"""Seconds without a byte after which a connection is given up."""
_RECORD = re.compile(r"^/records?/([^/]+)")
_CHECKSUMS = {"md5", "sha1", "sha256", "sha512"}


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """File of a record.

    Attributes:
      name: file name.
      url: address of the content.
      size: size in bytes, None if unknown.
      checksum: "ALGORITHM:HEX" with an algorithm of `hashlib`, "" if unknown.
    """

    name: str
    url: str
    size: int | None
    checksum: str


@dataclass(frozen=True, kw_only=True)
class Record:
    """Record of an archive.

    Attributes:
      title: title of the record.
      url: address of its page.
      files: files in the order of the archive.
    """

    title: str
    url: str
    files: tuple[RemoteFile, ...]

    def matching(self, *patterns: str) -> tuple[RemoteFile, ...]:
        """Select the files that match one of the patterns ("*.json.bz2"), or all without patterns.

        Raises:
          InputError: no file matches a pattern.
        """
        names = [file.name for file in self.files]
        for pattern in patterns:
            if not any(fnmatch(name, pattern) for name in names):
                raise InputError(f"{self.url}: no file matches {pattern!r}; it has {names}")
        chosen = (f for f in self.files if any(fnmatch(f.name, p) for p in patterns))
        return tuple(chosen) if patterns else self.files


def find_record(source: str) -> Record:
    """Request the description of a record from its archive.

    Args:
      source: name in `ARCHIVES`, DOI, or address of the page of a record.

    Raises:
      InputError: none of these, or it does not lead to the page of a record.
      DownloadError: no connection, or an invalid response.
    """
    page = _final_address(_address(source))
    found = _RECORD.match(urlsplit(page).path)
    if found is None:
        raise InputError(
            f"{source}: expected the page of a record, .../records/ID, got {page}; open it in a "
            "browser and copy the address of the record"
        )
    record = _json(urljoin(page, f"/api/records/{found[1]}"))
    entries = _entries(record, page)
    if not entries:
        raise InputError(f"{page}: expected a record with public files, got one without")
    title = str((record.get("metadata") or {}).get("title", ""))
    return Record(title=title, url=page, files=tuple(_file(e, page) for e in entries))


def open_address(url: str, headers: Mapping[str, str]) -> Any:
    """Open an address; urllib follows redirects and uses the proxy of the environment.

    Args:
      url: http or https address.
      headers: headers of the request.

    Raises:
      DownloadError: another kind of address.
      OSError, http.client.HTTPException: from urllib; `HTTPError` for a refusal.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise DownloadError(f"expected an address of http or https, got {url!r}")
    request = Request(url, headers={"Accept-Encoding": "identity", **headers})
    try:
        return urlopen(request, timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        raise


def _address(source: str) -> str:
    """Convert a name, a DOI or an address to an address."""
    doi = ARCHIVES.get(source, source.removeprefix("doi:"))
    if re.fullmatch(r"10\.\d{4,9}/\S+", doi):
        return f"https://doi.org/{doi}"
    if urlsplit(source).scheme in ("http", "https"):
        return source
    raise InputError(
        f"expected one of {sorted(ARCHIVES)}, a DOI (10.../...) or an address, got {source!r}"
    )


def _final_address(url: str) -> str:
    """Follow redirects to the final address."""
    try:
        with open_address(url, {}) as response:
            return str(response.url)
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(f"{url}: {error}; check the internet connection") from error


def _json(url: str) -> dict[str, Any]:
    try:
        with open_address(url, {"Accept": "application/json"}) as response:
            content = json.load(response)
    except (OSError, ValueError, RecursionError, http.client.HTTPException) as error:
        raise DownloadError(f"{url}: expected a record as JSON: {error}") from error
    if not isinstance(content, dict):
        raise DownloadError(f"{url}: expected a JSON object, got a {type(content).__name__}")
    return content


def _entries(record: Mapping[str, Any], page: str) -> list[Any]:
    """Return the descriptions of the files, in the record or at an address that it links."""
    files = record.get("files")
    link = (record.get("links") or {}).get("files")
    if isinstance(files, dict) and "entries" not in files and link:
        files = _json(urljoin(page, link))
    entries = files.get("entries") if isinstance(files, dict) else files
    if isinstance(entries, dict):
        return [{"key": key, **entry} for key, entry in entries.items()]
    return entries if isinstance(entries, list) else []


def _file(entry: Any, page: str) -> RemoteFile:
    """Parse the description of a file; its link is "content", or "self" at Zenodo."""
    try:
        links, name, size = entry["links"], str(entry["key"]), entry.get("size")
        url = urljoin(page, links.get("content") or links["self"])
        checksum = str(entry.get("checksum") or "")
    except (KeyError, TypeError, AttributeError) as error:
        raise DownloadError(f"{page}: expected a file with {error}, got {entry!r:.200}") from error
    if name != Path(name).name or name in ("", ".", ".."):
        raise DownloadError(f"{page}: expected a plain file name, got {name!r}")
    if checksum and checksum.partition(":")[0] not in _CHECKSUMS:
        raise DownloadError(
            f"{page}: {name}: expected a checksum of {sorted(_CHECKSUMS)}, got {checksum!r}"
        )
    return RemoteFile(
        name=name, url=url, size=size if isinstance(size, int) else None, checksum=checksum
    )
