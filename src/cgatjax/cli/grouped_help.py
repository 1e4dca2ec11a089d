"""Commands whose `--help` shows the options in titled groups."""

from collections.abc import Callable
from typing import Any

import click

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
