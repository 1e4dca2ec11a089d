"""Options that several commands have."""

from collections.abc import Callable
from typing import Any

import click

from cgatjax.data.splits import SUBSETS

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

workers_option: Decorator = click.option(
    "--workers", type=int, help="Processes; the result is the same.  [default: cores]"
)
uncertainty_option: Decorator = click.option(
    "--uncertainty",
    type=click.Choice(["ensemble", "aleatoric", "gp"]),
    help="What the standard deviation is made of; with gp the prediction, too.  "
    "[default: the first of these that the run has]",
)


def on_error_option(
    explanation: str = "Stop at a bad crystal, or list it and go on.",
) -> Decorator:
    """--on-error raise|skip, of commands that read structures."""
    return click.option(
        "--on-error",
        type=click.Choice(["raise", "skip"]),
        default="raise",
        show_default=True,
        help=explanation,
    )


def part_option(default: str, use: str = "") -> Decorator:
    """--part, of commands that take a store by the split of a run; `use` says what for."""
    return click.option(
        "--part",
        type=click.Choice([*SUBSETS, "all"]),
        default=default,
        show_default=True,
        help=f"Of the run's split{use}.",
    )
