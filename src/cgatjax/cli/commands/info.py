"""`info`: describe a store, a run or a model."""

from pathlib import Path

import click

from cgatjax import InputError
from cgatjax.cli.command_options import command, option


@command()
@click.argument("path", metavar="STORE_OR_RUN", type=click.Path())
@option("--verify", is_flag=True, help="Read the whole store and compare its hashes.")
def info(path: str, verify: bool) -> None:
    """Describe a store, a run or a model.

    \b
    cgatjax info pbe.store     crystals, graphs, options, targets with units and statistics
    cgatjax info runs/scan     network, normalizers, graph options, errors, transfer report

    The sizes of a store's files are always compared. --verify takes some seconds per GB.
    """
    from cgatjax import open_store
    from cgatjax.cli.run_info import show_run
    from cgatjax.cli.store_info import show_store
    from cgatjax.data.store import BUILD_LOG, MANIFEST

    if any((Path(path) / name).is_file() for name in (MANIFEST, BUILD_LOG)):
        show_store(open_store(path, verify=verify))
        if verify:
            click.echo("all shards are as they were written")
    elif verify:
        raise InputError(f"{path}: --verify expects a store, found no {MANIFEST}")
    else:
        show_run(Path(path))
