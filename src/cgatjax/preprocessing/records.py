"""Records of public archives: what they hold, asked for when it is needed.

A record is found through its DOI, and its files through the interface of InvenioRDM, the software
of both Zenodo and the Materials Cloud Archive. No address or name of a file stands here.
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
"""Name -> DOI: PBE crystals, PBEsol and SCAN crystals, and the pre-trained networks."""

TIMEOUT = 60.0
"""Seconds without a byte after which a connection counts as lost."""
_RECORD = re.compile(r"^/records?/([^/]+)")
_CHECKSUMS = {"md5", "sha1", "sha256", "sha512"}


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file of a record.

    Attributes:
      name: what it is called.
      url: where its bytes are.
      size: its bytes, None if the archive does not say.
      checksum: "md5:..." or another of `hashlib`'s, "" if the archive does not say.
    """

    name: str
    url: str
    size: int | None
    checksum: str


@dataclass(frozen=True, kw_only=True)
class Record:
    """What an archive says of a record.

    Attributes:
      title: its title.
      url: its page.
      files: in the archive's order.
    """

    title: str
    url: str
    files: tuple[RemoteFile, ...]

    def matching(self, *patterns: str) -> tuple[RemoteFile, ...]:
        """The files whose names match one of the patterns ("*.json.bz2"); all without patterns.

        Raises:
          InputError: no file matches one of them.
        """
        names = [file.name for file in self.files]
        for pattern in patterns:
            if not any(fnmatch(name, pattern) for name in names):
                raise InputError(f"{self.url}: no file matches {pattern!r}; it has {names}")
        chosen = (f for f in self.files if any(fnmatch(f.name, p) for p in patterns))
        return tuple(chosen) if patterns else self.files


def find_record(source: str) -> Record:
    """Asks an archive what a record holds.

    Args:
      source: a name of `ARCHIVES`, a DOI, or the address of a record's page.

    Raises:
      InputError: none of these, or the page that it leads to is not that of a record.
      DownloadError: no connection, or an answer that is not understood.
    """
    page = _final_address(_address(source))
    found = _RECORD.match(urlsplit(page).path)
    if found is None:
        raise InputError(
            f"{source}: expected the page of a record, .../records/ID, got {page}; open it in a "
            "browser, and give the address of the record"
        )
    record = _json(urljoin(page, f"/api/records/{found[1]}"))
    entries = _entries(record, page)
    if not entries:
        raise InputError(f"{page}: the record has no files that anybody may have")
    title = str((record.get("metadata") or {}).get("title", ""))
    return Record(title=title, url=page, files=tuple(_file(e, page) for e in entries))


def open_address(url: str, headers: Mapping[str, str]) -> Any:
    """A response; urllib follows redirections, and takes the proxy of the environment.

    Args:
      url: of http or https.
      headers: of the request.

    Raises:
      DownloadError: another kind of address.
      OSError, http.client.HTTPException: what urllib raises, `HTTPError` for a refusal.
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
    """The web address that a name, a DOI or an address stands for."""
    doi = ARCHIVES.get(source, source.removeprefix("doi:"))
    if re.fullmatch(r"10\.\d{4,9}/\S+", doi):
        return f"https://doi.org/{doi}"
    if urlsplit(source).scheme in ("http", "https"):
        return source
    raise InputError(
        f"expected one of {sorted(ARCHIVES)}, a DOI (10.../...) or an address, got {source!r}"
    )


def _final_address(url: str) -> str:
    """Where redirections lead."""
    try:
        with open_address(url, {}) as response:
            return str(response.url)
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(f"{url}: {error}; is there a connection to the internet?") from error


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
    """The descriptions of the files, which stand in the record or at an address of their own."""
    files = record.get("files")
    link = (record.get("links") or {}).get("files")
    if isinstance(files, dict) and "entries" not in files and link:
        files = _json(urljoin(page, link))
    entries = files.get("entries") if isinstance(files, dict) else files
    if isinstance(entries, dict):
        return [{"key": key, **entry} for key, entry in entries.items()]
    return entries if isinstance(entries, list) else []


def _file(entry: Any, page: str) -> RemoteFile:
    """A file from its description; "content" leads to its bytes, or "self" at Zenodo."""
    try:
        links, name, size = entry["links"], str(entry["key"]), entry.get("size")
        url = urljoin(page, links.get("content") or links["self"])
        checksum = str(entry.get("checksum") or "")
    except (KeyError, TypeError, AttributeError) as error:
        raise DownloadError(f"{page}: a file without {error}: {entry!r:.200}") from error
    if name != Path(name).name or name in ("", ".", ".."):
        raise DownloadError(f"{page}: expected a plain file name, got {name!r}")
    if checksum and checksum.partition(":")[0] not in _CHECKSUMS:
        raise DownloadError(f"{page}: {name}: unknown kind of checksum {checksum!r}")
    return RemoteFile(
        name=name, url=url, size=size if isinstance(size, int) else None, checksum=checksum
    )
