"""Commands whose arguments and options are the parameters of a function.

Positional parameters are arguments, keyword parameters options. Annotation and default give type,
number and default; the help text is the entry of the docstring, under the title of the group:

    Data:
      target NAME: Property to learn.
      workers

An entry may name the form of the value, and end with "[default: ...]" where the default value says
too little. One without text has that of `COMMON`.
"""

import functools
import inspect
import re
import types
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

import click

from cgatjax.errors import ConfigError

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
Kind = Literal["ensemble", "aleatoric", "gp"]
"""Kinds of standard deviation to choose from."""
Subset = Literal["train", "valid", "test", "all"]
OTHER = "Options"
"""Title of the options without a group, which are the last."""
GROUPS = (
    *("Data", "Calculator", "Candidates", "Sources", "Adaptation", "Graph", "Network"),
    *("Transfer", "Training", "Filters", "Ranking", "Hardware", "Output"),
)
"""Titles of groups in their order on each help page."""
COMMON = """
  on_error: Stop at an unusable structure, or skip and list it.
  properties PATH: CSV file with the properties of CIF and POSCAR files, one row each; for
    predictions, the baselines of the model. [default: properties.csv or id_prop.csv in their
    folder]
  uncertainty: Source of the standard deviation; with gp also of the prediction. [default: ensemble
    or aleatoric if the run has it; gp on request only]
  where LABEL=VALUE: Keep crystals of which the file states this, such as functional=PBE.
  workers: Number of worker processes; the result does not depend on it. [default: all cores]
"""
"""Entries of options that several commands have."""
WITHOUT_VALUE: dict[str, dict[str, Any]] = {
    "exclude_seen": {"is_flag": False, "flag_value": "graph"}
}
"""Option -> its value where it is given without one."""
_ENTRY = re.compile(
    r"^(?:(?P<group>[A-Z][\w ]*):"
    r"|  (?P<name>\w+)(?: (?P<form>\S+?))?(?:: (?P<text>.*(?:\n    .*)*))?)$",
    re.MULTILINE,
)


class Option(click.Option):
    """Option in a group of the help page; `summary` is the help text without the default."""

    def __init__(
        self, *names: Any, group: str = OTHER, default_note: str = "", **settings: Any
    ) -> None:
        self.group, self.summary, self.default_note = group, settings["help"], default_note
        if default_note:
            settings["help"] = f"{self.summary}  [default: {default_note}]"
        super().__init__(*names, **settings)


