"""`matbench`: run a task of the Matbench benchmark."""

from pathlib import Path
from typing import Any

import click

from cgatjax import TrainConfig
from cgatjax.cli.command_options import command, option, preset_option
from cgatjax.cli.config_options import config_options
from cgatjax.cli.training_options import TRAININGS
from cgatjax.runtime.text_tables import table

_TRAINING = ("epochs", "batch_size", "learning_rate", "loss")


@command()
@click.argument("dataset", type=click.Path())
@option("--task", "name", group="Data", help="Name of the task.", default_note="that of the file")
@option(
    "--target",
    metavar="NAME",
    group="Data",
    help="Name of the property.",
    default_note="that of the column",
)
@option(
    "--unit", default="", group="Data", help="Unit of the property.", default_note="that of --from"
)
@option(
    "--folds",
    type=click.Path(),
    group="Data",
    help="Validation file of the package matbench.",
    default_note="the folds of matbench, recomputed",
)
@option(
    "--from",
    "start_from",
    type=click.Path(),
    group="Transfer",
    help="Run or model folder to transfer from.",
)
@option(
    "--mode",
    type=click.Choice(["full", "head", "none"]),
    default="full",
    show_default=True,
    group="Transfer",
    help="Transfer mode with --from: all parameters, only the head, or from scratch.",
)
@preset_option("Options of network and training to start from.")
@config_options(TrainConfig, "Training", only=_TRAINING, presets=TRAININGS)
@option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    group="Training",
    help="Random seed of parameters, batches and validation sets.",
)
@option(
    "--out",
    required=True,
    type=click.Path(),
    group="Output",
    help="Output folder; resumed if it exists.",
)
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

    DATASET is a regression task on structures, as matminer distributes it. A tenth of the training
    crystals of each fold chooses the best epoch; its test crystals are only predicted. OUT has the
    predictions of each fold, so that the same command continues where it stopped, and finally
    results.json for the leaderboard. With --from, give the property the name that it has in the
    pre-trained model (NAME, or NAME@LABEL) if it is the same one: its head is then reused.
    """
    from cgatjax import CGATRegressor, MatbenchTask, run_matbench
    from cgatjax.integrations.matbench_files import RESULTS

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
