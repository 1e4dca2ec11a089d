"""`featurize`: make a store of crystal graphs."""

from collections.abc import Sequence
from typing import Any

import click

from cgatjax import ConfigError, GraphConfig
from cgatjax.cli.command_options import (
    command,
    on_error_option,
    option,
    properties_option,
    where_option,
    workers_option,
)
from cgatjax.cli.config_options import chosen, config_options
from cgatjax.options import load_toml

_STARTS = {"released": GraphConfig(), "--recommended": GraphConfig.recommended()}


@command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@option(
    "--target",
    "targets",
    multiple=True,
    metavar="NAME",
    group="Data",
    help="Property to keep. Repeatable.",
    default_note="all, and cell_volume",
)
@option(
    "--unit",
    "units",
    multiple=True,
    metavar="NAME=UNIT",
    group="Data",
    help="Unit of a property. Repeatable.",
    default_note="known by name",
)
@properties_option("Data")
@option("--max-atoms", type=int, group="Data", help="Leave out crystals with more sites.")
@option(
    "--min-elements",
    type=int,
    default=1,
    show_default=True,
    group="Data",
    help="Leave out crystals with fewer elements; 2 leaves out pure elements.",
)
@option(
    "--per-atom",
    multiple=True,
    metavar="NAME",
    group="Data",
    help="Property of the whole cell, to be divided by the number of sites. Repeatable.",
)
@where_option()
@option(
    "--rename",
    "renames",
    multiple=True,
    metavar="OLD=NEW",
    group="Data",
    help="Keep a property under the name that it has in other stores or models. Repeatable.",
)
@option(
    "--min-distance",
    type=float,
    default=0.5,
    show_default=True,
    metavar="ANGSTROM",
    group="Data",
    help="Reject crystals with two sites closer than this; 0 accepts any.",
)
@on_error_option(group="Data")
@option(
    "--recommended",
    is_flag=True,
    group="Graph",
    help="Start from the recommended options, not from those of the released code.",
)
@option("--config", type=click.Path(), group="Graph", help="TOML file with a table [graph].")
@config_options(GraphConfig, "Graph", presets=_STARTS)
@option(
    "--no-reduce",
    is_flag=True,
    group="Graph",
    help="Do not merge equivalent sites: larger graphs, same predictions.",
)
@workers_option("Hardware")
@option("--out", required=True, type=click.Path(), group="Output", help="Store folder to create.")
@option(
    "--resume",
    is_flag=True,
    group="Output",
    help="Resume an interrupted build; start it if there is nothing yet.",
)
def featurize(
    inputs: tuple[str, ...],
    out: str,
    targets: tuple[str, ...],
    units: tuple[str, ...],
    properties: str | None,
    max_atoms: int | None,
    min_elements: int,
    per_atom: tuple[str, ...],
    where: dict[str, str],
    renames: tuple[str, ...],
    min_distance: float,
    recommended: bool,
    config: str | None,
    workers: int,
    on_error: str,
    resume: bool,
    no_reduce: bool,
    **flags: Any,
) -> None:
    """Make a store of crystal graphs from structures.

    INPUT: files, folders or patterns of JSON (DCGAT, Alexandria, Materials Project, MatPES, JARVIS,
    OQMD, OPTIMADE, Matbench, WBM), Parquet (LeMat-Bulk), CSV with a column cif or poscar, CIF,
    POSCAR and, with the extra "ase", extxyz and ASE databases; `info` shows what a file has.
    Extensive properties are stored per atom, in the unit of the input; where a file states the
    functional of a value, its name is NAME@FUNCTIONAL. The properties of CIF and POSCAR files come
    from a CSV file whose first column (or the one called id) has the names of the files.

    \b
    cgatjax featurize pbe/*.json.bz2 --out pbe.store --target e-form --min-elements 2
    cgatjax featurize cifs/ --properties heat.csv --unit heat=eV/atom --recommended \\
        --out mine.store --on-error skip

    After a kill or an error, the same command with --resume reads the input again, compares it, and
    featurizes only the rest; the store is the same to the byte.
    """
    from cgatjax import Filter, build_store
    from cgatjax.cli.store_info import echo_counts, echo_known, echo_reasons

    store = build_store(
        list(inputs),
        out,
        _graph_config(recommended, config, flags),
        targets=targets or None,
        units=_pairs(units, "--unit", "NAME=UNIT, such as heat=eV/atom"),
        properties=properties,
        per_atom=per_atom,
        where=where,
        rename=_pairs(renames, "--rename", "OLD=NEW, such as formation_energy_peratom=e-form"),
        min_distance=min_distance,
        keep=Filter(max_atoms=max_atoms, min_elements=min_elements),
        reduce=not no_reduce,
        workers=workers,
        on_error=on_error,  # type: ignore[arg-type]
        resume=resume,
        show_progress=True,
    )
    echo_counts(store)
    echo_known(store)
    echo_reasons(store)


def _pairs(texts: Sequence[str], name: str, expected: str) -> dict[str, str]:
    """Parts before and after "=" of the values of an option."""
    split = [text.partition("=") for text in texts]
    wrong = [before + sign for before, sign, after in split if not (before and sign and after)]
    if wrong:
        raise ConfigError(f"{name}: expected {expected}, got {wrong}")
    return {before: after for before, _, after in split}


def _graph_config(recommended: bool, file: str | None, flags: dict[str, Any]) -> GraphConfig:
    """Graph options: flags over the file over the released or recommended ones."""
    start = _STARTS["--recommended" if recommended else "released"]
    table = load_toml(file, {"graph": GraphConfig}).get("graph", {}) if file else {}
    return start.replace(**{**table, **chosen(flags, GraphConfig)})
