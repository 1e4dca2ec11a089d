"""`download`, `hull` and `overlap`: what is done to data before anything is learned from them."""

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import click

from cgatjax.cli.featurize import SHOWN_REASONS, cores
from cgatjax.cli.shared_options import on_error_option, workers_option
from cgatjax.cli.text_tables import table
from cgatjax.data.overlap import KEYS, compare
from cgatjax.data.store import open_store
from cgatjax.errors import ConfigError
from cgatjax.preprocessing.downloads import download as fetch
from cgatjax.preprocessing.hull_files import DISTANCE, FORMATION, add_hull
from cgatjax.preprocessing.records import find_record
from cgatjax.preprocessing.unpacking import is_packed, unpack
from cgatjax.runtime.progress import Advance, progress


@click.command()
@click.argument("source", metavar="NAME|DOI|URL")
@click.option("--out", type=click.Path(), help="Folder for the files; made if it is not there.")
@click.option("--list", "only_list", is_flag=True, help="Show the files and their sizes only.")
@click.option("--file", "patterns", multiple=True, metavar="PATTERN", help="Files to take; repeat.")
@click.option("--unpack", "unpacks", is_flag=True, help="Unpack .tar and .zip files into folders.")
def download(
    source: str, out: str | None, only_list: bool, patterns: tuple[str, ...], unpacks: bool
) -> None:
    """Fetch the files of a public record: the data and the networks of the papers.

    \b
    cgatjax download dcgat-pbesol-scan --list
    cgatjax download dcgat-pbesol-scan --file "*scan*" --out archives/scan
    cgatjax download cgat-models --out archives/models --unpack

    NAME is dcgat-pbe, dcgat-pbesol-scan or cgat-models; any other record of Zenodo or the Materials
    Cloud Archive goes by its DOI or its address. After an interruption the same command goes on
    where it stopped. Files that are there already are compared with the archive's checksums.
    Compressed files (.json.bz2) need no unpacking: featurize reads them.
    """
    record = find_record(source)
    files = record.matching(*patterns)
    click.echo(f"{record.title}\n{record.url}")
    if only_list:
        rows = [(f.name, _megabytes(f.size), f.checksum or "?") for f in files]
        click.echo(table(("file", "MB", "checksum"), rows))
        return
    if out is None:
        raise ConfigError("--out FOLDER is missing; --list shows what would be fetched")
    for file in files:
        with progress(file.name, file.size) as advance:
            is_new = fetch(file, out, report=partial(_advance, advance))
        click.echo(f"{Path(out) / file.name}: {'fetched' if is_new else 'was there'}")
        if unpacks and is_packed(file.name):
            folder, is_new = unpack(Path(out) / file.name)
            click.echo(f"{folder}: {'unpacked' if is_new else 'was there'}")


def _advance(advance: Advance, n_bytes: int) -> None:
    advance(n_bytes, "bytes")


def _megabytes(n_bytes: int | None) -> str:
    return "?" if n_bytes is None else f"{n_bytes / 1e6:.1f}"


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("--energy", required=True, metavar="NAME", help="Property that holds the energy.")
@click.option(
    "--kind",
    required=True,
    type=click.Choice(["cell", "atom", "formation"]),
    help="Total energy of the cell, total energy per atom, or formation energy per atom (eV).",
)
@click.option("--out", required=True, type=click.Path(), help="Folder to create.")
@click.option("--suffix", default="", help="Of the names of the new properties, such as @SCAN.")
@click.option(
    "--polymorphs",
    type=click.Choice(["compete", "ignore"]),
    default="compete",
    show_default=True,
    help="Whether entries of the same composition count as competitors.",
)
@workers_option
@on_error_option("Stop at a crystal without a hull, or list it and go on.")
def hull(inputs: tuple[str, ...], out: str, workers: int | None, **options: Any) -> None:
    """Compute formation energies and signed hull distances from energies.

    \b
    cgatjax hull scan/ --energy energy --kind cell --out scan-hull
    cgatjax featurize scan-hull/ --out scan.store --target e_above_hull_new

    INPUT is what featurize takes. All entries together make the hull, and the elements among them
    are the references. The crystals are written again, as files for featurize, with two more
    properties per atom: e-form, and e_above_hull_new, the distance to the hull of all other
    entries, negative for stable compounds.
    """
    done = add_hull(list(inputs), out, workers=workers or cores(), **options)
    names = " and ".join(name + options["suffix"] for name in (FORMATION, DISTANCE))
    click.echo(
        f"{done.path}: {done.n_crystals} crystals, {done.n_labeled} with {names}, "
        f"{done.n_stable} of them on the hull, {len(done.skipped)} skipped"
    )
    for item in done.skipped[:SHOWN_REASONS]:
        click.echo(f"  skipped {item.id or item.source}: {item.reason}")
    if done.skipped_path is not None:
        click.echo(f"  all of them: {done.skipped_path}")


@click.command()
@click.argument("stores", nargs=-1, required=True, metavar="STORE...", type=click.Path())
@click.option(
    "--by",
    multiple=True,
    type=click.Choice(KEYS),
    help="Compare by this alone; repeat.  [default: all four]",
)
@click.option("--out", type=click.Path(), help="CSV of every crystal that shares a key.")
def overlap(stores: tuple[str, ...], by: tuple[str, ...], out: str | None) -> None:
    """Count what stores have in common, and what each holds twice.

    \b
    cgatjax overlap pbe.store scan.store --out shared.csv
    cgatjax overlap mine.store --by graph          duplicates within one store

    Crystals are compared by id, by reduced formula, by graph (the same crystal under any id, in any
    cell) and by prototype (the same structure type with any elements). Graphs are comparable if the
    stores were made with the same options, and best with `featurize --recommended`.
    """
    names = _short_names(stores)
    report = compare(dict(zip(names, map(open_store, stores), strict=True)), by or KEYS)
    rows = [
        (key, name, len(ids), report.distinct(key, name))
        for key in report.keys
        for name, ids in report.ids.items()
    ]
    click.echo(table(("by", "store", "crystals", "distinct"), rows))
    if len(stores) > 1:
        pairs = [(p.by, p.first, p.second, p.n_keys, p.n_first, p.n_second) for p in report.pairs()]
        header = ("by", "first", "second", "shared", "crystals of first", "of second")
        click.echo("\n" + table(header, pairs))
    if out is not None:
        click.echo(f"\n{out}: {report.write(out)} crystals that share a key with another one")


def _short_names(paths: tuple[str, ...]) -> list[str]:
    """The folders' names, or their paths where names repeat."""
    counts = Counter(Path(path).name for path in paths)
    return [path if counts[Path(path).name] > 1 else Path(path).name for path in paths]
