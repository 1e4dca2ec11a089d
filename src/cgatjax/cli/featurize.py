"""`featurize` and `info`: from files to a store, and what a store, run or model holds."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from cgatjax.cli.shared_options import on_error_option, workers_option
from cgatjax.cli.text_tables import fields, table
from cgatjax.config import GraphConfig
from cgatjax.data.build import build_store
from cgatjax.data.filters import Filter
from cgatjax.data.store import BUILD_LOG, MANIFEST, SKIPPED, Store, open_store
from cgatjax.errors import ConfigError, InputError
from cgatjax.options import load_toml

SHOWN_TARGETS = 8
"""Targets whose values are counted at the end of `featurize`."""
SHOWN_REASONS = 3
"""Reasons of skipped crystals that are printed; the rest stands in the store."""


def _units(pairs: Sequence[str]) -> dict[str, str]:
    """NAME=UNIT options as a dictionary."""
    split = [pair.partition("=") for pair in pairs]
    wrong = [name + sign for name, sign, unit in split if not (name and sign and unit)]
    if wrong:
        raise ConfigError(f"--unit: expected NAME=UNIT, such as heat=eV/atom, got {wrong}")
    return {name: unit for name, _, unit in split}


def _differences(texts: Sequence[str]) -> dict[str, tuple[str, str]]:
    """NAME=ONE,OTHER options as a dictionary."""
    found = {}
    for text in texts:
        name, _, pair = text.partition("=")
        one, _, other = pair.partition(",")
        if not (name and one and other) or "," in other:
            raise ConfigError(
                "--difference: expected NAME=ONE,OTHER, such as e-form_delta=e-form,e-form_pbe, "
                f"got {text!r}"
            )
        found[name] = (one, other)
    return found


def _graph_config(recommended: bool, file: str | None, flags: dict[str, Any]) -> GraphConfig:
    """Options from flags, over those of the file, over the released or recommended ones."""
    start = GraphConfig.recommended() if recommended else GraphConfig()
    options = load_toml(file, {"graph": GraphConfig}).get("graph", {}) if file else {}
    return start.replace(**{**options, **{k: v for k, v in flags.items() if v is not None}})


def cores() -> int:
    """Processor cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@click.command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("--out", required=True, type=click.Path(), help="Store folder to create.")
@click.option("--target", "targets", multiple=True, help="Property to keep; repeat. Default: all.")
@click.option("--unit", "units", multiple=True, metavar="NAME=UNIT", help="Unit of a property.")
@click.option(
    "--difference",
    "differences",
    multiple=True,
    metavar="NAME=ONE,OTHER",
    help="Keep ONE less OTHER as a property, too; repeat.",
)
@click.option(
    "--properties",
    type=click.Path(),
    help="CSV of values for CIF and POSCAR files, a row for each.  [default: properties.csv or "
    "id_prop.csv beside them]",
)
@click.option("--max-atoms", type=int, help="Leave out cells with more sites.")
@click.option(
    "--min-elements",
    type=int,
    default=1,
    show_default=True,
    help="Leave out crystals of fewer elements; 2 leaves out pure elements.",
)
@click.option("--max-neighbors", type=int, help="Neighbors kept around a site.  [default: 24]")
@click.option(
    "--shell-tolerance",
    type=float,
    help="A neighbor farther by more than this starts a shell.  [default: 1e-8]",
)
@click.option(
    "--tolerance-kind",
    type=click.Choice(["absolute", "relative"]),
    help="Tolerance in angstrom or as a fraction of the distance.  [default: absolute]",
)
@click.option(
    "--split-shell",
    type=click.Choice(["cut", "share"]),
    help="Where the last shell does not fit: cut it, or share its slots.  [default: cut]",
)
@click.option("--max-radius", type=float, help="Search limit in angstrom.  [default: 18]")
@click.option(
    "--recommended",
    is_flag=True,
    help="Start from relative tolerance 3e-4 and shared shells, not the released ones.",
)
@click.option("--config", type=click.Path(), help="TOML file with a table [graph].")
@workers_option
@on_error_option()
@click.option(
    "--resume", is_flag=True, help="Go on after a kill, or begin if there is nothing yet."
)
@click.option("--no-reduce", is_flag=True, help="Keep one node a site (bigger, same predictions).")
def featurize(
    inputs: tuple[str, ...],
    out: str,
    targets: tuple[str, ...],
    units: tuple[str, ...],
    differences: tuple[str, ...],
    properties: str | None,
    max_atoms: int | None,
    min_elements: int,
    recommended: bool,
    config: str | None,
    workers: int | None,
    on_error: str,
    resume: bool,
    no_reduce: bool,
    **flags: Any,
) -> None:
    """Turn structures into a store of graphs.

    INPUT: files, folders or patterns of DCGAT JSON (.json, .gz, .bz2), CSV with a cif or poscar
    column, CIF, POSCAR, and, with ASE, extxyz and ASE databases. Energies, volumes and the like
    are taken per atom, in the unit of the input. Those of CIF and POSCAR files come from a CSV file
    whose first column (or the one called id) holds the files' names.

    \b
    cgatjax featurize pbe/*.json.bz2 --out pbe.store --target e-form --min-elements 2
    cgatjax featurize cifs/ --properties heat.csv --unit heat=eV/atom --recommended \\
        --out mine.store --on-error skip

    What is finished stays on disk after a kill or an error. The same command with --resume reads
    the input again, compares it, and featurizes only the rest; the store is the same to the byte.
    """
    store = build_store(
        list(inputs),
        out,
        _graph_config(recommended, config, flags),
        targets=targets or None,
        units=_units(units),
        differences=_differences(differences),
        properties=properties,
        keep=Filter(max_atoms=max_atoms, min_elements=min_elements),
        reduce=not no_reduce,
        workers=workers or cores(),
        on_error=on_error,  # type: ignore[arg-type]
        resume=resume,
        show_progress=True,
    )
    click.echo(_counts(store))
    _echo_known(store)
    _echo_reasons(store)


