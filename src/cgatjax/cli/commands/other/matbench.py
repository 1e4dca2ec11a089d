"""`matbench`: run a task of the Matbench benchmark."""

from pathlib import Path
from typing import Any, Literal

import click

import cgatjax as cg
from cgatjax.cli.command_options import command
from cgatjax.cli.config_options import TRAININGS, config_options
from cgatjax.runtime import table

_TRAINING = ("epochs", "batch_size", "learning_rate", "loss")


@command()
@config_options(cg.TrainConfig, "Training", only=_TRAINING, presets=TRAININGS)
def matbench(
    dataset: str,
    *,
    task_: str | None = None,
    target: str | None = None,
    unit: str = "",
    folds: str | None = None,
    from_: str | None = None,
    mode: Literal["full", "head", "none"] = "full",
    preset: Literal["small", "released", "paper"] = "small",
    seed: int = 0,
    out: str,
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

    Data:
      task_: Name of the task. [default: that of the file]
      target NAME: Name of the property. [default: that of the column]
      unit: Unit of the property. [default: that of --from]
      folds PATH: Validation file of the package matbench. [default: the folds of matbench,
        recomputed]
    Transfer:
      from_ PATH: Run or model folder to transfer from.
      mode: Transfer mode with --from: all parameters, only the head, or from scratch.
    Training:
      preset: Options of network and training to start from.
      seed: Random seed of parameters, batches and validation sets.
    Output:
      out PATH: Output folder; resumed if it exists.
    """
    from cgatjax.integrations.matbench_files import RESULTS

    task = cg.MatbenchTask.load(dataset, name=task_, folds=folds)
    click.echo(f"{task.dataset_name}: {len(task.crystals)} crystals, {task.target}", err=True)
    target = target or task.target.replace("/", " per ")
    regressor = cg.CGATRegressor(
        preset=preset,
        start_from=from_,
        mode=mode,
        target=target,
        unit=unit,
        random_state=seed,
        verbose=True,
        **options,
    )
    cg.run_matbench(task, regressor, out)
    path = Path(out) / RESULTS
    task.save(path, {"algorithm": "cgatjax", "options": str(regressor)})
    names = ("mae", "rmse", "mape", "max_error")
    rows = [(fold, *(r["scores"][n] for n in names)) for fold, r in task.results.items()]
    means = {n: s["mean"] for n, s in task.scores().items()}
    click.echo(table(("fold", *names), [*rows, ("mean", *(means[n] for n in names))]))
    click.echo(f"{path}: written")
