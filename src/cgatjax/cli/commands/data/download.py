"""`download`: fetch the files of a public record."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

import cgatjax as cg
from cgatjax.cli.command_options import command
from cgatjax.runtime import table

if TYPE_CHECKING:
    from cgatjax.runtime.progress import Advance


@command(source="NAME|DOI|URL")
def download(
    source: str,
    *,
    out: str | None = None,
    list_: bool = False,
    file_: tuple[str, ...] = (),
    unpack_: bool = False,
) -> None:
    """Download data and networks of the papers, or any public record.

    \b
    cgatjax download dcgat-pbesol-scan --list
    cgatjax download dcgat-pbesol-scan --file "*scan*" --out archives/scan
    cgatjax download cgat-models --out archives/models --unpack

    NAME is dcgat-pbe, dcgat-pbesol-scan or cgat-models; other records of Zenodo and the Materials
    Cloud Archive are named by DOI or URL. After an interruption, the same command continues where
    it stopped. Files that exist are compared with the checksums of the archive. Compressed files
    (.json.bz2) need no unpacking: `featurize` reads them.

    Options:
      out PATH: Folder for the files, created if it does not exist.
      list_: Only list the files and their sizes.
      file_ PATTERN: Pattern of the files to fetch. [default: all]
      unpack_: Unpack .tar and .zip files into folders.
    """
    from cgatjax.preprocessing.unpacking import is_packed
    from cgatjax.runtime.progress import progress

    record = cg.find_record(source)
    files = record.matching(*file_)
    click.echo(f"{record.title}\n{record.url}")
    if list_:
        sizes = ["?" if f.size is None else f"{f.size / 1e6:.1f}" for f in files]
        rows = [(f.name, mb, f.checksum or "?") for f, mb in zip(files, sizes, strict=True)]
        click.echo(table(("file", "MB", "checksum"), rows))
        return
    if out is None:
        raise cg.ConfigError("--out FOLDER is missing; --list shows what would be fetched")
    for file in files:
        with progress(file.name, file.size) as advance:
            is_new = cg.download(file, out, report=partial(_advance, advance))
        click.echo(f"{Path(out) / file.name}: {'fetched' if is_new else 'was there'}")
        if unpack_ and is_packed(file.name):
            folder, is_new = cg.unpack(Path(out) / file.name)
            click.echo(f"{folder}: {'unpacked' if is_new else 'was there'}")


def _advance(advance: "Advance", n_bytes: int) -> None:
    advance(n_bytes, "bytes")
