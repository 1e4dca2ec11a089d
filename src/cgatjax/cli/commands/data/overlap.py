"""`overlap`: count the crystals that stores share."""

from collections import Counter
from pathlib import Path
from typing import Literal

import click

import cgatjax as cg
from cgatjax.cli.command_options import command
from cgatjax.runtime import table


@command()
def overlap(
    stores: tuple[str, ...],
    *,
    by: tuple[Literal["id", "formula", "graph", "prototype"], ...] = (),
    out: str | None = None,
) -> None:
    """Count the crystals that stores share, and duplicates within each.

    \b
    cgatjax overlap pbe.store scan.store --out shared.csv
    cgatjax overlap mine.store --by graph          duplicates within one store

    Crystals are compared by id, by reduced formula, by graph (the same crystal under any id, in any
    cell) and by prototype (the same structure type with any elements). Graphs can be compared if
    the stores were made with the same options, best with `featurize --recommended`.

    Options:
      by: Key to compare by. [default: all]
      out PATH: CSV file of all crystals that share a key.
    """
    from cgatjax.data.overlap import KEYS

    names = _short_names(stores)
    report = cg.compare(dict(zip(names, map(cg.open_store, stores), strict=True)), by or KEYS)
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
    """Names of the folders, or their paths where names repeat."""
    counts = Counter(Path(path).name for path in paths)
    return [path if counts[Path(path).name] > 1 else Path(path).name for path in paths]
