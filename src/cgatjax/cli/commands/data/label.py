"""`label`: energies of crystals from a calculator."""

from pathlib import Path
from typing import Literal

import click

import cgatjax as cg
from cgatjax.cli.command_options import command
from cgatjax.cli.data_files import echo_skipped
from cgatjax.runtime import require_new


@command()
def label(
    inputs: tuple[str, ...],
    *,
    calculator: str,
    property_: str | None = None,
    references: str | None = None,
    reference_property: str = "e-form",
    scan: bool = False,
    properties: str | None = None,
    on_error: Literal["raise", "skip"] = "skip",
    workers: int = 1,
    out: str,
    resume: bool = False,
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

    Calculator:
      calculator NAME: chgnet or sevennet, whose packages are to be installed, or MODULE:FACTORY of
        any ASE calculator, such as ase.calculators.emt:EMT or my_module:make.
      property_ NAME: Name of the new property, in eV per atom. [default: energy_CALCULATOR, with
        --references e-form_CALCULATOR]
      references FILE: Compute formation energies: subtract energies of the elements, given as JSON
        {symbol: eV/atom}, or fitted to crystals of FILE, whose formation energies are known, 50 of
        each element.
      reference_property NAME: Known formation energy of the crystals of --references.
      scan: Find the minimum over the volume of the cell; its volume per atom becomes the property
        volume_CALCULATOR.
    Data:
      properties
      on_error: Stop at a crystal that fails, or skip and list it.
    Hardware:
      workers: Number of processes, each with its own calculator.
    Output:
      out PATH: Archive to write: .json, .json.gz or .json.bz2.
      resume: Resume a stopped run; start it if there is nothing yet.
    """
    from cgatjax.labeling.label import FAILED

    path = Path(out)
    failed_path = path.with_name(f"{path.name}{FAILED}")
    if not resume:
        require_new(path, failed_path)
    found = cg.label(
        list(inputs),
        calculator,
        property=property_,
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
