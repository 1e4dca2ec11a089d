"""`hull`: formation energies and distances to the convex hull."""

from typing import Any

import click

from cgatjax.cli.command_options import (
    command,
    on_error_option,
    option,
    where_option,
    workers_option,
)
from cgatjax.cli.data_files import echo_skipped


@command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@option("--energy", required=True, metavar="NAME", help="Property that has the energy.")
@option(
    "--kind",
    required=True,
    type=click.Choice(["cell", "atom", "formation"]),
    help="Total energy of the cell, total energy per atom, or formation energy per atom, in eV.",
)
@option("--out", required=True, type=click.Path(), help="Folder to create.")
@option(
    "--suffix",
    help="Suffix of the names of the new properties, such as @SCAN.",
    default_note="that of the energy",
)
@where_option()
@option(
    "--polymorphs",
    type=click.Choice(["compete", "ignore"]),
    default="compete",
    show_default=True,
    help="Entries of the same composition are competing phases, or are ignored.",
)
@workers_option()
@on_error_option("Stop at a crystal without a hull, or skip and list it.")
def hull(inputs: tuple[str, ...], out: str, workers: int, **options: Any) -> None:
    """Compute formation energies and signed distances to the hull.

    \b
    cgatjax hull scan/ --energy energy --kind cell --out scan-hull
    cgatjax featurize scan-hull/ --out scan.store --target e_above_hull_new
    cgatjax hull lemat/ --energy energy@PBE --kind cell --where functional=PBE --out lemat-hull

    INPUT: as for `featurize`. All entries together make the hull, and the elements among them are
    the references. The crystals are written again, as files for `featurize`, with two more
    properties in eV per atom: e-form, and e_above_hull_new, the distance to the hull of all other
    entries, negative for stable compounds.
    """
    from cgatjax import add_hull
    from cgatjax.preprocessing.hull_files import DISTANCE, FORMATION

    done = add_hull(list(inputs), out, workers=workers, **options)
    suffix = options["suffix"]
    if suffix is None:
        suffix = "".join(options["energy"].partition("@")[1:])
    names = " and ".join(name + suffix for name in (FORMATION, DISTANCE))
    click.echo(
        f"{done.path}: {done.n_crystals} crystals, {done.n_labeled} with {names}, "
        f"{done.n_stable} of them on the hull, {len(done.skipped)} skipped"
    )
    echo_skipped(done.skipped, done.skipped_path)