class Command(click.Command):
    """Command with a section of the help page for each group of options."""

    def grouped(self, ctx: click.Context) -> dict[str, list[click.Option]]:
        """Return group -> options, in the order of `GROUPS`; ungrouped options are the last."""
        groups: dict[str, list[click.Option]] = {}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Option):
                groups.setdefault(getattr(parameter, "group", OTHER), []).append(parameter)
        titles = [*GROUPS, *(title for title in groups if title not in (*GROUPS, OTHER)), OTHER]
        return {title: groups[title] for title in titles if title in groups}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each group of options."""
        for title, options in self.grouped(ctx).items():
            records = [option.get_help_record(ctx) for option in options]
            with formatter.section(title):
                formatter.write_dl([record for record in records if record is not None])


class Entry(NamedTuple):
    """Entry of a docstring: group, form of the value, help text, and the default as text."""

    group: str
    form: str
    text: str
    default: str


def option(*names: str, group: str = OTHER, **settings: Any) -> Decorator:
    """Add an option of a group to a command; otherwise as `click.option`."""
    return click.option(*names, cls=Option, group=group, **settings)


def command(
    parts: Mapping[str, Callable[..., Any]] = MappingProxyType({}), **forms: str
) -> Callable[[Callable[..., Any]], Command]:
    """Make a command of a function, whose parameters are its arguments and options.

    Options that decorators have added come after its own in each group.

    Args:
      parts: parameter -> function that makes its value of further options, its own parameters.
      **forms: argument -> its form on the help page, if that is not its name.
    """

    def decorate(function: Callable[..., Any]) -> Command:
        def call(**values: Any) -> None:
            for name, part in parts.items():
                values[name] = part(
                    **{n: values.pop(n) for n in inspect.signature(part).parameters}
                )
            function(**values)

        made: Callable[..., Any] = functools.update_wrapper(call, function)
        for one in reversed([function, *parts.values()]):
            made = with_options(one, made, parts)
        parameters = inspect.signature(function).parameters.values()
        for p in reversed([p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]):
            is_list = get_origin(p.annotation) is tuple
            form = p.name.upper().removesuffix("S") + "..." if is_list else p.name.upper()
            settings: dict[str, Any] = {"nargs": -1 if is_list else 1}
            settings["metavar"] = forms.get(p.name, form)
            if get_origin(p.annotation) is Literal:
                settings = type_settings(p.annotation)
            made = click.argument(p.name, required=p.default is p.empty, **settings)(made)
        name, (text, _) = function.__name__.replace("_", "-"), _entries(function)
        return click.command(name, cls=Command, help=text)(made)

    return decorate


def with_options(
    function: Callable[..., Any], made: Callable[..., Any], parts: Collection[str] = ()
) -> Callable[..., Any]:
    """Add the keyword parameters of a function to a command, in the order of its entries."""
    _, entries = _entries(function)
    parameters = inspect.signature(function).parameters.values()
    options = {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in parts}
    if set(options) != set(entries):
        raise TypeError(f"{function.__name__}: expected an entry for each of {list(options)}")
    for name in reversed(entries):
        made = _option(options[name], entries[name])(made)
    return made


def type_settings(hint: Any) -> dict[str, Any]:
    """Return the arguments of `click.option` for an annotation."""
    if get_origin(hint) in (types.UnionType, Union):
        hint = next(part for part in get_args(hint) if part is not types.NoneType)
    if get_origin(hint) is tuple:
        return {**type_settings(get_args(hint)[0]), "multiple": True}
    if get_origin(hint) is dict:
        return {"multiple": True, "callback": _pairs}
    return {"type": click.Choice(get_args(hint)) if get_origin(hint) is Literal else hint}


def _entries(function: Callable[..., Any]) -> tuple[str, dict[str, Entry]]:
    """Split a docstring into the text of the help page and the entries of options."""
    docstring = inspect.getdoc(function) or ""
    found = re.search(r"^[A-Z][\w ]*:\n  \w", docstring, re.MULTILINE)
    start = found.start() if found else len(docstring)
    head, tail = docstring[:start], docstring[start:]
    common = {match["name"]: match for match in _ENTRY.finditer(COMMON)}
    entries, group = dict[str, Entry](), OTHER
    for match in _ENTRY.finditer(tail):
        if match["group"]:
            group = match["group"]
            continue
        entry = match if match["text"] else common[match["name"]]
        text, _, default = " ".join(entry["text"].split()).partition(" [default: ")
        entries[match["name"]] = Entry(group, entry["form"] or "", text, default.removesuffix("]"))
    return head.strip(), entries


def _option(parameter: inspect.Parameter, entry: Entry) -> Decorator:
    """Make the option of a keyword parameter."""
    name, default, hint = parameter.name, parameter.default, parameter.annotation
    settings = {**type_settings(hint), **WITHOUT_VALUE.get(name, {})}
    if hint is bool:
        settings = {"is_flag": True}
    is_given = default is not parameter.empty
    if name == "workers" and default == 0:
        settings["callback"] = _or_all_cores
    is_shown = is_given and default is not None and default is not False and default not in ("", ())
    note = entry.default or (str(default) if is_shown else "")
    return option(
        f"--{name.rstrip('_').replace('_', '-')}",
        name,
        group=entry.group,
        metavar=entry.form or None,
        help=entry.text + (" Repeatable." if settings.get("multiple") else ""),
        required=not is_given and get_origin(hint) is not dict,
        default=None if not is_given or default == () else default,
        default_note=note,
        **settings,
    )


def _or_all_cores(_context: click.Context, _parameter: click.Parameter, value: int) -> int:
    from cgatjax.runtime.executors import cores

    return value or cores()


def _pairs(
    _context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]
) -> dict[str, str]:
    """Split the values NAME=VALUE of an option."""
    pairs = [text.partition("=") for text in texts]
    if wrong := ["".join(pair) for pair in pairs if not all(pair)]:
        raise ConfigError(f"{parameter.opts[0]}: expected {parameter.metavar}, got {wrong}")
    found = {name: value for name, _, value in pairs}
    if len(found) < len(pairs):
        raise ConfigError(f"{parameter.opts[0]}: the same name was given twice in {list(texts)}")
    return found
