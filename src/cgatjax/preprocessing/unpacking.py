"""Safe unpacking of archives (.tar, .tar.gz, .tar.bz2, .tar.xz, .zip).

Archives are untrusted: only plain files inside the new folder are written, without the permissions,
owners and links of the archive, and the expanded size is limited.
"""

import stat
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import IO

from cgatjax.errors import InputError
from cgatjax.runtime import complete_folder, reading, writing
from cgatjax.structures.formats import FREE_BYTES, MAX_RATIO

PIECE = 2**20
"""Number of bytes per read."""

_ENDINGS = (*(".tar.gz", ".tar.bz2", ".tar.xz", ".tar"), *(".tgz", ".tbz2", ".txz", ".zip"))


def is_packed(name: str) -> bool:
    """Check a file name for the ending of an archive.

    >>> is_packed("models.tar.gz"), is_packed("dcgat_1_000.json.bz2")
    (True, False)
    """
    return name.lower().endswith(_ENDINGS)


def unpack(file: str | Path) -> tuple[Path, bool]:
    """Unpack an archive into a folder of the same name without the ending, unless it exists.

    The folder appears when it is complete.

    Args:
      file: the archive, which is kept.

    Returns:
      The folder, and True if it is new.

    Raises:
      InputError: not an archive, a damaged one, or one with a link, a device, a path outside of the
        folder, a repeated path, or an implausibly large content.
    """
    file = Path(file)
    ending = next((e for e in _ENDINGS if file.name.lower().endswith(e)), None)
    if ending is None or len(file.name) == len(ending):
        raise InputError(f"{file}: expected an archive ({', '.join(_ENDINGS)})")
    folder = file.with_name(file.name[: -len(ending)])
    if folder.exists():
        return folder, False
    with complete_folder(folder) as part:
        left = max(FREE_BYTES, MAX_RATIO * file.stat().st_size)
        damaged = reading(file, "an archive", "remove it and download it again")
        with damaged, ExitStack() as opened:
            for name, stream in _members(file, opened):
                left -= _write(part / _safe(name), stream, left)
    return folder, True


def _members(file: Path, opened: ExitStack) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield names and contents of the plain files of an archive."""
    if file.name.lower().endswith(".zip"):
        packed = opened.enter_context(zipfile.ZipFile(file))
        for item in packed.infolist():
            kind = stat.S_IFMT(item.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise InputError(f"{item.filename!r}: expected a plain file, got a link or device")
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
            raise InputError(f"{member.name!r}: expected a plain file, got a link or device")


def _safe(name: str) -> Path:
    """Check that a path stays inside the new folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or "\\" in name or ":" in name:
        raise InputError(f"{name!r}: expected a path inside the folder; nothing was unpacked")
    return Path(*path.parts)


def _write(path: Path, stream: IO[bytes], most: int) -> int:
    """Write a new file; return its size in bytes."""
    size = 0
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            raise InputError(f"{path.name!r}: occurs twice in the archive; nothing was unpacked")
        file = open(path, "xb")  # noqa: SIM115 - `writing` must not catch errors of reading
    with file:
        while piece := stream.read(PIECE):
            size += len(piece)
            if size > most:
                raise InputError(
                    f"{path.name!r}: the archive expands to more than is plausible for crystals; "
                    "if you trust it, unpack it yourself"
                )
            with writing(path):
                file.write(piece)
    return size
