"""Command-line options made from the fields of the option classes in `cgatjax.config`.

The class is the only source of name, type, default, description and validation. An option that is
not given is None or empty, so that configuration file and preset can stand below the flags.
"""

import dataclasses
import inspect
import re
import types
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import click

import cgatjax as cg
from cgatjax.cli.command_options import (
    WITHOUT_VALUE,
    Decorator,
    option,
    type_settings,
    with_options,
)
from cgatjax.config import PRESETS
from cgatjax.options import Options, load_toml


class Text(click.ParamType):
    """Text that is converted to the value of a field; `name` is its form on the help page."""

    def __init__(self, form: str, convert: Callable[[str], Any], expected: str = "") -> None:
        self.name = form
        self._convert = convert
        self._expected = expected or form

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Convert the text of an option, or raise ConfigError."""
        try:
            return self._convert(value)
        except ValueError as error:
            flag = param.opts[0] if param else "option"
            raise cg.ConfigError(f"{flag}: expected {self._expected}, got {value!r}") from error


def _fractions(text: str) -> tuple[float, ...]:
    train, valid, test = (float(number) for number in text.split(","))
    return train, valid, test


def _widths(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


def _pattern_and_factor(text: str) -> tuple[str, float]:
    pattern, _, factor = text.rpartition("=")
    return pattern, float(factor)


def _epoch_and_pattern(text: str) -> tuple[int, str]:
    epoch, _, pattern = text.partition(":")
    return int(epoch), pattern


_FORMS = {
    "baselines": Text("NAME", str),
    "exclude": Text("RUN|STORE|FILE", str),
    "fractions": Text("A,B,C", _fractions, "three numbers a,b,c"),
    "head_widths": Text("N,N,...", _widths, "numbers n,n,..."),
    "lr_groups": Text("PATTERN=FACTOR", _pattern_and_factor),
    "reinit": Text("PATTERN", str),
    "split": Text("FILE", str),
    "unfreeze": Text("EPOCH:PATTERN", _epoch_and_pattern),
    # "all" is a number as soon as the processes of a training have found each other.
    "devices": Text("N|all", lambda text: text if text == "all" else int(text), "a number or all"),
}
"""Field -> form of its text, where the type of the field does not say enough."""
_NAMES = {"baselines": "baseline", "lr_groups": "lr-group"}
"""Field -> name of its option, where they differ."""


def config_options(
    cls: type[Options],
    group: str,
    *,
    only: Collection[str] = (),
    without: Collection[str] = (),
    required: Collection[str] = (),
    presets: Mapping[str, Options] | None = None,
) -> Decorator:
    """Add an option for each field of an option class to a command, in a group of the help page.

    The fields are all, or `only` some, or those `without` others; some may be `required`. `presets`
    (name -> options that the command starts from) give the defaults of the help page, instead of
    those of the class.
    """
    hints, help_texts = get_type_hints(cls), descriptions(cls)
    starts = presets or {"": cls()}
    names = [f.name for f in dataclasses.fields(cls) if not only or f.name in only]  # type: ignore[arg-type]

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed([name for name in names if name not in without]):
            is_required = name in required
            defaults = {preset: getattr(start, name) for preset, start in starts.items()}
            settings = _settings(name, hints[name])
            repeatable = " Repeatable." if settings.get("multiple") else ""
            flag = f"--{_flag(name)}" + (f"/--no-{_flag(name)}" if hints[name] is bool else "")
            settings |= {
                "group": group,
                "help": help_texts.get(name, "") + repeatable,
                "default_note": "" if is_required else _default_note(name, defaults),
                "required": is_required,
            }
            function = option(flag, name, **settings)(function)
        return function

    return decorate


def chosen(
    flags: Mapping[str, Any], cls: type[Options], *, without: Collection[str] = ()
) -> dict[str, Any]:
    """Return the fields of an option class that the command line gives a value."""
    names = {f.name for f in dataclasses.fields(cls)} - set(without)  # type: ignore[arg-type]
    return {n: v for n, v in flags.items() if n in names and v is not None and v != ()}


def descriptions(cls: type[Options]) -> dict[str, str]:
    """Return field -> description, from the section "Attributes" of the class docstring."""
    section = (inspect.getdoc(cls) or "").partition("Attributes:\n")[2].partition("\n\n")[0]
    entries = re.findall(r"^  (\w+): (.*(?:\n    .*)*)", section, re.MULTILINE)
    texts = {name: " ".join(text.split()) for name, text in entries}
    return {name: text[0].upper() + text[1:] for name, text in texts.items()}


def _flag(name: str) -> str:
    return _NAMES.get(name, name.replace("_", "-"))


def _settings(name: str, hint: Any) -> dict[str, Any]:
    """Type of an option, as arguments of `click.option`."""
    if hint is bool:
        return {"default": None}
    if name not in _FORMS:
        return {**type_settings(hint), **WITHOUT_VALUE.get(name, {})}
    if get_origin(hint) in (types.UnionType, Union):
        hint = next(part for part in get_args(hint) if part is not types.NoneType)
    item, *rest = get_args(hint) or (hint,)
    form = _FORMS[name]
    return {"type": form, "metavar": form.name, "multiple": rest == [Ellipsis] and item is not int}


def _default_note(name: str, defaults: Mapping[str, Any]) -> str:
    """Default of each preset, "" if no preset has one."""
    presets: dict[str, list[str]] = {}
    for preset, value in defaults.items():
        presets.setdefault(_text(name, value), []).append(preset)
    if len(presets) == 1:
        return next(iter(presets))
    return ", ".join(f"{text or 'none'} ({', '.join(of)})" for text, of in presets.items())


def _text(name: str, value: Any) -> str:
    """Value as the command line takes it, "" for None and nothing."""
    if isinstance(value, bool):
        return _flag(name) if value else f"no-{_flag(name)}"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, float):
        return f"{value:g}"
    return "" if value is None else str(value)


NETWORKS = {name: network() for name, (network, _) in PRESETS.items()}
TRAININGS = {name: training() for name, (_, training) in PRESETS.items()}
"""Options of the network and of the training that each preset stands for."""
_ON_DEVICES = ("devices", "device_mapping")
_NETWORK_ON_DEVICES = ("precision", "rematerialize")

split_options = config_options(cg.SplitConfig, "Data", without=("seed", "exclude_seen"))
exclude_seen_option = config_options(cg.SplitConfig, "Data", only=("exclude_seen",))
network_options = config_options(
    cg.ModelConfig, "Network", without=("targets", *_NETWORK_ON_DEVICES), presets=NETWORKS
)


def _of_training(
    *,
    config: str | None = None,
    ensemble: int | None = None,
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    deterministic: bool = False,
    out: str,
    resume: bool = False,
    plots: bool = False,
    log: tuple[Literal["tensorboard", "wandb"], ...] = (),
) -> None:
    """Declare the options of trainings that no option class has.

    Training:
      config PATH: TOML file of options; flags take precedence.
      ensemble N: Train N members on the same split, with the seeds --seed, --seed + 1, ...
    Hardware:
      coordinator HOST:PORT|auto: Train with several processes: address of process 0, or auto under
        SLURM, Open MPI and on TPU pods. The default of --devices is then all.
      num_processes: Number of processes, with --coordinator HOST:PORT.
      process_id: Number of this process, from 0, with --coordinator HOST:PORT.
      deterministic: Sum in a fixed order on GPUs: slower, and runs repeat bit for bit.
    Output:
      out PATH: Run folder to create.
      resume: Resume the run in --out.
      plots: Draw learning curves into --out.
      log: Log the learning curves to TensorBoard (RUN/tensorboard) or Weights & Biases.
    """


def training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of training, hardware and output."""
    of_class = config_options(cg.TrainConfig, "Training", without=_ON_DEVICES, presets=TRAININGS)
    command = with_options(_of_training, of_class(command))
    command = config_options(cg.ModelConfig, "Hardware", only=_NETWORK_ON_DEVICES)(command)
    return config_options(cg.TrainConfig, "Hardware", only=_ON_DEVICES)(command)


def read_tables(file: str | None, **sections: type[Options]) -> dict[str, dict[str, Any]]:
    """Return the tables of a configuration file, empty ones where it has none.

    ConfigError if the file cannot be read, or has a table that does not belong to a training.
    """
    found = load_toml(file, {"graph": cg.GraphConfig, **sections}) if file else {}
    if "graph" in found:
        raise cg.ConfigError(f"{file}: [graph] belongs to `cgatjax featurize --config`")
    return {name: found.get(name, {}) for name in sections}


def train_config(
    start: cg.TrainConfig, table: Mapping[str, Any], flags: Mapping[str, Any]
) -> cg.TrainConfig:
    """Return the training options: flags over the table of the file over those to start from."""
    return start.replace(**{**table, **chosen(flags, cg.TrainConfig)})


def split_config(flags: Mapping[str, Any], seed: int) -> cg.SplitConfig:
    """Return the split options of the flags."""
    return cg.SplitConfig(seed=seed, **chosen(flags, cg.SplitConfig, without=("seed",)))
