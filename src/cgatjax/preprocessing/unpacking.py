"""Packed archives (.tar, .tar.gz, .tar.bz2, .tar.xz, .zip) as folders of plain files.

Archives come from the internet: only plain files below the new folder are written, without the
rights, owners and links that an archive may name, and no more than it can hold by honest means.
"""

import shutil
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import IO

from cgatjax.errors import InputError
from cgatjax.runtime.atomic_files import PART, writing
from cgatjax.runtime.parse_errors import reading
from cgatjax.structures.formats import FREE_BYTES, MAX_RATIO

PIECE = 2**20
"""Bytes written at a time."""

_ENDINGS = (
    *(".tar.gz", ".tar.bz2", ".tar.xz", ".tar"),
    *(".tgz", ".tbz2", ".txz", ".zip"),
)


def is_packed(name: str) -> bool:
    """Whether a file's name is that of an archive that `unpack` opens.

    >>> is_packed("models.tar.gz"), is_packed("dcgat_1_000.json.bz2")
    (True, False)
    """
    return name.lower().endswith(_ENDINGS)


def unpack(file: str | Path) -> tuple[Path, bool]:
    """Unpacks an archive into the folder beside it that has its name without the ending.

    The folder appears when everything is in it; one that is there already is left alone.

    Args:
      file: the archive, which stays.

    Returns:
      The folder, and whether it is new.

    Raises:
      InputError: another kind of file, a damaged one, or one that holds a link, a device, a path
        that leads elsewhere, a path twice, or far more than files of crystals expand to.
      StorageError: the files cannot be written.
    """
    file = Path(file)
    ending = next((e for e in _ENDINGS if file.name.lower().endswith(e)), None)
    if ending is None or len(file.name) == len(ending):
        raise InputError(f"{file}: expected an archive ({', '.join(_ENDINGS)})")
    folder = file.with_name(file.name[: -len(ending)])
    if folder.exists():
        return folder, False
    part = folder.with_name(folder.name + PART)
    shutil.rmtree(part, ignore_errors=True)  # of an unpacking that was killed
    try:
        _write_all(file, part)
        with writing(folder):
            part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder, True


def _write_all(file: Path, folder: Path) -> None:
    left = max(FREE_BYTES, MAX_RATIO * file.stat().st_size)
    with writing(folder):
        folder.mkdir(parents=True)
    damaged = reading(file, "an archive", "remove it and download it again")
    with damaged, ExitStack() as opened:
        for name, stream in _members(file, opened):
            left -= _write(folder / _safe(name), stream, left)


def _members(file: Path, opened: ExitStack) -> Iterator[tuple[str, IO[bytes]]]:
    """Names and contents of the plain files of an archive."""
    if file.name.lower().endswith(".zip"):
        packed = opened.enter_context(zipfile.ZipFile(file))
        for item in packed.infolist():
            kind = stat.S_IFMT(item.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise InputError(f"{item.filename!r}: expected plain files in the archive, no link")
            if not item.is_dir():
                with packed.open(item) as stream:
                    yield item.filename, stream
        return
    archive = opened.enter_context(tarfile.open(file, "r:*"))  # noqa: SIM115 - closed by `opened`
    for member in archive:
        stream_of_file = archive.extractfile(member) if member.isreg() else None
        if stream_of_file is not None:
            yield member.name, stream_of_file
        elif not member.isdir():
            raise InputError(f"{member.name!r}: expected plain files in the archive, no link")


def _safe(name: str) -> Path:
    """A path below the new folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\\" in name or ":" in name:
        raise InputError(f"{name!r}: expected a path inside the archive; it was not unpacked")
    return Path(*path.parts)


def _write(path: Path, stream: IO[bytes], most: int) -> int:
    """Writes a file that is not there yet; the number of its bytes."""
    size = 0
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            raise InputError(f"{path.name!r}: stands in the archive twice; it was not unpacked")
        file = open(path, "xb")  # noqa: SIM115 - errors of reading are not those of writing
    with file:
        while piece := stream.read(PIECE):
            size += len(piece)
            if size > most:
                raise InputError(
                    f"{path.name!r}: the archive expands to more than any crystals do; if you "
                    "trust it, unpack it yourself"
                )
            with writing(path):
                file.write(piece)
    return size
