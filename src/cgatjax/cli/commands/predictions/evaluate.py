"""`evaluate`: errors of a model on a store."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

import cgatjax as cg
from cgatjax.cli.command_options import Kind, Subset, command
from cgatjax.cli.data_files import write_predictions
from cgatjax.runtime import require_new, table

if TYPE_CHECKING:
    import numpy as np

    from cgatjax.inference.memory import TrainedOn


@command()
def evaluate(
    run: str,
    store: str,
    *,
    subset: Subset | None = None,
    exclude_seen: Literal["graph", "formula"] | None = None,
    out: str | None = None,
    plots: str | None = None,
    uncertainty: Kind | None = None,
) -> None:
    """Compute the errors of a model on a store.

    Errors are in the unit of the target. The number of crystals that the model was trained on,
    under this or another id, is printed: their errors say nothing about new crystals, and
    --exclude-seen leaves them out. Properties that the store lacks are not evaluated.

    \b
    cgatjax evaluate mp-small mine.store --exclude-seen
    cgatjax evaluate runs/scan scan.store --out errors.csv --plots figures

    Options:
      subset: Subset of the run's split to evaluate. [default: test if the split is of this store,
        otherwise all]
      exclude_seen: Leave out crystals that the model was trained on: equal ones (graph, the
        default), or those of the same formula.
      out PATH: CSV file of all values and predictions.
      plots PATH: Folder for figures: parity, errors by element and by number of sites, calibration.
      uncertainty
    """
    from cgatjax.cli.data_files import chosen_subset
    from cgatjax.cli.plots import draw_evaluation
    from cgatjax.inference.prediction import with_known
    from cgatjax.model.metrics import errors_of

    require_new(out, plots)
    predictor, data = cg.load_predictor(run, uncertainty), cg.open_store(store)
    crystals, name = chosen_subset(run, data, subset)
    crystals = with_known(predictor, crystals)
    predictor.model.check_units(crystals, store)
    if exclude_seen:
        before = len(crystals)
        crystals = crystals.select(~predictor.seen(crystals, exclude_seen))
        name = f"{name} without {before - len(crystals)} seen in training (by {exclude_seen})"
    known = predictor.model.targets_in(crystals)
    values = {t: crystals.target(t) for t in known}
    found = cg.predict(predictor, crystals, show_progress=True).restrict_targets(known)
    errors = {t: errors_of(found.means[t], values[t]) for t in known}
    click.echo(f"{run} on {store}, {name}: {len(crystals)} crystals")
    rows = [(t, found.units[t] or "?", e["mae"], e["rmse"], e["n"]) for t, e in errors.items()]
    click.echo(table(("target", "unit", "MAE", "RMSE", "n"), rows))
    _echo_trained_on(found.trained_on, name, run, data)
    _echo_calibration(found, values)
    if out:
        write_predictions(Path(out), run, found, values)
        click.echo(f"values and predictions: {out}")
    if plots:
        draw_evaluation(Path(plots), found, values, crystals, f"{run}, {name}")


def _echo_trained_on(trained_on: "TrainedOn | None", name: str, run: str, data: "cg.Store") -> None:
    """Print the number of crystals that were used in training, and the way to leave them out."""
    from cgatjax.runs.run_folder import SPLIT

    store = data.path
    if trained_on is None:
        click.echo("the model does not record the crystals that it was trained on")
        return
    if trained_on.train == trained_on.valid == 0:
        click.echo(trained_on.text())
        return
    if name.startswith("test"):
        advice = "they have other ids there; train with --split-by formula to keep polymorphs apart"
    elif (Path(run) / SPLIT).is_file() and set(cg.Split.load(Path(run) / SPLIT).test) <= set(
        data.ids
    ):
        advice = f"for new crystals: cgatjax evaluate {run} {store} --subset test"
    else:
        advice = f"without them: --exclude-seen; or train --exclude {store} --exclude-by graph"
    click.echo(f"{trained_on.text()}; {advice}")


def _echo_calibration(found: "cg.Predictions", values: "dict[str, np.ndarray]") -> None:
    """Print the calibration of the standard deviations of each target that has them."""
    import numpy as np

    rows = []
    for target, std in found.stds.items():
        known = np.isfinite(std) & np.isfinite(values[target])
        if known.any() and (std[known] > 0).all():
            report = cg.calibration_report(values[target], found.means[target], std)
            rows.append((target, report.nll, report.area, report.sharpness, report.spearman))
            click.echo(f"std of {target}: {found.std_notes[target]}")
    if rows:
        click.echo(table(("target", "NLL", "area", "sharpness", "rank corr."), rows))
