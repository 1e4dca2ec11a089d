"""Write the page of the command line from the commands themselves.

PYTHONPATH=src python docs/command_line.py
"""

import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

from cgatjax.cli import SECTIONS, main
from cgatjax.cli.command_options import OTHER, Command

PAGE = Path(__file__).with_suffix(".md")
INTRODUCTION = """\
<!-- Written by docs/command_line.py. -->
# The command line

`cgatjax COMMAND --help` shows what this page lists; `python -m cgatjax` is the same program.

Options of training, transfer, network and graph come from the flag, otherwise from the TOML file of
`--config`, otherwise from the preset. The file has the tables `[graph]`, `[model]`, `[train]` and
`[transfer]`, whose keys are the fields of the [option classes](api.md#options).

The exit code is 0, or 2 after an error, whose message is one line on standard error; 130 after
Ctrl-C, and 143 after SIGTERM."""


def page() -> str:
    """Return the whole page."""
    parts = [INTRODUCTION, *_options(main, "")]
    for title, commands in SECTIONS.items():
        parts.append(f"## {title}")
        for command in commands:
            parts += _command(command)
    return "\n\n".join(parts) + "\n"


def _command(command: Command) -> Iterator[str]:
    context = click.Context(command, info_name=f"cgatjax {command.name}")
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"### {command.name}"
    yield f"    {context.info_name} {usage}"
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        if paragraph.startswith("\b"):
            yield textwrap.indent(paragraph.removeprefix("\b\n"), "    ")
        else:
            yield _wrapped(_marked_up(paragraph))
    for title, options in command.grouped(context).items():
        yield from _options(options, title)


def _options(options: click.Command | list[click.Option], title: str) -> Iterator[str]:
    """List of options, after the title of their group."""
    if isinstance(options, click.Command):
        options = [p for p in options.params if isinstance(p, click.Option)]
    shown = [o for o in options if "--help" not in o.opts and "--version" not in o.opts]
    if shown:
        if title not in ("", OTHER):
            yield f"**{title}**"
        yield "\n".join(_wrapped(f"- {_entry(option)}", "  ") for option in shown)


def _entry(option: click.Option) -> str:
    if option.is_flag:
        flag = "`, `".join([*option.opts, *option.secondary_opts])
    elif isinstance(option.type, click.Choice):
        flag = f"{option.opts[0]} {'|'.join(option.type.choices)}"
    else:
        flag = f"{option.opts[0]} {option.metavar or option.type.name.upper()}"
    note = getattr(option, "default_note", "")
    parts = [
        f"`{flag}`" + (" (required):" if option.required else ":"),
        _marked_up(getattr(option, "summary", option.help or "")),
        _marked_up(f"Default: {note}." if note else ""),
    ]
    return " ".join(part for part in parts if part)


def _marked_up(text: str) -> str:
    """Text with options as code and without markup by accident."""
    texts = text.split("`")
    texts[::2] = [re.sub(r"(--[a-z]+[a-z-]*)", r"`\1`", t).replace("*", r"\*") for t in texts[::2]]
    return "`".join(texts)


def _wrapped(text: str, indent: str = "") -> str:
    text = re.sub(r"\s+", " ", text).strip()
    return textwrap.fill(
        text, 100, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


if __name__ == "__main__":
    PAGE.write_text(page())
