"""Commands with options in titled groups of `--help`, and options that several commands have."""

from collections.abc import Callable, Sequence
from typing import Any

import click

from cgatjax.config import PRESETS
from cgatjax.errors import ConfigError

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
OTHER = "Options"
"""Title of the options without a group."""


class Option(click.Option):
    """Option in a group of the help page.

    Attributes:
      group: title of the group.
      summary: help text without the default.
      default_note: default as text, "" if there is none.
    """

    def __init__(
        self, *names: Any, group: str = OTHER, default_note: str = "", **settings: Any
    ) -> None:
        self.group, self.summary = group, settings.get("help") or ""
        self.default_note = default_note
        if default_note:
            settings["help"] = f"{self.summary}  [default: {default_note}]"
        elif settings.get("show_default"):
            self.default_note = str(settings["default"])
        super().__init__(*names, **settings)


class Command(click.Command):
    """Command with a section of the help page for each group of options."""

    def grouped(self, ctx: click.Context) -> dict[str, list[click.Option]]:
        """Return group -> options, in the order of their definition, ungrouped options last."""
        groups: dict[str, list[click.Option]] = {}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Option):
                groups.setdefault(getattr(parameter, "group", OTHER), []).append(parameter)
        return {**{k: v for k, v in groups.items() if k != OTHER}, OTHER: groups[OTHER]}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each group of options."""
        for title, options in self.grouped(ctx).items():
            records = [option.get_help_record(ctx) for option in options]
            with formatter.section(title):
                formatter.write_dl([record for record in records if record is not None])


def option(*names: str, group: str = OTHER, **settings: Any) -> Decorator:
    """Add an option of a group to a command; otherwise as `click.option`."""
    return click.option(*names, cls=Option, group=group, **settings)


def command(name: str | None = None) -> Callable[[Callable[..., Any]], Command]:
    """Make a command with grouped options; otherwise as `click.command`."""
    return click.command(name, cls=Command)


def _or_all_cores(_context: click.Context, _parameter: click.Parameter, value: int | None) -> int:
    from cgatjax.runtime.executors import cores

    return value or cores()


def workers_option(group: str = OTHER) -> Decorator:
    """Add --workers, the number of worker processes."""
    return option(
        "--workers",
        type=int,
        callback=_or_all_cores,
        group=group,
        help="Number of worker processes; the result does not depend on it.",
        default_note="all cores",
    )


def where_option() -> Decorator:
    """Add --where, labels of the crystals to keep, as a dictionary `where`."""
    return option(
        "--where",
        multiple=True,
        metavar="LABEL=VALUE",
        callback=lambda _ctx, _param, texts: _labels(texts),
        group="Data",
        help="Keep crystals of which the file states this, such as functional=PBE. Repeatable.",
    )


def _labels(texts: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    if wrong := [name + sign + value for name, sign, value in pairs if not (name and value)]:
        raise ConfigError(f"--where: expected LABEL=VALUE, such as functional=PBE, got {wrong}")
    return {name: value for name, _, value in pairs}


def uncertainty_option(group: str = OTHER) -> Decorator:
    """Add --uncertainty, the source of standard deviations."""
    return option(
        "--uncertainty",
        type=click.Choice(["ensemble", "aleatoric", "gp"]),
        group=group,
        help="Source of the standard deviation; with gp also of the prediction.",
        default_note="ensemble or aleatoric if the run has it; gp on request only",
    )


FOR_DIFFERENCES = ", for models that learned the difference to one of them"
"""Purpose of --properties in predictions."""


def properties_option(group: str = OTHER, purpose: str = "") -> Decorator:
    """Add --properties, the table of known values of structure files, with its purpose."""
    return option(
        "--properties",
        type=click.Path(),
        group=group,
        help=f"CSV file with the properties of CIF and POSCAR files, one row each{purpose}.",
        default_note="properties.csv or id_prop.csv in their folder",
    )


def preset_option(help_text: str, default: str | None = "small", note: str = "") -> Decorator:
    """Add --preset, the options that a training starts from."""
    return option(
        "--preset",
        type=click.Choice(list(PRESETS)),
        default=default,
        show_default=default is not None,
        default_note=note,
        group="Training",
        help=help_text,
    )


def on_error_option(
    help_text: str = "Stop at an unusable structure, or skip and list it.",
    group: str = OTHER,
    default: str = "raise",
) -> Decorator:
    """Add --on-error raise|skip to a command that reads structures."""
    return option(
        "--on-error",
        type=click.Choice(["raise", "skip"]),
        default=default,
        show_default=True,
        group=group,
        help=help_text,
    )


def exclude_seen_option(help_text: str, group: str = OTHER) -> Decorator:
    """Add --exclude-seen, crystals to leave out because a model was trained on them."""
    return option(
        "--exclude-seen",
        type=click.Choice(["graph", "formula"]),
        is_flag=False,
        flag_value="graph",
        group=group,
        help=f"{help_text}: equal ones (graph, the default), or those of the same formula.",
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
