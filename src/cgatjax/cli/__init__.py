"""Command line: `cgatjax COMMAND --help` explains each command.

Every error of the library becomes one line and exit code 2; the exit code of Ctrl-C is 130, that of
a run that SIGTERM stopped is 143.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

import cgatjax as cg
from cgatjax._version import __version__
from cgatjax.cli.commands.data.download import download
from cgatjax.cli.commands.data.featurize import featurize
from cgatjax.cli.commands.data.hull import hull
from cgatjax.cli.commands.data.info import info
from cgatjax.cli.commands.data.label import label
from cgatjax.cli.commands.data.overlap import overlap
from cgatjax.cli.commands.data.pairs import pairs
from cgatjax.cli.commands.other.demo import demo
from cgatjax.cli.commands.other.import_reference import import_reference
from cgatjax.cli.commands.other.matbench import matbench
from cgatjax.cli.commands.other.submit import submit
from cgatjax.cli.commands.predictions.embed import embed
from cgatjax.cli.commands.predictions.evaluate import evaluate
from cgatjax.cli.commands.predictions.explain import explain
from cgatjax.cli.commands.predictions.models import models
from cgatjax.cli.commands.predictions.predict import predict
from cgatjax.cli.commands.predictions.screen import screen
from cgatjax.cli.commands.predictions.select import select
from cgatjax.cli.commands.training.adapt import adapt
from cgatjax.cli.commands.training.calibrate import calibrate
from cgatjax.cli.commands.training.fit_gp import fit_gp
from cgatjax.cli.commands.training.train import train
from cgatjax.cli.commands.training.transfer import transfer
from cgatjax.runtime.allocator import keep_freed_memory

BAD_INPUT, SIGNALLED, INTERRUPTED = 2, 128, 130
"""Exit codes; the number of a signal is added to the second, so that SIGTERM gives 143."""

SECTIONS = {
    "Data": (download, info, featurize, label, hull, overlap, pairs),
    "Training": (train, transfer, adapt, fit_gp, calibrate),
    "Predictions": (models, evaluate, predict, screen, select, embed, explain),
    "Other": (import_reference, matbench, submit, demo),
}


class _Handler(logging.Handler):
    """Log handler that writes messages to standard error as plain lines."""

    def emit(self, record: logging.LogRecord) -> None:
        prefix = "" if record.levelno < logging.WARNING else f"{record.levelname.lower()}: "
        click.echo(prefix + self.format(record), err=True)


class _Commands(click.Group):
    """Group of commands that prints an error of the library as one line."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except cg.Interrupted as error:
            click.echo(str(error), err=True)
            ctx.exit(SIGNALLED + error.signum)
        except cg.CgatjaxError as error:
            if ctx.params["debug"]:
                raise
            click.echo(f"error: {' '.join(str(error).split())}", err=True)
            ctx.exit(BAD_INPUT)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each group of commands, in the order of use."""
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(str(c.name), c.get_short_help_str(200)) for c in commands])


@contextmanager
def _own_log(quiet: bool) -> Iterator[None]:
    """Print the messages of cgatjax once while a command runs, and only errors of other libraries.

    The root logger is not used: libraries that are loaded later put handlers there.
    """
    logger, handler = logging.getLogger("cgatjax"), _Handler()
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    logger.propagate = False
    for name in ("jax._src.xla_bridge", "absl"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="cgatjax")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option("--quiet", is_flag=True, help="Show warnings and results only.")
def main(debug: bool, quiet: bool) -> None:
    """Train crystal graph attention networks, transfer them to accurate data, predict.

    \b
    cgatjax featurize pbe/*.json.bz2 --out pbe.store --target e-form
    cgatjax train pbe.store --target e-form --preset small --out runs/pbe
    cgatjax transfer scan.store --from runs/pbe --target e-form --mode full --out runs/scan
    cgatjax predict runs/scan candidates/*.cif --out predictions.csv
    """
    keep_freed_memory()
    click.get_current_context().with_resource(_own_log(quiet))


for _commands in SECTIONS.values():
    for _command in _commands:
        main.add_command(_command)
