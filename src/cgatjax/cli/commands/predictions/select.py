"""`select`: choose the crystals to compute next."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import click

import cgatjax as cg
from cgatjax.cli.command_options import Kind, command
from cgatjax.cli.data_files import or_empty, unseen_of
from cgatjax.runtime import require_new, write_csv

SHOWN = 5
"""Number of selected crystals that are printed."""
_COLUMNS = (
    "rank",
    "id",
    "formula",
    "property",
    "prediction",
    "std",
    "unit",
    "distance",
    "unseen_elements",
)


@command(candidates="CANDIDATES...")
def select(
    run: str,
    candidates: tuple[str, ...],
    *,
    count: int,
    by: Literal["uncertainty", "diversity", "both"] = "both",
    known: tuple[str, ...] = (),
    target: str | None = None,
    out: str,
    properties: str | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    uncertainty: Kind | None = None,
) -> None:
    """Select the crystals to compute next.

    CANDIDATES: a store, or files as for `featurize`. The CSV lists the selected crystals in the
    order of selection. Candidates that are known or repeat another one, by id or by graph hash,
    are never selected; FILE.excluded.csv lists them with the reason. The column unseen_elements
    lists elements that the model was never trained on; crystals with them are candidates, too,
    because their values teach the model most.

    \b
    cgatjax select runs/scan candidates.store --count 100 --known scan.store --out next.csv

    Options:
      count: Number of crystals to select.
      by: Acquisition: largest standard deviation, largest distance to all known crystals in
        embedding space, or largest product of the two.
      known PATH: Store of crystals whose values are known: they count as covered and are never
        selected.
      target NAME: Property, if the run predicts several.
      out PATH: CSV file to write.
      properties
      on_error
      uncertainty
    """
    from cgatjax.active_learning import Excluded
    from cgatjax.structures import readable_formula

    path, excluded_path = Path(out), Path(out).with_suffix(".excluded.csv")
    require_new(path, excluded_path)
    predictor = cg.load_predictor(run, uncertainty)
    pool, skipped = _candidates(predictor, candidates, properties, on_error)
    sets = [cg.open_store(store) for store in known]
    found = cg.select(predictor, pool, count, by=by, known=sets, target=target, show_progress=True)
    excluded = [*found.excluded, *(Excluded(r.id, r.reason) for r in skipped)]
    notes = [
        f"cgatjax model: {run}",
        f"chosen by {by} from {len(pool)} candidates; known: {', '.join(known) or 'none'}",
        f"std of {found.target} ({found.unit or '?'}): {found.std_note}",
    ]
    formulas = list(map(readable_formula, pool.select(found.positions).formulas))
    write_csv(path, [_COLUMNS, *_rows(found, formulas)], notes)
    click.echo(f"{path}: {len(found)} of {len(pool)} candidates, by {by}")
    for rank, (name, formula) in enumerate(zip(found.ids[:SHOWN], formulas, strict=False), 1):
        click.echo(f"  {rank}. {name} ({formula})")
    if excluded:
        write_csv(excluded_path, [("id", "reason"), *excluded])
        click.echo(f"{len(excluded)} candidates excluded: {excluded_path}")


def _candidates(
    predictor: "cg.Predictor",
    inputs: tuple[str, ...],
    properties: str | None,
    on_error: Literal["raise", "skip"],
) -> "tuple[cg.Dataset, list[cg.Rejected]]":
    """Crystals of a store, or graphs of files in memory; and the files' skipped crystals."""
    from cgatjax.cli.data_files import store_or_files
    from cgatjax.inference.new_graphs import graphs_of

    found = store_or_files(inputs)
    if isinstance(found, list):
        return graphs_of(predictor, found, properties=properties, on_error=on_error)
    return found.all(), []


def _rows(found: "cg.Selection", formulas: Sequence[str]) -> Iterable[tuple[Any, ...]]:
    for k, (name, formula) in enumerate(zip(found.ids, formulas, strict=True)):
        mean, std, distance = (or_empty(v[k]) for v in (found.means, found.stds, found.distances))
        unseen = unseen_of(found.unseen, k)
        yield k + 1, name, formula, found.target, mean, std, found.unit, distance, unseen
