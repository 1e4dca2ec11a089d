"""Locations of models: a name that comes with the package, an address, or a folder.

An address is that of a folder with the files of a published model. They are downloaded once into
the user's cache folder, and each is compared with the SHA-256 in the folder's manifest.
"""

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from cgatjax.errors import DownloadError, InputError
from cgatjax.model.model_io import DESCRIPTION, WEIGHTS
from cgatjax.preprocessing.downloads import download
from cgatjax.preprocessing.records import RemoteFile
from cgatjax.runtime import MANIFEST, PARSE_ERRORS, damage, recovered, writing
from cgatjax.runtime.user_cache import user_cache

logger = logging.getLogger("cgatjax")
SHIPPED = Path(__file__).parent
"""Folder of the models that come with the package."""
CARD = "card.json"
SELF_CHECK = "self_check.safetensors"
FILES = (DESCRIPTION, WEIGHTS, CARD, SELF_CHECK)
"""Files of a published model, besides the manifest."""
_PIN = re.compile(r"sha256=([0-9a-f]{64})")


def shipped() -> dict[str, Path]:
    """Return name -> folder of the models that come with the package."""
    return {f.parent.name: f.parent for f in sorted(SHIPPED.glob(f"*/{DESCRIPTION}"))}


def is_own(source: str | Path) -> bool:
    """True if a source is a folder of the user, neither a shipped nor a downloaded model."""
    return not (_is_address(source) or str(source) in shipped())


def locate(source: str | Path) -> Path:
    """Return the folder of a model by its name, folder or address, downloaded if need be.

    An address may end in #sha256=HEX, the hash of the manifest.

    Raises:
      InputError: no such name or folder, or a folder of the same name as a shipped model.
      DownloadError: the address has no such model, or a file differs from its manifest.
    """
    if _is_address(source):
        return _downloaded(str(source))
    known, path = shipped(), Path(source)
    if str(source) in known:
        if path.exists():
            raise InputError(
                f"{source!r} is a model that comes with cgatjax and also a folder here; write "
                f"./{source} for the folder, or rename it"
            )
        return known[str(source)]
    if path.parent == Path() and not recovered(path).exists():
        raise InputError(
            f"{source}: there is no such folder of a run or a model, and no such name; names are "
            f"{', '.join(known) or 'none: no model comes with this version'}"
        )
    return path


def _is_address(source: str | Path) -> bool:
    return isinstance(source, str) and source.startswith(("http://", "https://"))


def _downloaded(address: str) -> Path:
    """Return the cached folder of an address; download it on first use."""
    url, _, fragment = address.partition("#")
    pin = _PIN.fullmatch(fragment) if fragment else None
    if fragment and pin is None:
        raise InputError(f"{address}: expected #sha256= and 64 hex digits after the address")
    url = url.rstrip("/")
    key = hashlib.sha256(address.encode()).hexdigest()[:12]
    name = urlsplit(url).path.rpartition("/")[2] or "model"
    folder = user_cache("models") / f"{re.sub(r'[^A-Za-z0-9._-]', '_', name)}-{key}"
    if folder.is_dir() and damage(folder) is None:
        return folder
    logger.info("downloading %s into %s", url, folder)
    # A name of its own: another process may be downloading the same model.
    part = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    try:
        _fetch(url, part, pin)
        with writing(folder):
            shutil.rmtree(folder, ignore_errors=True)
            part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _fetch(url: str, part: Path, pin: re.Match[str] | None) -> None:
    """Download the manifest and the files that it lists."""
    checksum = f"sha256:{pin[1]}" if pin else ""
    download(RemoteFile(name=MANIFEST, url=f"{url}/{MANIFEST}", size=None, checksum=checksum), part)
    try:
        listed = {
            name: (int(entry["bytes"]), str(entry["sha256"]))
            for name, entry in json.loads((part / MANIFEST).read_text()).items()
        }
    except PARSE_ERRORS as error:
        raise DownloadError(
            f"{url}/{MANIFEST}: expected sizes and SHA-256 of a model's files: {error!r:.200}"
        ) from error
    _check_names(url, listed)
    for name, (size, digest) in listed.items():
        file = RemoteFile(
            name=name, url=f"{url}/{name}", size=size, checksum=f"sha256:{digest.lower()}"
        )
        download(file, part)


def _check_names(url: str, listed: Mapping[str, tuple[int, str]]) -> None:
    """Raise DownloadError unless the listed files are those of a model."""
    foreign = sorted(set(listed) - set(FILES))
    missing = sorted({DESCRIPTION, WEIGHTS} - set(listed))
    if foreign or missing:
        raise DownloadError(
            f"{url}/{MANIFEST}: expected the files of a model, {', '.join(FILES)}; missing: "
            f"{missing or 'none'}, unexpected: {[f'{name:.80}' for name in foreign] or 'none'}"
        )
