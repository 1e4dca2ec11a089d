"""Contents of a store, as text."""

import csv
from typing import Any

import click
import numpy as np

import cgatjax as cg
from cgatjax.cli.data_files import echo_skipped
from cgatjax.data.store import SKIPPED
from cgatjax.runtime import fields, table
from cgatjax.structures import CELL_VOLUME

SHOWN_TARGETS = 8
"""Number of targets whose known values are counted after `featurize`."""


def show_store(store: cg.Store) -> None:
    """Print counts, graph options, statistics of the targets, and skipped crystals."""
    sites, nodes, edges = (store.manifest["sites"][k] for k in ("sites", "nodes", "edges"))
    _echo_counts(store)
    click.echo(f"sites {sites}, nodes {nodes} ({nodes / sites:.2f} per site), edges {edges}")
    full = sites * store.graph_config.max_neighbors
    state = "merged where the network cannot distinguish them" if store.reduced else "not merged"
    click.echo(f"sites and edges are {state}; {edges / full:.2f} edges per requested neighbor")
    click.echo(f"digest {store.digest}")
    click.echo("\ngraph options")
    click.echo(fields(store.graph_config.to_dict()))
    click.echo("\ntargets")
    rows = [_statistics(name, unit, store.target(name)) for name, unit in store.units.items()]
    click.echo(table(("name", "unit", "known", "mean", "std", "min", "max"), rows))
    _echo_reasons(store)


def _echo_counts(store: cg.Store) -> None:
    made = store.manifest
    click.echo(
        f"{store.path}: {len(store)} crystals kept, {made['n_filtered']} filtered, "
        f"{made['n_error']} skipped"
    )


def show_built(store: cg.Store) -> None:
    """Print counts of a new store, known values of the first targets, and skipped crystals."""
    _echo_counts(store)
    for name, unit in list(store.units.items())[:SHOWN_TARGETS]:
        known = int(np.isfinite(store.target(name)).sum())
        click.echo(f"  {name} ({unit or 'unit unknown: --unit'}): {known} values")
    if set(store.units) <= {CELL_VOLUME}:
        click.echo("  no properties: good for predictions, not for training")
    elif len(store.units) > SHOWN_TARGETS:
        click.echo(f"  and {len(store.units) - SHOWN_TARGETS} more: cgatjax info {store.path}")
    _echo_reasons(store)


def _echo_reasons(store: cg.Store) -> None:
    """Print the first skipped crystals with the reason, and the file that lists all of them."""
    file = store.path / SKIPPED
    with open(file, newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["kind"] == "error"]
    skipped = [cg.Rejected(**{k: row[k] for k in ("id", "source", "reason")}) for row in rows]
    echo_skipped(skipped, file if rows or store.manifest["n_filtered"] else None)


def _statistics(name: str, unit: str, values: np.ndarray) -> tuple[Any, ...]:
    known = values[np.isfinite(values)]
    spread = known.std(ddof=1) if len(known) > 1 else np.nan
    return (name, unit or "?", len(known), known.mean(), spread, known.min(), known.max())
