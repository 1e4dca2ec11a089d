"""`calibrate`: rescale the standard deviations of a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

import cgatjax as cg
from cgatjax.cli.command_options import Kind, Subset, command
from cgatjax.cli.data_files import require_own
from cgatjax.runtime import require_new, table

if TYPE_CHECKING:
    import numpy as np

    from cgatjax.inference.calibration import FitBy
    from cgatjax.inference.uncertainty_io import Rescaling


@command()
def calibrate(
    run: str,
    store: str,
    *,
    subset: Subset = "valid",
    by: Literal["likelihood", "area"] = "likelihood",
    uncertainty: Kind | None = None,
    plot: str | None = None,
) -> None:
    """Fit a calibration factor for the standard deviations of a run.

    The factor of each target is fitted to crystals that were not trained on, the validation set,
    and written to RUN/calibration.json. Predictions then multiply standard deviations by it and say
    so. Each kind of uncertainty has its own factor. Delete the file to turn calibration off.

    \b
    cgatjax calibrate runs/scan scan.store --plot calibration.png
    cgatjax calibrate runs/scan scan.store --uncertainty gp

    Options:
      subset: Subset of the run's split to fit the factor to.
      by: Criterion: largest likelihood, or smallest miscalibration area.
      uncertainty
      plot PATH: Calibration before and after, PNG, PDF or SVG.
    """
    from cgatjax.cli.data_files import chosen_subset
    from cgatjax.inference.loading import digest_of
    from cgatjax.inference.prediction import with_known
    from cgatjax.inference.uncertainty_io import save_rescalings

    require_new(plot)
    require_own(run)
    loaded, data = cg.load_predictor(run, uncertainty), cg.open_store(store)
    kind, before = loaded.uncertainty, loaded.without_rescaling()
    if kind == "none":
        raise cg.ConfigError(
            f"{run} predicts no standard deviation; {before.std_note(loaded.targets[0])}"
        )
    crystals, name = chosen_subset(run, data, subset)
    crystals = with_known(loaded, crystals)
    loaded.model.check_units(crystals, store)
    found = cg.predict(before, crystals, show_progress=True)
    values = {t: crystals.target(t) for t in loaded.targets}
    fitted: dict[str, Rescaling] = {}
    for target in loaded.targets:
        rescaling = _fitted(values[target], found, target, by, subset)
        if rescaling is not None:
            fitted[target] = rescaling
    rescalings = {**loaded.rescalings, kind: fitted}
    save_rescalings(run, rescalings, digest_of(loaded.members))
    click.echo(f"{run}, {kind}, {name} of {store}")
    rows = [row for t, r in fitted.items() for row in _rows(values[t], found, t, r)]
    header = ("target", "unit", "", "factor", "NLL", "area", "sharpness", "rank corr.", "n")
    click.echo(table(header, rows))
    if plot:
        _draw(Path(plot), values, found, fitted)


def _fitted(
    values: "np.ndarray", found: "cg.Predictions", target: str, by: "FitBy", subset: str
) -> "Rescaling | None":
    """Factor of a target, None if it has no standard deviation."""
    import numpy as np

    from cgatjax.inference.calibration import known_errors
    from cgatjax.inference.uncertainty_io import Rescaling

    if not np.isfinite(found.stds[target]).any():
        click.echo(f"{target}: {found.std_notes[target]}", err=True)
        return None
    error, std = known_errors(values, found.means[target], found.stds[target])
    what = {"valid": "validation", "train": "training", "test": "test", "all": ""}[subset]
    factor = cg.best_factor(error, std, by)
    return Rescaling(factor=factor, n=len(error), data=f"{what} crystals by {by}".strip())


def _rows(
    values: "np.ndarray", found: "cg.Predictions", target: str, rescaling: "Rescaling"
) -> list[tuple[Any, ...]]:
    """Calibration metrics before and after rescaling."""
    rows = []
    for name, factor in (("before", 1.0), ("after", rescaling.factor)):
        report = cg.calibration_report(values, found.means[target], found.stds[target] * factor)
        numbers = (report.nll, report.area, report.sharpness, report.spearman, report.n)
        rows.append((target, found.units[target] or "?", name, factor, *numbers))
    return rows


def _draw(
    path: Path,
    values: "dict[str, np.ndarray]",
    found: "cg.Predictions",
    fitted: "dict[str, Rescaling]",
) -> None:
    """Draw a figure for each target; the file names of several targets have the target in them."""
    from cgatjax.plotting.calibration_plots import calibration
    from cgatjax.plotting.style import save_figure

    for target, rescaling in fitted.items():
        mean, std = found.means[target], found.stds[target]
        lines = {
            "before": (values[target], mean, std),
            "after": (values[target], mean, std * rescaling.factor),
        }
        file = path if len(fitted) == 1 else path.with_stem(f"{path.stem}-{target}")
        save_figure(calibration(lines, found.units[target], target), file)
        click.echo(f"calibration: {file}")
