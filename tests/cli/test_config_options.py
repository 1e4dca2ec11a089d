"""Options made from option classes: one source of names, types, defaults and descriptions."""

import dataclasses
from dataclasses import dataclass
from typing import Literal

import click
import pytest
from click.testing import CliRunner

from cgatjax.cli import main
from cgatjax.cli.command_options import command
from cgatjax.cli.config_options import chosen, config_options, descriptions
from cgatjax.config import (
    GPConfig,
    GraphConfig,
    ModelConfig,
    SplitConfig,
    TrainConfig,
    TransferConfig,
)
from cgatjax.errors import ConfigError
from cgatjax.options import Options

CLASSES = (GPConfig, GraphConfig, SplitConfig, ModelConfig, TrainConfig, TransferConfig)


@dataclass(frozen=True, kw_only=True)
class Baking(Options):
    """Options of a cake.

    Attributes:
      minutes: time in the oven; by default
        until it is done.
      heat: heat, "top" or "bottom".
      layers: widths of the layers.
      sweet: add sugar.
      reinit: parts to bake again.
      unfreeze: (epoch, part) pairs.

    Examples:
      none: this is not a field
    """

    minutes: float | None = None
    heat: Literal["top", "bottom"] = "top"
    head_widths: tuple[int, ...] = (3, 2)
    sweet: bool = True
    reinit: tuple[str, ...] = ()
    unfreeze: tuple[tuple[int, str], ...] = ()


PRESETS = {"slow": Baking(minutes=90), "fast": Baking(), "faster": Baking(sweet=False)}


@command()
@config_options(Baking, "Cake", presets=PRESETS, required=("heat",))
def bake(**flags: object) -> None:
    click.echo(str(sorted(chosen(flags, Baking).items())))


def baked(*arguments: str) -> str:
    return CliRunner().invoke(bake, ["--heat", "top", *arguments], catch_exceptions=False).output


def test_only_given_options_are_chosen_and_have_the_type_of_their_field():
    assert baked() == "[('heat', 'top')]\n"
    given = ("--minutes", "5", "--no-sweet", "--head-widths", "4,3", "--reinit", "a", "--reinit",
             "b", "--unfreeze", "3:a:b")  # fmt: skip
    assert baked(*given) == (
        "[('head_widths', (4, 3)), ('heat', 'top'), ('minutes', 5.0), ('reinit', ('a', 'b')), "
        "('sweet', False), ('unfreeze', ((3, 'a:b'),))]\n"
    )


def test_the_help_page_has_descriptions_and_the_defaults_of_every_preset():
    text = " ".join(CliRunner().invoke(bake, ["--help"]).output.split())
    assert "Cake:" in text
    assert "--minutes FLOAT Time in the oven; by default until it is done." in text
    assert "[default: 90 (slow), none (fast, faster)]" in text
    assert "--heat [top|bottom]" in text
    assert "[default: sweet (slow, fast), no-sweet (faster)]" in text
    assert "--head-widths N,N,... [default: 3,2]" in text
    assert "--reinit PATTERN Parts to bake again. Repeatable." in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--head-widths", "4,x"), "--head-widths: expected numbers n,n,..., got '4,x'"),
        (("--unfreeze", "a"), "--unfreeze: expected EPOCH:PATTERN, got 'a'"),
    ],
)
def test_a_text_of_another_form_is_an_error_that_names_the_option(arguments, message):
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        baked(*arguments)


@pytest.mark.parametrize("cls", CLASSES)
def test_every_field_has_a_description(cls):
    fields = {field.name for field in dataclasses.fields(cls)}
    texts = descriptions(cls)
    assert set(texts) == fields
    assert all(text.endswith(".") and "  " not in text for text in texts.values())


@pytest.mark.parametrize(
    ("name", "cls", "without"),
    [
        ("featurize", GraphConfig, ()),
        ("fit-gp", GPConfig, ()),
        ("train", SplitConfig, ("exclude_seen",)),
        ("train", ModelConfig, ("targets",)),
        ("train", TrainConfig, ()),
        ("transfer", SplitConfig, ()),
        ("transfer", TrainConfig, ()),
        ("transfer", TransferConfig, ("train",)),
    ],
)
def test_every_field_is_an_option_of_the_command(name, cls, without):
    options = {option.name for option in main.commands[name].params}
    assert {field.name for field in dataclasses.fields(cls)} - set(without) <= options