def _echo_known(store: Store) -> None:
    """How many crystals have a value of each target, the first few of many targets."""
    for name, unit in list(store.units.items())[:SHOWN_TARGETS]:
        known = int(np.isfinite(store.target(name)).sum())
        click.echo(f"  {name} ({unit or 'unit unknown: --unit'}): {known} values")
    if not store.units:
        click.echo("  no properties: good for predictions, not for training")
    elif len(store.units) > SHOWN_TARGETS:
        click.echo(f"  and {len(store.units) - SHOWN_TARGETS} more: cgatjax info {store.path}")


def _counts(store: Store) -> str:
    made = store.manifest
    return (
        f"{store.path}: {len(store)} crystals kept, {made['n_filtered']} filtered, "
        f"{made['n_error']} skipped"
    )


def _echo_reasons(store: Store) -> None:
    """The first reasons for skipping, and where all of them stand."""
    with open(store.path / SKIPPED, newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "error"]
    for row in rows[:SHOWN_REASONS]:
        click.echo(f"  skipped {row['id'] or row['source']}: {row['reason']}")
    if rows or store.manifest["n_filtered"]:
        click.echo(f"  all of them: {store.path / SKIPPED}")


@click.command()
@click.argument("path", metavar="STORE_OR_RUN", type=click.Path())
@click.option("--verify", is_flag=True, help="Read a whole store and check its hashes.")
def info(path: str, verify: bool) -> None:
    """Show what a store, a run or a model holds.

    \b
    cgatjax info pbe.store     crystals, graphs, options, targets with units and statistics
    cgatjax info runs/scan     network, normalizers, graph options, errors, what was transferred

    Opening a store compares the sizes of its files. --verify hashes them, some seconds per GB.
    """
    if any((Path(path) / name).is_file() for name in (MANIFEST, BUILD_LOG)):
        _show_store(open_store(path, verify=verify))
        if verify:
            click.echo("all shards are as they were written")
    elif verify:
        raise InputError(f"{path}: --verify expects a store, found no {MANIFEST}")
    else:
        from cgatjax.cli.run_info import show_run

        show_run(Path(path))


def _show_store(store: Store) -> None:
    sites, nodes, edges = (store.manifest["sites"][k] for k in ("sites", "nodes", "edges"))
    click.echo(_counts(store))
    click.echo(f"sites {sites}, nodes {nodes} ({nodes / sites:.2f} a site), edges {edges}")
    full = sites * store.graph_config.max_neighbors
    state = "merged where no network can tell them apart" if store.reduced else "not merged"
    click.echo(f"sites and edges are {state}; edges per neighbor asked for: {edges / full:.2f}")
    click.echo(f"digest {store.digest}")
    click.echo("\ngraph options")
    click.echo(fields(store.graph_config.to_dict()))
    click.echo("\ntargets")
    rows = [_statistics(name, unit, store.target(name)) for name, unit in store.units.items()]
    click.echo(table(("name", "unit", "known", "mean", "std", "min", "max"), rows))
    _echo_reasons(store)


def _statistics(name: str, unit: str, values: np.ndarray) -> tuple[Any, ...]:
    known = values[np.isfinite(values)]
    spread = known.std(ddof=1) if len(known) > 1 else np.nan
    return (name, unit or "?", len(known), known.mean(), spread, known.min(), known.max())
