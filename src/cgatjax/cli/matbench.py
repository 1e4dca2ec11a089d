"""`matbench`: a task of the Matbench benchmark from its data set to the file of its leaderboard."""

from pathlib import Path
from typing import Any

import click

from cgatjax.cli.text_tables import table
from cgatjax.config import PRESETS


@click.command()
@click.argument("dataset", type=click.Path())
@click.option("--out", required=True, type=click.Path(), help="Folder; an old one is gone on with.")
@click.option("--task", "name", help="Name of the task.  [default: that of the file]")
@click.option("--target", help="Name of the property.  [default: that of the column]")
@click.option("--unit", default="", help="Its unit.  [default: that of --from]")
@click.option("--folds", type=click.Path(), help="Validation file of the package matbench.")
@click.option("--from", "start_from", type=click.Path(), help="Run or model to transfer from.")
@click.option(
    "--mode",
    type=click.Choice(["full", "head", "none"]),
    default="full",
    show_default=True,
    help="With --from: train everything, only the head, or from scratch.",
)
@click.option("--preset", type=click.Choice(list(PRESETS)), default="small", show_default=True)
@click.option("--epochs", type=int, help="Passes over the training set.  [default: the preset's]")
@click.option("--batch-size", type=int, help="Crystals per step.  [default: the preset's]")
@click.option("--learning-rate", type=float, help="Peak rate.  [default: the preset's]")
@click.option("--loss", type=click.Choice(["l1", "l2", "robust_l1", "robust_l2"]))
@click.option("--seed", type=int, default=0, show_default=True, help="Of weights and batches.")
def matbench(
    dataset: str,
    out: str,
    name: str | None,
    target: str | None,
    folds: str | None,
    seed: int,
    **options: Any,
) -> None:
    """Train and predict the five folds of a Matbench task.

    \b
    cgatjax matbench matbench_jdft2d.json.gz --out jdft2d --epochs 100
    cgatjax matbench matbench_perovskites.json.gz --out perovskites --from runs/pbe --target e-form

    DATASET is a regression task on structures, as matminer distributes it. A tenth of each fold's
    training crystals decides which epoch is the best; its test crystals are only predicted. OUT
    holds the predictions of each fold, so that the same command goes on where it stopped, and in
    the end results.json for the leaderboard. With --from, name the property as the pre-trained
    model does (NAME, or NAME@LABEL) if it is the same one: its head is taken over, too.
    """
    from cgatjax.integrations.matbench_files import RESULTS, MatbenchTask
    from cgatjax.integrations.matbench_tasks import run_matbench
    from cgatjax.integrations.sklearn_estimator import CGATRegressor

    task = MatbenchTask.load(dataset, name=name, folds=folds)
    click.echo(f"{task.dataset_name}: {len(task.crystals)} crystals, {task.target}", err=True)
    target = target or task.target.replace("/", " per ")
    regressor = CGATRegressor(random_state=seed, verbose=True, target=target, **options)
    run_matbench(task, regressor, out)
    path = Path(out) / RESULTS
    task.save(path, {"algorithm": "cgatjax", "options": str(regressor)})
    names = ("mae", "rmse", "mape", "max_error")
    rows = [(fold, *(r["scores"][n] for n in names)) for fold, r in task.results.items()]
    means = {n: s["mean"] for n, s in task.scores().items()}
    click.echo(table(("fold", *names), [*rows, ("mean", *(means[n] for n in names))]))
    click.echo(f"{path}: written")
