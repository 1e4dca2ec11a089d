"""The experiments' command line: `python -m experiments list | run | show | report`."""

import logging
import sys
from pathlib import Path

import click

from cgatjax.errors import CgatjaxError
from cgatjax.runtime.allocator import keep_freed_memory
from experiments.bench import Bench
from experiments.registry import EXPERIMENTS
from experiments.report import write_report
from experiments.runner import CRYSTALS_PER_SECOND, Pace, collected, dry_run, rows_of, run_grid
from experiments.scale import Scale
from experiments.scales import SCALES
from experiments.sources import Sources
from experiments.specification import needed

LOG = logging.getLogger("cgatjax")
SCALE = click.option("--scale", type=click.Choice(list(SCALES)), default="smoke", show_default=True)
DATA = click.option("--data", type=click.Path(path_type=Path), help="Folder of the data sets.")
OUT = click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder of results."
)


@click.group()
def main() -> None:
    """Tables and figures of the transfer-learning study, one command each."""
    keep_freed_memory()
    logging.basicConfig(format="%(asctime)s %(message)s")
    LOG.setLevel(logging.INFO)


@main.command("list")
@SCALE
def list_experiments(scale: str) -> None:
    """Name every experiment, with its rows and trainings at a scale."""
    made = SCALES[scale]()
    for name, experiment in EXPERIMENTS.items():
        cells = experiment.cells(made)
        counts = f"{len(cells)} rows, {len(needed(cells))} trainings" if cells else "no trainings"
        if experiment.perform is not None:
            counts = "rounds, each of which follows from the last"
        click.echo(f"{name:18s} {experiment.title} ({counts})")


@main.command()
@click.argument("name", type=click.Choice([*EXPERIMENTS, "all"]))
@SCALE
@DATA
@OUT
@click.option("--minutes", type=float, help="Stop between trainings after this time.")
@click.option("--seeds", type=int, help="Only the first so many seeds of the scale.")
@click.option("--dry-run", is_flag=True, help="Print every training and its projected time.")
@click.option(
    "--crystals-per-second",
    type=float,
    default=CRYSTALS_PER_SECOND,
    show_default=True,
    help="Trained by the network of the scale, for estimates.",
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
    """Perform what is missing of an experiment, and write its table and figures.

    Finished trainings are never repeated, not even by another experiment; a stopped run goes on
    when the same command is given again. Use one --out folder for each scale.
    """
    made = SCALES[scale]().with_seeds(seeds)
    bench = Bench(Sources(made.sources, data, out / scale), out / scale)
    pace = Pace(crystals_per_second=crystals_per_second)
    for chosen in EXPERIMENTS if name == "all" else (name,):
        if dry_run:
            _project(chosen, made, bench, pace)
        else:
            _perform(chosen, made, bench, minutes, pace)


def _project(name: str, scale: Scale, bench: Bench, pace: Pace) -> None:
    click.echo(f"{name} ({scale.name})")
    click.echo("\n".join(dry_run(EXPERIMENTS[name].cells(scale), bench, pace)))


def _perform(name: str, scale: Scale, bench: Bench, minutes: float | None, pace: Pace) -> None:
    experiment = EXPERIMENTS[name]
    cells = experiment.cells(scale)
    run_grid(name, cells, bench, minutes=minutes, pace=pace, show_progress=True)
    if experiment.perform is not None:
        experiment.perform(scale, bench, minutes)
    _show(name, scale, bench)


def _show(name: str, scale: Scale, bench: Bench) -> None:
    experiment = EXPERIMENTS[name]
    cells = experiment.cells(scale)
    rows = rows_of(cells, collected(name, cells, bench), bench)
    section, figures = experiment.show(scale, bench, rows)
    section.save(bench.out / name, figures)
    click.echo(f"{bench.out / name}: {len(rows)} of {len(cells)} rows")


@main.command()
@click.argument("name", type=click.Choice([*EXPERIMENTS, "all"]))
@SCALE
@DATA
@OUT
def show(name: str, scale: str, data: Path | None, out: Path) -> None:
    """Make tables and figures anew from the trainings that are finished; nothing is trained."""
    made = SCALES[scale]()
    bench = Bench(Sources(made.sources, data, out / scale), out / scale)
    for chosen in EXPERIMENTS if name == "all" else (name,):
        _show(chosen, made, bench)


@main.command()
@OUT
@SCALE
def report(out: Path, scale: str) -> None:
    """Assemble the results of a scale into one HTML page, OUT/SCALE/report.html."""
    click.echo(write_report(out / scale, list(EXPERIMENTS)))


if __name__ == "__main__":
    try:
        main.main(standalone_mode=True)
    except CgatjaxError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
