"""Options that several commands have."""

import os

import click

from cgatjax.cli.grouped_help import OTHER, Decorator, option
from cgatjax.config import PRESETS


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def workers_option(group: str = OTHER) -> Decorator:
    """Add --workers, the number of worker processes."""
    return option(
        "--workers",
        type=int,
        callback=lambda _ctx, _param, value: value or cores(),
        group=group,
        help="Number of worker processes; the result does not depend on it.",
        default_note="all cores",
    )


def uncertainty_option(group: str = OTHER) -> Decorator:
    """Add --uncertainty, the source of standard deviations."""
    return option(
        "--uncertainty",
        type=click.Choice(["ensemble", "aleatoric", "gp"]),
        group=group,
        help="Source of the standard deviation; with gp also of the prediction.",
        default_note="ensemble or aleatoric if the run has it; gp on request only",
    )


def preset_option(help_text: str) -> Decorator:
    """Add --preset, the options that a training starts from."""
    return option(
        "--preset",
        type=click.Choice(list(PRESETS)),
        default="small",
        show_default=True,
        group="Training",
        help=help_text,
    )


def on_error_option(
    help_text: str = "Stop at an unusable structure, or skip and list it.",
    group: str = OTHER,
) -> Decorator:
    """Add --on-error raise|skip to a command that reads structures."""
    return option(
        "--on-error",
        type=click.Choice(["raise", "skip"]),
        default="raise",
        show_default=True,
        group=group,
        help=help_text,
    )


def subset_option(default: str | None, use: str) -> Decorator:
    """Add --subset to a command that reads a store by the split of a run.

    Args:
      default: the subset; None for the test set if the split is of this store, all otherwise.
      use: purpose of the subset.
    """
    return option(
        "--subset",
        type=click.Choice(["train", "valid", "test", "all"]),
        default=default,
        show_default=default is not None,
        help=f"Subset of the run's split {use}.",
        default_note="" if default else "test if the split is of this store, otherwise all",
    )
