"""`info`: describe a store, a run or a model."""

from pathlib import Path

import click

from cgatjax.cli.command_options import command, option


@command()
@click.argument("path", metavar="STORE_OR_RUN", type=click.Path())
@option(
    "--verify",
    is_flag=True,
    help="Read the whole store and compare its hashes, or repeat the self-check of a model.",
)
def info(path: str, verify: bool) -> None:
    """Describe a store, a run or a model.

    \b
    cgatjax info pbe.store     crystals, graphs, options, targets with units and statistics
    cgatjax info runs/scan     network, normalizers, graph options, errors, transfer report
    cgatjax info mp-small      card of a published model, by name, folder or address

    The sizes of a store's files are always compared. --verify takes some seconds per GB of a store.
    For a published model it repeats the predictions that belong to the file.
    """
    from cgatjax import open_store
    from cgatjax.cli.run_info import show_card, show_run
    from cgatjax.cli.store_info import show_store
    from cgatjax.data.store import BUILD_LOG, MANIFEST
    from cgatjax.pretrained.locations import CARD, locate
    from cgatjax.pretrained.self_check import verify as verify_model

    if any((Path(path) / name).is_file() for name in (MANIFEST, BUILD_LOG)):
        show_store(open_store(path, verify=verify))
        if verify:
            click.echo("all shards are as they were written")
        return
    folder = locate(path)
    if verify:
        checked = verify_model(folder)
        click.echo(
            f"{path}: predictions of {checked.crystals} crystals repeated; largest difference "
            f"{checked.difference:.2g} standard deviations of the property (tolerance "
            f"{checked.tolerance:g})"
        )
    elif (folder / CARD).is_file():
        show_card(folder)
    else:
        show_run(folder)
