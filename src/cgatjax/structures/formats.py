"""File formats by content and name, and decompressed file content."""

import bz2
import gzip
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Literal

from cgatjax.errors import InputError

Format = Literal["json", "parquet", "csv", "cif", "poscar", "extxyz", "ase-db"]

STRUCTURE_FORMATS: tuple[Format, ...] = ("cif", "poscar")
"""Formats with one structure per file, whose id is the file name."""

FORMATS = (
    "JSON of DCGAT, Alexandria, the Materials Project, MatPES, JARVIS, OQMD, OPTIMADE, Matbench "
    "or WBM (.json, .jsonl; .zip with one of them), Parquet of LeMat-Bulk (.parquet), "
    "CSV with a cif or poscar column (.csv), CIF (.cif), POSCAR (POSCAR*, "
    "CONTCAR*, .vasp, .poscar), extended XYZ (.extxyz, .xyz), each also .gz or .bz2, "
    "and ASE databases (.db, .json-db)"
)
"""Readable formats, for messages."""

FREE_BYTES = 2**26
MAX_RATIO = 200
"""Limit of decompressed data: FREE_BYTES or MAX_RATIO times the file size (crystals need 10)."""

_OPEN: dict[str, Callable[[Path], Any]] = {".gz": gzip.open, ".bz2": bz2.open}

DAMAGE = (
    *(OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile),
    *(NotImplementedError, RuntimeError),
)
"""Errors of damaged compressed files; the last two are of unusual and of encrypted zip files."""

_HEAD = 4096
"""Bytes that show the format of a file."""

_MAGIC: dict[bytes, Format] = {
    b"PAR1": "parquet",
    b"SQLite format 3": "ase-db",
    b"{": "json",
    b"[": "json",
}

_FORMAT_OF_SUFFIX: dict[str, Format] = {
    ".json": "json",
    ".jsonl": "json",
    ".zip": "json",
    ".parquet": "parquet",
    ".csv": "csv",
    ".cif": "cif",
    ".vasp": "poscar",
    ".poscar": "poscar",
    ".extxyz": "extxyz",
    ".xyz": "extxyz",
    ".db": "ase-db",
    ".json-db": "ase-db",
}


def _uncompressed_name(path: Path) -> str:
    return path.stem if path.suffix.lower() in _OPEN else path.name


def format_of(path: Path) -> Format | None:
    """Return the format of a file by its name, or None for an unknown one."""
    name = _uncompressed_name(path)
    known = _FORMAT_OF_SUFFIX.get(Path(name).suffix.lower())
    if known == "ase-db" and name != path.name:
        return None
    if known is None and name.startswith(("POSCAR", "CONTCAR")):
        return "poscar"
    return known


def format_of_content(path: Path) -> Format | None:
    """Return the format that the first bytes of a file show, or None if its name must decide.

    JSON, Parquet, CIF, zip files of JSON and SQLite databases are recognized, also compressed.
    """
    if not path.is_file():  # a pipe has no end, and might have no beginning
        return None
    try:
        with open_stream(path) as stream:
            head = stream.read(_HEAD).lstrip(b"\xef\xbb\xbf \t\r\n")
    except (*DAMAGE, InputError):
        return None
    for start, kind in _MAGIC.items():
        if head.startswith(start):
            return kind
    is_cif = head.startswith((b"data_", b"#")) and b"_cell_length_a" in head
    return "cif" if is_cif else None


def open_stream(path: Path) -> BinaryIO:
    """Open a file for reading, decompressed if it is gzip, bzip2 or zip by content.

    A file called .gz or .bz2 is always decompressed, so that a damaged one is noticed. A zip file
    must have one file in .json or .jsonl, else it is an InputError.
    """
    with open(path, "rb") as raw:
        magic = raw.read(4)
    if path.suffix.lower() == ".gz" or magic.startswith(b"\x1f\x8b"):
        return gzip.open(path)  # type: ignore[return-value]
    if path.suffix.lower() == ".bz2" or magic.startswith(b"BZh"):
        return bz2.open(path)  # type: ignore[return-value]
    if magic != b"PK\x03\x04":
        return open(path, "rb")
    archive = zipfile.ZipFile(path)
    names = [n for n in archive.namelist() if n.lower().endswith((".json", ".jsonl"))]
    if len(names) != 1:
        archive.close()
        raise InputError(f"expected one .json file in the zip file, it has {names or 'none'}")
    return archive.open(names[0])  # type: ignore[return-value]


def stem_of(path: Path) -> str:
    """Return the file name without format suffixes: "mp-1.5.cif.gz" gives "mp-1.5"."""
    name = _uncompressed_name(path)
    return (
        name[: -len(Path(name).suffix)] if Path(name).suffix.lower() in _FORMAT_OF_SUFFIX else name
    )


def read_bytes(path: Path) -> bytes:
    """Return the content of a file, decompressed if its name ends in .gz or .bz2.

    InputError if the file is missing, empty or no regular file (a pipe has no end), or its
    compressed data are damaged, truncated, or expand beyond any plausible size.
    """
    opener = _OPEN.get(path.suffix.lower())
    if path.exists() and not path.is_file():
        raise InputError("expected a regular file, not a folder, pipe or device")
    try:
        content = path.read_bytes() if opener is None else decompressed(path, opener)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        kind = path.suffix if opener else "readable"
        raise InputError(f"expected a complete {kind} file; it is damaged: {error}") from error
    if not content.strip():
        raise InputError("the file is empty; expected " + FORMATS)
    return content


def decompressed(path: Path, opener: Callable[[Path], Any]) -> bytes:
    """Return the content of a file opened by `gzip.open` or `bz2.open`.

    InputError beyond both FREE_BYTES and MAX_RATIO times the file's size; errors of damaged files
    pass.
    """
    size = path.stat().st_size
    most = max(FREE_BYTES, MAX_RATIO * size)
    with opener(path) as stream:
        content = stream.read(most + 1) if size else b""
    if len(content) > most:
        raise InputError(
            f"{path}: its {size} bytes expand to more than {most}, far beyond crystal data; if "
            "you trust the file, decompress it first"
        )
    return content


def read_text(path: Path, *, is_ascii: bool = False) -> str:
    """Return the content of a text file in UTF-8, or in UTF-16 with a byte-order mark.

    If the format `is_ascii` (CIF, POSCAR), other bytes, in comments, are replaced; else they are an
    InputError, as are those of `read_bytes`.
    """
    content = read_bytes(path)
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return content.decode(encoding, "replace" if is_ascii else "strict")
    except UnicodeDecodeError as error:
        raise InputError(f"expected UTF-8 text: {error}; save the file as UTF-8") from error
