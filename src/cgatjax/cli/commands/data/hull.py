"""`hull`: formation energies and distances to the convex hull."""

from typing import Literal

import click

import cgatjax as cg
from cgatjax.cli.command_options import command
from cgatjax.cli.data_files import echo_skipped


@command()
def hull(
    inputs: tuple[str, ...],
    *,
    energy: str,
    kind: Literal["cell", "atom", "formation"],
    out: str,
    suffix: str | None = None,
    where: dict[str, str],
    polymorphs: Literal["compete", "ignore"] = "compete",
    workers: int = 0,
    on_error: Literal["raise", "skip"] = "raise",
) -> None:
    """Compute formation energies and signed distances to the hull.

    \b
    cgatjax hull scan/ --energy energy --kind cell --out scan-hull
    cgatjax featurize scan-hull/ --out scan.store --target e_above_hull_new
    cgatjax hull lemat/ --energy energy@PBE --kind cell --where functional=PBE --out lemat-hull

    INPUT: as for `featurize`. All entries together make the hull, and the elements among them are
    the references. The crystals are written again, as files for `featurize`, with two more
    properties in eV per atom: e-form, and e_above_hull_new, the distance to the hull of all other
    entries, negative for stable compounds.

    Options:
      energy NAME: Property that has the energy.
      kind: Total energy of the cell, total energy per atom, or formation energy per atom, in eV.
      out PATH: Folder to create.
      suffix: Suffix of the names of the new properties, such as @SCAN. [default: that of the
        energy]
      where
      polymorphs: Entries of the same composition are competing phases, or are ignored.
      workers
      on_error: Stop at a crystal without a hull, or skip and list it.
    """
    from cgatjax.preprocessing.hull_files import DISTANCE, FORMATION

    suffix = "".join(energy.partition("@")[1:]) if suffix is None else suffix
    done = cg.add_hull(
        list(inputs),
        out,
        energy=energy,
        kind=kind,
        suffix=suffix,
        where=where,
        polymorphs=polymorphs,
        workers=workers,
        on_error=on_error,
    )
    names = " and ".join(name + suffix for name in (FORMATION, DISTANCE))
    click.echo(
        f"{done.path}: {done.n_crystals} crystals, {done.n_labeled} with {names}, "
        f"{done.n_stable} of them on the hull, {len(done.skipped)} skipped"
    )
    echo_skipped(done.skipped, done.skipped_path)
