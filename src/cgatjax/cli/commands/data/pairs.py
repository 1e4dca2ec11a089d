"""`pairs`: the same crystals in two stores, their values side by side."""

from typing import Literal, get_args

import click

import cgatjax as cg
from cgatjax.cli.command_options import command
from cgatjax.config import DuplicateKey
from cgatjax.runtime import require_new, table

_KEYS = [key for key in get_args(DuplicateKey) if key != "prototype"]


@command()
def pairs(
    low: str,
    high: str,
    *,
    target: str,
    low_target: str | None = None,
    by: tuple[Literal["id", "formula", "graph"], ...] = (),
    out: str | None = None,
    store: str | None = None,
    as_: str | None = None,
) -> None:
    """Find the same crystals in two stores and compare their values.

    \b
    cgatjax pairs pbe.store scan.store --target e-form --out pairs.csv
    cgatjax pairs pbe.store scan.store --target e-form --store both.store --as e-form_pbe
    cgatjax pairs lemat.store lemat.store --low-target e-form@PBE --target e-form@SCAN

    LOW and HIGH: stores of low- and high-fidelity values, made with the same graph options; or one
    store twice. Crystals are joined by id, and by graph where ids differ: the same crystal in any
    cell. Keys that several crystals share are counted and pair none of them. The table shows how
    far the low-fidelity value is from the other one, before and after a linear fit in the
    composition.

    Options:
      target NAME: Property of HIGH.
      low_target NAME: Property of LOW. [default: that of HIGH]
      by: Key to join by; each joins what those before it left. [default: id, then
        graph]
      out PATH: CSV file with a row for each pair.
      store PATH: Store to create: HIGH with the low-fidelity value as a further property, a
        baseline.
      as_ NAME: Name of the low-fidelity property in --store. [default: that of LOW]
    """
    require_new(out, store)
    if as_ is not None and store is None:
        raise cg.ConfigError(
            "--as names a property of the store that --store creates; it is missing"
        )
    low_store, high_store = cg.open_store(low), cg.open_store(high)
    found = cg.pairs(low_store, high_store, target, low_target=low_target, by=by or ("id", "graph"))
    click.echo(
        f"{low}: {found.n_low} crystals with {found.low_target}\n"
        f"{high}: {found.n_high} crystals with {found.target}, {len(found)} of them paired"
    )
    steps = [(s.by, s.n_pairs, s.ambiguous, s.conflicts) for s in found.steps]
    click.echo(table(("by", "pairs", "ambiguous", "other formula"), steps))
    if len(found):
        s = found.statistics()
        header = ("unit", "mean difference", "std", "MAE", "MAE after fit", "correlation")
        row = (found.unit or "?", s.mean, s.std, s.mae, s.mae_after_fit, s.correlation)
        click.echo("\n" + table(header, [row]))
    if out is not None:
        found.write(out)
        click.echo(f"{out}: {len(found)} pairs")
    if store is not None:
        made = found.write_store(high_store, store, low_name=as_)
        click.echo(f"{made.path}: {len(made)} crystals with {', '.join(made.units)}")
