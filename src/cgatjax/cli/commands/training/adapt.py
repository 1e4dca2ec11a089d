"""`adapt`: find the best model that the data allow, and report on it."""

import shlex
import sys
from pathlib import Path
from typing import Any, Literal

import click

import cgatjax as cg
from cgatjax.cli.command_options import command
from cgatjax.cli.config_options import chosen, config_options
from cgatjax.runtime import exit_on_interrupt, table


@command()
@config_options(cg.AdaptConfig, "Adaptation")
@exit_on_interrupt()
def adapt(
    inputs: tuple[str, ...],
    *,
    target: str,
    properties: str | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    from_: tuple[str, ...] = (),
    embeddings: tuple[str, ...] = (),
    workers: int = 0,
    out: str,
    resume: bool = False,
    **flags: Any,
) -> None:
    """Find the best model that few values allow.

    INPUT: as for `featurize`, or a store. Compares simple models of the composition, Gaussian
    processes, partly and wholly trained networks on the same splits, takes the best one, or a mean
    of good ones, by cross-validation, validates its standard deviations, and reads the test set
    once, at the end. If no network is better than a simple model, the simple model is the answer.

    Writes OUT/report.html (open it in a browser), OUT/adapt.json, OUT/test.csv and OUT/model, which
    `predict`, `screen`, `select` and `evaluate` take like any run. Structures without a value are
    candidates for the next calculations.

    \b
    cgatjax adapt cifs/ --properties energies.csv --target e-form --out adapted
    cgatjax predict adapted/model new/*.cif --out predictions.csv

    Data:
      target NAME: Property to learn.
      properties
      on_error
    Sources:
      from_ NAME|RUN: Trained model to start from, the fastest first; none for no model. [default:
        mp-small and mp-medium]
      embeddings PATH: Parquet file with columns id and embedding from another program, to compare
        with.
    Hardware:
      workers
    Output:
      out PATH: Folder to create.
      resume: Resume the adaptation in --out.
    """
    found = cg.adapt(
        inputs,
        target,
        out=out,
        sources=from_ or None,
        config=cg.AdaptConfig(**chosen(flags, cg.AdaptConfig)),
        properties=properties,
        embeddings=embeddings,
        workers=workers,
        on_error=on_error,
        resume=resume,
        made_by=shlex.join(["cgatjax", *sys.argv[1:]]),
        show_progress=True,
    )
    result = found.result
    rows = [
        (c["name"], f"{c['weight']:.0%}", c["valid_mae"], c["test_mae"], c["seconds"])
        for c in result["candidates"]
    ]
    click.echo(table(("candidate", "weight", "valid MAE", "test MAE", "seconds"), rows))
    test, unit = result["test"], result["unit"] or "?"
    click.echo(f"chosen: {result['chosen']}. {result['reason']}")
    click.echo(f"test MAE {test['mae']:.4g} {unit} on {test['n']} crystals")
    click.echo(f"{found.report}, {Path(out) / 'model'}")
