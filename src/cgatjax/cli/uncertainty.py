"""`fit-gp` and `calibrate`: a Gaussian process for a run, and a factor on its standard deviations.

Both are kept with the run, and predictions use them from then on.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from cgatjax.cli.csv_output import chosen_part, require_new
from cgatjax.cli.shared_options import part_option, uncertainty_option
from cgatjax.cli.text_tables import table
from cgatjax.data.store import open_store
from cgatjax.errors import ConfigError

if TYPE_CHECKING:
    from cgatjax.inference.calibration import FitBy
    from cgatjax.inference.prediction import Predictions
    from cgatjax.inference.predictor import Uncertainty
    from cgatjax.inference.uncertainty_io import Rescaling


@click.command("fit-gp")
@click.argument("run", type=click.Path())
@click.argument("store", type=click.Path())
@part_option("train", ", to fit to")
@click.option("--inducing", type=int, help="Inducing points.  [default: 300]")
@click.option(
    "--kernel",
    type=click.Choice(["matern52", "rbf"]),
    help="rbf is the reference's.  [default: matern52]",
)
@click.option("--one-scale", is_flag=True, help="One length scale for all directions.")
@click.option("--steps", type=int, help="Of Adam.  [default: 1000]")
@click.option("--seed", type=int, help="Of inducing points and batches.  [default: 0]")
def fit_gp(run: str, store: str, part: str, one_scale: bool, **flags: Any) -> None:
    """Fit a sparse Gaussian process to the crystal embeddings of a run.

    It takes the run's crystals and their values from STORE, predicts every target of the run with a
    standard deviation, and is kept in RUN/gaussian_process; a second one replaces it. An ensemble's
    process reads the embeddings of its first member. `predict --uncertainty gp` uses it.

    \b
    cgatjax fit-gp runs/scan scan.store
    cgatjax predict runs/scan candidates/*.cif --uncertainty gp --out predictions.csv
    """
    from cgatjax.inference.gp_fitting import GPConfig
    from cgatjax.inference.gp_fitting import fit_gp as fit
    from cgatjax.inference.loading import digest_of, load_predictor
    from cgatjax.inference.prediction import embed
    from cgatjax.inference.uncertainty_io import save_processes, save_rescalings

    given = {name: value for name, value in flags.items() if value is not None}
    options = GPConfig(one_scale=one_scale, **given)
    predictor, data = load_predictor(run), open_store(store)
    crystals, name = chosen_part(Path(run), data, part)
    predictor.model.check_units(crystals, store)
    embeddings = embed(predictor, crystals)
    processes = {t: fit(embeddings, crystals.target(t), options) for t in predictor.targets}
    weights = digest_of(predictor.members)
    save_processes(run, processes, weights)
    if "gp" in predictor.rescalings:
        others = {kind: r for kind, r in predictor.rescalings.items() if kind != "gp"}
        save_rescalings(run, others, weights)
        click.echo("the factor of the process before this one is gone; calibrate again", err=True)
    rows = [
        (t, predictor.units[t] or "?", gp.n, len(gp.process.mean), gp.noise)
        for t, gp in processes.items()
    ]
    click.echo(f"{run}: fitted to {name} of {store}")
    click.echo(table(("target", "unit", "crystals", "inducing", "noise"), rows))


@click.command()
@click.argument("run", type=click.Path())
@click.argument("store", type=click.Path())
@part_option("valid", ", to fit the factor on")
@click.option(
    "--by",
    type=click.Choice(["likelihood", "area"]),
    default="likelihood",
    show_default=True,
    help="Largest likelihood, or smallest miscalibration area.",
)
@uncertainty_option
@click.option("--plot", type=click.Path(), help="Calibration before and after, PNG, PDF or SVG.")
def calibrate(
    run: str,
    store: str,
    part: str,
    by: "FitBy",
    uncertainty: "Uncertainty | None",
    plot: str | None,
) -> None:
    """Fit one factor on the standard deviations of a run, and keep it there.

    The factor of each target is fitted on crystals that were not trained on, the validation part,
    and stands in RUN/calibration.json. From then on predictions are multiplied by it and say so.
    Each kind of uncertainty has its own factor; without that file there is none.

    \b
    cgatjax calibrate runs/scan scan.store --plot calibration.png
    cgatjax calibrate runs/scan scan.store --uncertainty gp
    """
    from cgatjax.inference.loading import digest_of, load_predictor
    from cgatjax.inference.prediction import predict
    from cgatjax.inference.uncertainty_io import save_rescalings

    require_new(plot)
    loaded, data = load_predictor(run, uncertainty), open_store(store)
    kind, before = loaded.uncertainty, loaded.without_rescaling()
    if kind == "none":
        raise ConfigError(
            f"{run} predicts no standard deviation; {before.std_note(loaded.targets[0])}"
        )
    crystals, name = chosen_part(Path(run), data, part)
    loaded.model.check_units(crystals, store)
    found = predict(before, crystals, show_progress=True)
    values = {t: crystals.target(t) for t in loaded.targets}
    fitted = {t: _fitted(values[t], found, t, by, part) for t in loaded.targets}
    rescalings = {**loaded.rescalings, kind: {t: r for t, r in fitted.items() if r is not None}}
    save_rescalings(run, rescalings, digest_of(loaded.members))
    click.echo(f"{run}, {kind}, {name} of {store}")
    rows = [
        row for t, r in fitted.items() if r is not None for row in _rows(values[t], found, t, r)
    ]
    header = ("target", "unit", "", "factor", "NLL", "area", "sharpness", "rank corr.", "n")
    click.echo(table(header, rows))
    if plot:
        _plot(Path(plot), values, found, fitted)


def _fitted(
    values: np.ndarray, found: "Predictions", target: str, by: "FitBy", part: str
) -> "Rescaling | None":
    """The factor of a target, None where it has no standard deviation."""
    from cgatjax.inference.calibration import best_factor, known_errors
    from cgatjax.inference.uncertainty_io import Rescaling

    if not np.isfinite(found.stds[target]).any():
        click.echo(f"{target}: {found.std_notes[target]}", err=True)
        return None
    error, std = known_errors(values, found.means[target], found.stds[target])
    what = {"valid": "validation", "train": "training", "test": "test", "all": ""}[part]
    factor = best_factor(error, std, by)
    return Rescaling(factor=factor, n=len(error), data=f"{what} crystals by {by}".strip())


def _rows(
    values: np.ndarray, found: "Predictions", target: str, rescaling: "Rescaling"
) -> list[tuple[Any, ...]]:
    """The numbers of calibration before and after."""
    from cgatjax.inference.calibration import judge

    rows = []
    for name, factor in (("before", 1.0), ("after", rescaling.factor)):
        report = judge(values, found.means[target], found.stds[target] * factor)
        numbers = (report.nll, report.area, report.sharpness, report.spearman, report.n)
        rows.append((target, found.units[target] or "?", name, factor, *numbers))
    return rows


def _plot(
    path: Path,
    values: dict[str, np.ndarray],
    found: "Predictions",
    fitted: "dict[str, Rescaling | None]",
) -> None:
    """One figure a target; several targets get their name into the file's name."""
    from cgatjax.plotting.calibration_plots import calibration

    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = {t: r for t, r in fitted.items() if r is not None}
    for target, rescaling in drawn.items():
        mean, std = found.means[target], found.stds[target]
        lines = {
            "before": (values[target], mean, std),
            "after": (values[target], mean, std * rescaling.factor),
        }
        file = path if len(drawn) == 1 else path.with_stem(f"{path.stem}-{target}")
        calibration(lines, found.units[target], target).savefig(file)
        click.echo(f"calibration: {file}")
