"""The command line: `cgatjax COMMAND --help` explains each command.

Commands import what they need when they run, so that `--help` and the featurizing workers stay
quick. Every error raised on purpose becomes one line and exit code 2; Ctrl-C is 130, a run that
SIGTERM stopped is 143.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from cgatjax._version import __version__
from cgatjax.cli.featurize import featurize, info
from cgatjax.cli.interpret import embed, explain, select
from cgatjax.cli.matbench import matbench
from cgatjax.cli.predict import demo, evaluate, import_reference, predict
from cgatjax.cli.preprocess import download, hull, overlap
from cgatjax.cli.screen import screen
from cgatjax.cli.train import train, transfer
from cgatjax.cli.uncertainty import calibrate, fit_gp
from cgatjax.errors import CgatjaxError, Interrupted
from cgatjax.runtime.allocator import keep_freed_memory

BAD_INPUT, SIGNALLED, INTERRUPTED = 2, 128, 130
"""Exit codes; a run that a signal stopped adds its number to the second: SIGTERM gives 143."""


class _Handler(logging.Handler):
    """Messages on standard error, as plain lines."""

    def emit(self, record: logging.LogRecord) -> None:
        prefix = "" if record.levelno < logging.WARNING else f"{record.levelname.lower()}: "
        click.echo(prefix + self.format(record), err=True)


class _Commands(click.Group):
    """Runs a command; an error of ours becomes one line."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Interrupted as error:
            click.echo(str(error), err=True)
            ctx.exit(SIGNALLED + error.signum)
        except CgatjaxError as error:
            if ctx.params["debug"]:
                raise
            click.echo(f"error: {' '.join(str(error).split())}", err=True)
            ctx.exit(BAD_INPUT)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of use, not of the alphabet."""
        return list(self.commands)


@contextmanager
def _own_log(quiet: bool) -> Iterator[None]:
    """Our messages, once, while a command runs; other libraries' only from errors upward.

    The root logger is left out: libraries that are loaded later put handlers there.
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


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cgatjax")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option("--quiet", is_flag=True, help="Show warnings and results only.")
def main(debug: bool, quiet: bool) -> None:
    """Crystal graph attention networks: train on cheap data, transfer to accurate data, predict.

    \b
    cgatjax featurize pbe/*.json.bz2 --out pbe.store --target e-form
    cgatjax train pbe.store --target e-form --preset small --out runs/pbe
    cgatjax transfer scan.store --from runs/pbe --target e-form --mode full --out runs/scan
    cgatjax predict runs/scan candidates/*.cif --out predictions.csv
    """
    keep_freed_memory()
    click.get_current_context().with_resource(_own_log(quiet))


_DATA = (download, featurize, info, hull, overlap)
_MODELS = (train, transfer, fit_gp, calibrate, evaluate, predict, screen, select, embed, explain)
_REST = (import_reference, matbench, demo)
for _command in (*_DATA, *_MODELS, *_REST):
    main.add_command(_command)
