"""Command line of the experiments: `python -m experiments list | run | show | report`."""

import logging
import sys
from pathlib import Path

import click

import cgatjax as cg
from cgatjax.errors import InputError
from experiments.ablations import ABLATIONS
from experiments.active_learning import ACTIVE_LEARNING
from experiments.adapt_study import run_study
from experiments.budget import BUDGET
from experiments.data_report import DATA_REPORT
from experiments.grid import Experiment, Results, Scale
from experiments.grid.datasets import Datasets
from experiments.grid.folders import missing_data, needed_properties
from experiments.grid.pool import TrainingPool
from experiments.grid.report import write_report
from experiments.grid.results import finished_rows
from experiments.grid.runner import CRYSTALS_PER_SECOND, Pace, dry_run, run_grid
from experiments.grid.training import trainings_of
from experiments.interproperty import INTERPROPERTY
from experiments.learning_curves import LEARNING_CURVES
from experiments.pretrain import pretrain
from experiments.pretraining_size import PRETRAINING_SIZE
from experiments.recipe import RECIPE
from experiments.scales import SCALES
from experiments.simple_answers import SIMPLE_ANSWERS
from experiments.table1 import TABLE1
from experiments.training_size import TRAINING_SIZE

EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        DATA_REPORT,
        SIMPLE_ANSWERS,
        TABLE1,
        LEARNING_CURVES,
        TRAINING_SIZE,
        PRETRAINING_SIZE,
        BUDGET,
        INTERPROPERTY,
        ABLATIONS,
        RECIPE,
        ACTIVE_LEARNING,
    )
}
"""Name -> experiment, in the order of the report."""
LOG = logging.getLogger("cgatjax")
NAME = click.argument("name", type=click.Choice([*EXPERIMENTS, "all"]))
SCALE = click.option(
    "--scale",
    type=click.Choice(list(SCALES)),
    default="smoke",
    show_default=True,
    help="Data, network and number of trainings.",
)
DATA = click.option("--data", type=click.Path(path_type=Path), help="Folder of the data sets.")
OUT = click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder of the results."
)


@click.group()
def main() -> None:
    """Make the tables and figures of the transfer-learning study."""
    logging.basicConfig(format="%(asctime)s %(message)s")
    LOG.setLevel(logging.INFO)


@main.command("list")
@SCALE
def list_experiments(scale: str) -> None:
    """List all experiments with their numbers of rows and trainings."""
    for name, experiment in EXPERIMENTS.items():
        rows = experiment.rows(SCALES[scale]())
        counts = f"{len(rows)} rows, {len(trainings_of(rows))} trainings"
        if not rows:
            counts = "no trainings" if experiment.run is None else "rounds of trainings"
        click.echo(f"{name:18s} {experiment.title} ({counts})")


@main.command()
@NAME
@SCALE
@DATA
@OUT
@click.option("--minutes", type=float, help="Time limit; no training is started that exceeds it.")
@click.option("--seeds", type=int, help="Number of seeds, the first ones of the scale.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="List all trainings with their expected time, and all data that are missing.",
)
@click.option(
    "--crystals-per-second",
    type=float,
    default=CRYSTALS_PER_SECOND,
    show_default=True,
    help="Training rate of the scale's network, for estimates.",
)
def run(
    name: str,
    scale: str,
    data: Path | None,
    out: Path,
    minutes: float | None,
    seeds: int | None,
    dry_run: bool,
    crystals_per_second: float,
) -> None:
    """Train what is missing of an experiment, and write its tables and figures.

    Finished trainings are never repeated, not even by another experiment; the same command resumes
    a stopped run. Use the same --out folder for all experiments.
    """
    made = SCALES[scale]().with_seeds(seeds)
    pool = _pool(made, data, out)
    pace = Pace(crystals_per_second=crystals_per_second)
    needed = needed_properties(
        made.sources, (t for e in _chosen(name) for t in trainings_of(e.rows(made)))
    )
    faults = missing_data(needed, data)
    if dry_run:
        for experiment in _chosen(name):
            _list_trainings(experiment, made, pool, pace)
        for folder, properties in needed.items():
            click.echo(f"needs {folder}: {', '.join(properties) or 'ids and formulas'}")
        click.echo("\n".join(f"missing: {fault}" for fault in faults) or "nothing is missing")
        if data is not None and faults:
            sys.exit(1)
        return
    if faults:
        raise InputError(f"{len(faults)} things are missing: {'; '.join(faults)}")
    for experiment in _chosen(name):
        rows = experiment.rows(made)
        run_grid(experiment.name, rows, pool, minutes=minutes, pace=pace, show_progress=True)
        if experiment.run is not None:
            experiment.run(made, pool, minutes)
        _show(experiment, made, pool)


