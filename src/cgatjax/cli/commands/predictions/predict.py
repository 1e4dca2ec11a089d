"""`predict`: predict properties of structures."""

from pathlib import Path
from typing import Literal

import click

import cgatjax as cg
from cgatjax.cli.command_options import Kind, command
from cgatjax.cli.data_files import echo_skipped, prediction_notes, write_predictions
from cgatjax.runtime import require_new

SHOWN = 20
"""Number of predictions that are printed without --out."""


@command()
def predict(
    run: str,
    inputs: tuple[str, ...],
    *,
    out: str | None = None,
    properties: str | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    uncertainty: Kind | None = None,
) -> None:
    """Predict properties of structures, relaxed or not.

    INPUT: as for `featurize`, or a store. Without --out the first 20 predictions are printed. The
    CSV has a row for each crystal and target, in the unit of the target. Its first lines, which
    begin with "#", name the model and the source of the standard deviation, or the reason why that
    column is empty. The column unseen_elements lists the elements of a crystal that the model was
    never trained on: do not trust such a prediction. Crystals that --on-error skip leaves out are
    listed in FILE.skipped.csv.

    \b
    cgatjax predict runs/scan quartz.cif
    cgatjax predict runs/scan candidates/*.cif --out predictions.csv
    cgatjax predict runs/difference candidates/*.cif --properties pbe.csv --out predictions.csv

    Options:
      out PATH: CSV file to write. [default: a table on the terminal]
      properties
      on_error
      uncertainty
    """
    from cgatjax.cli.data_files import store_or_files
    from cgatjax.structures import write_rejected

    path = Path(out) if out else None
    skipped_path = path.with_suffix(".skipped.csv") if path else None
    require_new(path, skipped_path)
    found = cg.predict(
        cg.load_predictor(run, uncertainty),
        store_or_files(inputs),
        properties=properties,
        on_error=on_error,
        show_progress=True,
    )
    if path is None or skipped_path is None:
        click.echo(found.text(SHOWN))
        for line in prediction_notes(run, found):
            click.echo(line)
        echo_skipped(found.skipped, None)
        return
    write_predictions(path, run, found)
    click.echo(f"{path}: {len(found.ids)} crystals, {len(found.skipped)} skipped")
    if found.skipped:
        write_rejected(skipped_path, found.skipped)
        echo_skipped(found.skipped, skipped_path)
