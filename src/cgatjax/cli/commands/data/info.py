"""`info`: describe structure files, a store, a run or a model."""

from glob import has_magic
from pathlib import Path

import click

import cgatjax as cg
from cgatjax.cli.command_options import command


@command(paths="FILE...|STORE_OR_RUN")
def info(paths: tuple[str, ...], *, verify: bool = False, where: dict[str, str]) -> None:
    """Describe structure files, a store, a run or a model.

    \b
    cgatjax info pbe/*.json.bz2   properties with units, missing values, functionals, elements
    cgatjax info pbe.store        crystals, graphs, options, targets with units and statistics
    cgatjax info runs/scan        network, normalizers, graph options, errors, transfer report
    cgatjax info mp-small         card of a published model, by name, folder or address

    FILE: as for `featurize`, also a folder or pattern; the files are read once, and nothing is
    written. Properties that look like totals of cells although their unit says "per atom" are
    listed. The sizes of a store's files are always compared; --verify takes some seconds per GB of
    a store. For a published model it repeats the predictions that belong to the file.

    Options:
      verify: Read the whole store and compare its hashes, or repeat the self-check of a model.
    Data:
      where
    """
    from cgatjax.cli.file_info import show_files
    from cgatjax.cli.run_info import show_card, show_run
    from cgatjax.cli.store_info import show_store
    from cgatjax.data.store import BUILD_LOG, MANIFEST
    from cgatjax.pretrained.locations import CARD, locate
    from cgatjax.pretrained.self_check import verify as verify_model

    first = paths[0]
    is_store = any((Path(first) / name).is_file() for name in (MANIFEST, BUILD_LOG))
    if not (is_store or verify or _is_model(first)):
        show_files(paths, where)
        return
    if len(paths) > 1 or where:
        raise cg.InputError(f"expected one store or run, or structure files, got {list(paths)}")
    if is_store:
        show_store(cg.open_store(first, verify=verify))
        if verify:
            click.echo("all shards are as they were written")
        return
    folder = locate(first)
    if verify:
        checked = verify_model(folder)
        click.echo(
            f"{first}: predictions of {checked.crystals} crystals repeated; largest difference "
            f"{checked.difference:.2g} standard deviations of the property (tolerance "
            f"{checked.tolerance:g})"
        )
    elif (folder / CARD).is_file():
        show_card(folder)
    else:
        show_run(folder)


def _is_model(source: str) -> bool:
    """Check for the folder of a run or a model, its address, or a name that is no path."""
    from cgatjax.model.model_io import DESCRIPTION
    from cgatjax.pretrained.locations import is_own
    from cgatjax.runs.run_folder import CONFIG, ENSEMBLE

    path = Path(source)
    if not is_own(source):
        return True
    if not path.exists():
        return path.name == source and not path.suffix and not has_magic(source)
    return any((path / name).exists() for name in (DESCRIPTION, "model", CONFIG, ENSEMBLE))