@main.command()
@NAME
@SCALE
@DATA
@OUT
def show(name: str, scale: str, data: Path | None, out: Path) -> None:
    """Make tables and figures of the finished trainings; train nothing."""
    made = SCALES[scale]()
    pool = _pool(made, data, out)
    for experiment in _chosen(name):
        _show(experiment, made, pool)


@main.command()
@SCALE
@DATA
@OUT
@click.option("--from", "sources", multiple=True, help="Model to start from. Repeatable.")
@click.option("--shuffled", is_flag=True, help="Start from a model of shuffled labels, too.")
@click.option(
    "--size", "sizes", multiple=True, type=int, default=(50, 200, 1000), show_default=True
)
@click.option("--seeds", type=int, help="Number of seeds, the first ones of the scale.")
@click.option("--minutes", type=float, default=60.0, show_default=True, help="Time of each task.")
@click.option(
    "--steps",
    type=int,
    default=cg.AdaptConfig().steps,
    show_default=True,
    help="Steps of whole networks.",
)
def adapt(
    scale: str,
    data: Path | None,
    out: Path,
    sources: tuple[str, ...],
    shuffled: bool,
    sizes: tuple[int, ...],
    seeds: int | None,
    minutes: float,
    steps: int,
) -> None:
    """Compare the choice of `cgatjax adapt` with the best candidate in hindsight.

    Finished tasks are not repeated; the same command resumes a stopped run.
    """
    made = SCALES[scale]().with_seeds(seeds)
    models = {Path(source).name: cg.load_predictor(source).model for source in sources}
    folder = out / made.name
    run_study(
        made,
        Datasets(made.sources, data, folder),
        models,
        folder / "adapt",
        sizes,
        shuffled,
        {"minutes": minutes, "steps": steps},
    )


@main.command()
@OUT
@SCALE
def report(out: Path, scale: str) -> None:
    """Assemble the results of a scale into one HTML page, OUT/SCALE/report.html."""
    click.echo(write_report(out / scale, list(EXPERIMENTS)))


main.add_command(pretrain)


def _chosen(name: str) -> list[Experiment]:
    return list(EXPERIMENTS.values()) if name == "all" else [EXPERIMENTS[name]]


def _pool(scale: Scale, data: Path | None, out: Path) -> TrainingPool:
    return TrainingPool(Datasets(scale.sources, data, out / scale.name), out / scale.name)


def _list_trainings(experiment: Experiment, scale: Scale, pool: TrainingPool, pace: Pace) -> None:
    click.echo(f"{experiment.name} ({scale.name})")
    click.echo("\n".join(dry_run(experiment.rows(scale), pool, pace)))


def _show(experiment: Experiment, scale: Scale, pool: TrainingPool) -> None:
    rows = experiment.rows(scale)
    finished = finished_rows(experiment.name, rows, pool)
    folder = pool.out / experiment.name
    experiment.section(Results(scale=scale, pool=pool, rows=finished)).save(folder)
    click.echo(f"{folder}: {len(finished)} of {len(rows)} rows")
