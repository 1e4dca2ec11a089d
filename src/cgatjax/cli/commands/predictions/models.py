"""`models`: list the models that come with the package."""

import click

import cgatjax as cg
from cgatjax.cli.command_options import command
from cgatjax.runtime import table


@command()
def models() -> None:
    """List the pre-trained models that come with the package.

    A name stands wherever a command reads a run or a model, and so does the address of a folder
    with the same files: they are downloaded once and compared with their SHA-256.

    \b
    cgatjax models
    cgatjax info mp-small       card: data, licenses, errors, limits
    cgatjax predict mp-small quartz.cif
    """
    cards = cg.models()
    if not cards:
        click.echo("no model comes with this version")
        return
    rows = []
    for name, card in cards.items():
        errors = next(iter(card.errors.values()), {})
        for target, unit in card.targets.items():
            mae = errors[target]["mae"] if target in errors else ""
            row = (name, f"{card.parameters:,}", target, unit, mae, card.split["train"])
            # Each name once, so that the rows of a model stand together.
            rows.append(row if target == next(iter(card.targets)) else ("", "", *row[2:]))
    header = ("name", "parameters", "property", "unit", "test MAE", "training crystals")
    click.echo(table(header, rows))
    click.echo("\nerrors on other data sets and limits: cgatjax info NAME")
