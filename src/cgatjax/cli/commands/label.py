"""`label`: energies of crystals from a calculator."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cgatjax.cli.command_options import command, on_error_option, option, properties_option
from cgatjax.cli.data_files import echo_skipped, require_new

if TYPE_CHECKING:
    from typing import Literal


@command()
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@option(
    "--calculator",
    required=True,
    metavar="NAME",
    group="Calculator",
    help="chgnet or sevennet, whose packages are to be installed, or MODULE:FACTORY of any ASE "
    "calculator, such as ase.calculators.emt:EMT or my_module:make.",
)
@option(
    "--property",
    "name",
    metavar="NAME",
    group="Calculator",
    help="Name of the new property, in eV per atom.",
    default_note="energy_CALCULATOR, with --references e-form_CALCULATOR",
)
@option(
    "--references",
    type=click.Path(),
    metavar="FILE",
    group="Calculator",
    help="Compute formation energies: subtract energies of the elements, given as JSON {symbol: "
    "eV/atom}, or fitted to the crystals of FILE, whose formation energies are known.",
)
@option(
    "--reference-property",
    default="e-form",
    show_default=True,
    metavar="NAME",
    group="Calculator",
    help="Known formation energy of the crystals of --references.",
)
@option(
    "--scan",
    is_flag=True,
    group="Calculator",
    help="Find the minimum over the volume of the cell; its volume per atom becomes the property "
    "volume_CALCULATOR.",
)
@properties_option("Data")
@on_error_option("Stop at a crystal that fails, or skip and list it.", "Data", default="skip")
@option(
    "--workers",
    type=int,
    default=1,
    show_default=True,
    group="Hardware",
    help="Number of processes, each with its own calculator.",
)
@option(
    "--out",
    required=True,
    type=click.Path(),
    group="Output",
    help="Archive to write: .json, .json.gz or .json.bz2.",
)
@option(
    "--resume",
    is_flag=True,
    group="Output",
    help="Resume a stopped run; start it if there is nothing yet.",
)
def label(
    inputs: tuple[str, ...],
    calculator: str,
    name: str | None,
    references: str | None,
    reference_property: str,
    scan: bool,
    properties: str | None,
    on_error: "Literal['raise', 'skip']",
    workers: int,
    out: str,
    resume: bool,
) -> None:
    """Compute low-fidelity energies of crystals with a calculator.

    INPUT: as for `featurize`. The archive has the crystals with all their properties and the new
    one, and the calculator with its version and a hash of its weights: models that are trained with
    the property as a baseline refuse that of another calculator. Crystals that fail are listed in
    OUT.failed.csv.

    \b
    cgatjax label cifs/ --calculator chgnet --out labeled.json.bz2
    cgatjax featurize labeled.json.bz2 --recommended --out labeled.store
    cgatjax train labeled.store --target e-form --baseline energy_chgnet --references --out runs/d

    After a kill, the same command with --resume continues; calculations are not repeated.
    """
    from cgatjax import label as label_crystals
    from cgatjax.labeling.label import FAILED

    path = Path(out)
    failed_path = path.with_name(f"{path.name}{FAILED}")
    if not resume:
        require_new(path, failed_path)
    found = label_crystals(
        list(inputs),
        calculator,
        property=name,
        references=references,
        reference_property=reference_property,
        scan=scan,
        properties=properties,
        out=path,
        workers=workers,
        on_error=on_error,
        resume=resume,
        show_progress=True,
    )
    rate = f", {found.computed / found.seconds:.3g} calculated per second" if found.seconds else ""
    click.echo(
        f"{path}: {len(found)} crystals with {' and '.join(found.properties)}, "
        f"{len(found.failed)} failed{rate}\ncalculator: {found.origin}"
    )
    if found.failed:
        echo_skipped(found.failed, failed_path)
