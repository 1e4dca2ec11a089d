"""`evaluate`, `predict`, `import-reference` and `demo`."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from cgatjax.cli.csv_output import chosen_part, or_empty, require_new, write_csv
from cgatjax.cli.plots import draw_evaluation
from cgatjax.cli.shared_options import on_error_option, uncertainty_option
from cgatjax.cli.text_tables import table
from cgatjax.data.splits import SUBSETS
from cgatjax.data.store import MANIFEST, open_store
from cgatjax.runs.run_folder import RunFolder
from cgatjax.structures.crystal import Rejected

if TYPE_CHECKING:
    from cgatjax.inference.prediction import Predictions
    from cgatjax.inference.predictor import Uncertainty
    from cgatjax.models.model import Model

COLUMNS = ("id", "property", "prediction", "std", "unit")
SHOWN_REASONS = 3


@click.command()
@click.argument("run", type=click.Path())
@click.argument("store", type=click.Path())
@click.option(
    "--part",
    type=click.Choice([*SUBSETS, "all"]),
    help="Of the run's split.  [default: test if the split is of this store, else all]",
)
@click.option("--out", type=click.Path(), help="CSV file with every value and prediction.")
@click.option("--plot", type=click.Path(), help="Parity plot, PNG, PDF or SVG.")
@click.option(
    "--plots",
    type=click.Path(),
    help="Folder for all pictures: parity, errors by element and by number of sites, calibration.",
)
@uncertainty_option
def evaluate(
    run: str,
    store: str,
    part: str | None,
    out: str | None,
    plot: str | None,
    plots: str | None,
    uncertainty: "Uncertainty | None",
) -> None:
    """Errors of a model on a store, in the target's unit.

    \b
    cgatjax evaluate runs/scan scan.store --out errors.csv --plots pictures
    """
    from cgatjax.inference.loading import load_predictor
    from cgatjax.inference.prediction import predict as predict_crystals
    from cgatjax.models.metrics import errors_of

    require_new(out, plot, plots)
    predictor, data = load_predictor(run, uncertainty), open_store(store)
    model = predictor.model
    crystals, name = chosen_part(Path(run), data, part)
    model.check_units(crystals, store)
    values = {t: crystals.target(t) for t in model.targets}
    found = predict_crystals(predictor, crystals, show_progress=True)
    errors = {t: errors_of(found.means[t], values[t]) for t in model.targets}
    click.echo(f"{run} on {store}, {name}: {len(crystals)} crystals")
    rows = [(t, found.units[t] or "?", e["mae"], e["rmse"], e["n"]) for t, e in errors.items()]
    click.echo(table(("target", "unit", "MAE", "RMSE", "n"), rows))
    _echo_trust(found, values)
    if out:
        header = ("id", "property", "target", "prediction", "std", "unit")
        write_csv(Path(out), header, _evaluated(found, values), _notes(run, found))
        click.echo(f"values and predictions: {out}")
    if plot:
        _plot(Path(plot), found, values, model)
    if plots:
        draw_evaluation(Path(plots), found, values, crystals)


@click.command()
@click.argument("run", type=click.Path())
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("--out", required=True, type=click.Path(), help="CSV file to write.")
@on_error_option()
@uncertainty_option
def predict(
    run: str,
    inputs: tuple[str, ...],
    out: str,
    on_error: str,
    uncertainty: "Uncertainty | None",
) -> None:
    """Predict properties of structures, relaxed or not.

    INPUT is whatever `featurize` reads, or a store. The CSV has a row for each crystal and target,
    in the target's unit; its first lines, which begin with "#", name the model and say how the
    standard deviation was made, or why that column is empty. Crystals skipped with
    --on-error skip stand in FILE.skipped.csv.

    \b
    cgatjax predict runs/scan candidates/*.cif --out predictions.csv
    """
    from cgatjax.inference.loading import load_predictor
    from cgatjax.inference.prediction import predict as predict_crystals

    path = Path(out)
    require_new(path)
    skipped_path = path.with_suffix(".skipped.csv")
    require_new(skipped_path)
    is_store = len(inputs) == 1 and (Path(inputs[0]) / MANIFEST).is_file()
    structures: Any = open_store(inputs[0]) if is_store else list(inputs)
    found = predict_crystals(
        load_predictor(run, uncertainty),
        structures,
        on_error=on_error,  # type: ignore[arg-type]
        show_progress=True,
    )
    write_csv(path, COLUMNS, _predicted(found), _notes(run, found))
    click.echo(f"{path}: {len(found.ids)} crystals, {len(found.skipped)} skipped")
    if found.skipped:
        _write_skipped(skipped_path, found.skipped)


@click.command("import-reference")
@click.argument("file", type=click.Path())
@click.option("--out", required=True, type=click.Path(), help="Run or store folder to create.")
@click.option("--target", help="Property that the model predicts.  [default: the checkpoint's]")
@click.option("--unit", help="Its unit.  [default: known by name]")
def import_reference(file: str, out: str, target: str | None, unit: str | None) -> None:
    """Make a run of a checkpoint of the PyTorch code, or a store of its features.

    A checkpoint (.ckpt) needs the extra "torch"; a feature file (.pickle.gz) does not. Neither
    can run code.

    \b
    cgatjax import-reference pbe.ckpt --out runs/reference
    cgatjax predict runs/reference candidates/*.cif --out predictions.csv
    cgatjax import-reference features.pickle.gz --out features.store
    """
    from cgatjax import reference
    from cgatjax.models.model_io import save_model

    require_new(out)
    if file.endswith((".pickle", ".pickle.gz")):
        store = reference.store_features(file, out)
        click.echo(f"{out}: {len(store)} crystals, targets {', '.join(sorted(store.units))}")
        return
    model = reference.load_checkpoint(file, target=target, unit=unit)
    run = RunFolder(out)
    run.save_config({"graph": model.graph_config, "model": model.config})
    save_model(run.path / "model", model)
    click.echo(f"{run.path}: {model.n_params} parameters, targets {', '.join(model.targets)}")


@click.command()
@click.option("--out", required=True, type=click.Path(), help="Folder to create.")
@click.option("--quick", is_flag=True, help="A fraction of the work, to see that it runs.")
def demo(out: str, quick: bool) -> None:
    """Transfer learning on generated crystals: data, pre-training, three ways, table, figures.

    Formation energies of ionic crystals in eV/atom, at a cheap and a dear level of theory, both of
    a simple model (see docs/embedded_data.md). Takes minutes; errors are printed in meV/atom.

    \b
    cgatjax demo --out demo
    """
    from cgatjax.demo import DemoConfig, run_demo

    result = run_demo(out, DemoConfig.quick() if quick else DemoConfig(), show_progress=True)
    sizes = result.counts
    click.echo(
        f"\n{sizes['train']} dear energies to train on, {sizes['low']} cheap ones before, "
        f"{sizes['steps']} steps each; test MAE on {sizes['test']} crystals\n"
    )
    click.echo(table(("way", "meV/atom", "against none"), result.table()))
    click.echo(f"\n{result.verdict()}")
    click.echo(f"{sum(result.seconds.values()):.0f} s; figures and results.json: {out}")


def _echo_trust(found: "Predictions", values: dict[str, np.ndarray]) -> None:
    """How far the standard deviations of the targets that have one can be trusted."""
    from cgatjax.inference.calibration import judge

    rows = []
    for target, std in found.stds.items():
        known = np.isfinite(std) & np.isfinite(values[target])
        if known.any() and (std[known] > 0).all():
            report = judge(values[target], found.means[target], std)
            rows.append((target, report.nll, report.area, report.sharpness, report.spearman))
            click.echo(f"std of {target}: {found.std_notes[target]}")
    if rows:
        click.echo(table(("target", "NLL", "area", "sharpness", "rank corr."), rows))


def _notes(run: str, found: "Predictions") -> list[str]:
    """Comment lines of a CSV file."""
    stds = [
        f"std of {name} ({found.units[name] or '?'}): {found.std_notes[name]}"
        for name in found.means
    ]
    return [f"cgatjax model: {run}", *stds]


def _predicted(found: "Predictions") -> Iterable[tuple[Any, ...]]:
    for row, name in enumerate(found.ids):
        for target, means in found.means.items():
            std = or_empty(found.stds[target][row])
            yield name, target, repr(float(means[row])), std, found.units[target]


def _evaluated(found: "Predictions", values: dict[str, np.ndarray]) -> Iterable[tuple[Any, ...]]:
    for row, name in enumerate(found.ids):
        for target, means in found.means.items():
            value, std = or_empty(values[target][row]), or_empty(found.stds[target][row])
            yield name, target, value, repr(float(means[row])), std, found.units[target]


def _write_skipped(path: Path, skipped: Sequence[Rejected]) -> None:
    write_csv(path, ("id", "source", "reason"), [(r.id, r.source, r.reason) for r in skipped], [])
    for item in skipped[:SHOWN_REASONS]:
        click.echo(f"  skipped {item.id or item.source}: {item.reason}")
    click.echo(f"  all of them: {path}")


def _plot(path: Path, found: "Predictions", values: dict[str, np.ndarray], model: "Model") -> None:
    """One parity plot a target; several targets get their name into the file's name."""
    from cgatjax.plotting.learning_plots import parity

    path.parent.mkdir(parents=True, exist_ok=True)
    for target in model.targets:
        figure = parity(values[target], found.means[target], found.units[target], target)
        single = len(model.targets) == 1
        file = path if single else path.with_stem(f"{path.stem}-{target}")
        figure.savefig(file)
        click.echo(f"parity plot: {file}")
