"""`featurize`: make a store of crystal graphs."""

from typing import Any, Literal

import cgatjax as cg
from cgatjax.cli.command_options import command
from cgatjax.cli.config_options import chosen, config_options
from cgatjax.options import load_toml

_STARTS = {"released": cg.GraphConfig(), "--recommended": cg.GraphConfig.recommended()}


@command()
@config_options(cg.GraphConfig, "Graph", presets=_STARTS)
def featurize(
    inputs: tuple[str, ...],
    *,
    target: tuple[str, ...] = (),
    unit: dict[str, str],
    properties: str | None = None,
    max_atoms: int | None = None,
    min_elements: int = 1,
    per_atom: tuple[str, ...] = (),
    where: dict[str, str],
    rename: dict[str, str],
    min_distance: float = 0.5,
    on_error: Literal["raise", "skip"] = "raise",
    recommended: bool = False,
    config: str | None = None,
    no_reduce: bool = False,
    workers: int = 0,
    out: str,
    resume: bool = False,
    **flags: Any,
) -> None:
    """Make a store of crystal graphs from structures.

    INPUT: files, folders or patterns of JSON (DCGAT, Alexandria, Materials Project, MatPES, JARVIS,
    OQMD, OPTIMADE, Matbench, WBM), Parquet (LeMat-Bulk), CSV with a column cif or poscar, CIF,
    POSCAR and, with the extra "ase", extxyz and ASE databases; `info` shows what a file has.
    Extensive properties are stored per atom; where a file states the functional of a value, its
    name is NAME@FUNCTIONAL. The properties of CIF and POSCAR files come from a CSV file whose first
    column (or the one called id) has the names of the files.

    \b
    cgatjax featurize pbe/*.json.bz2 --out pbe.store --target e-form --min-elements 2
    cgatjax featurize cifs/ --properties heat.csv --unit heat=eV/atom --recommended \\
        --out mine.store --on-error skip

    After a kill or an error, --resume featurizes only the rest; the store is the same to the byte.

    Data:
      target NAME: Property to keep. [default: all, and cell_volume]
      unit NAME=UNIT: Unit of a property. [default: known by name]
      properties
      max_atoms: Leave out crystals with more sites.
      min_elements: Leave out crystals with fewer elements; 2 leaves out pure elements.
      per_atom NAME: Property of the whole cell, to be divided by the number of sites.
      where
      rename OLD=NEW: Keep a property under the name that it has in other stores or models.
      min_distance ANGSTROM: Reject crystals with two sites closer than this; 0 accepts any.
      on_error
    Graph:
      recommended: Start from the recommended options, not from those of the released code.
      config PATH: TOML file with a table [graph].
      no_reduce: Do not merge equivalent sites: larger graphs, same predictions.
    Hardware:
      workers
    Output:
      out PATH: Store folder to create.
      resume: Resume an interrupted build; start it if there is nothing yet.
    """
    from cgatjax.cli.store_info import show_built

    store = cg.build_store(
        list(inputs),
        out,
        _graph_config(recommended, config, flags),
        targets=target or None,
        units=unit,
        properties=properties,
        per_atom=per_atom,
        where=where,
        rename=rename,
        min_distance=min_distance,
        keep=cg.Filter(max_atoms=max_atoms, min_elements=min_elements),
        reduce=not no_reduce,
        workers=workers,
        on_error=on_error,
        resume=resume,
        show_progress=True,
    )
    show_built(store)


def _graph_config(recommended: bool, file: str | None, flags: dict[str, Any]) -> cg.GraphConfig:
    """Graph options: flags over the file over the released or recommended ones."""
    start = _STARTS["--recommended" if recommended else "released"]
    table = load_toml(file, {"graph": cg.GraphConfig}).get("graph", {}) if file else {}
    return start.replace(**{**table, **chosen(flags, cg.GraphConfig)})
