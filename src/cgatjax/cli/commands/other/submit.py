"""`submit`: files for the leaderboards Matbench Discovery and JARVIS."""

import csv
import datetime
import math
import tomllib
from pathlib import Path
from typing import Any, Literal

import click

import cgatjax as cg
from cgatjax.cli.command_options import command
from cgatjax.runtime import reading


@command()
def submit(
    leaderboard: Literal["matbench-discovery", "jarvis"],
    predictions: str,
    *,
    metadata: str,
    target: str | None = None,
    out: str,
    run: str | None = None,
    family: str = "cgatjax",
    date: str | None = None,
    benchmark: str | None = None,
    property_: str | None = None,
) -> None:
    """Write the files of a submission to a leaderboard.

    \b
    cgatjax predict runs/mp wbm-init-structs.jsonl.gz --out wbm.csv --on-error skip
    cgatjax submit matbench-discovery wbm.csv --run runs/mp --metadata me.toml --out submission
    cgatjax submit jarvis jarvis.csv --benchmark dft_3d_mbj_bandgap.json.zip \\
        --property mbj_bandgap --metadata me.toml --out submission

    PREDICTIONS: CSV of `predict`. For Matbench Discovery they are formation energies in eV/atom,
    with the corrections of the Materials Project, of a model trained on its 2022 data; the metadata
    (an empty text stands for null) are checked against the rules of its model schema, and all
    faults are listed. For JARVIS they must cover the whole test set of the benchmark. Nothing is
    sent anywhere.

    Options:
      metadata PATH: TOML file with authors and so on.
      target NAME: Property of the predictions. [default: the only]
      out PATH: Folder to write to.
    Matbench Discovery:
      run PATH: Run that made the predictions; gives sizes and versions.
      family: Folder of related models.
      date: Date of the predictions. [default: today]
    JARVIS:
      benchmark PATH: File of the benchmark, DATASET_PROPERTY.json.zip.
      property_: PROPERTY of the benchmark.
    """
    from cgatjax.integrations.matbench_discovery import metadata_of_run

    with reading(Path(metadata), "metadata as TOML"):
        about = tomllib.loads(Path(metadata).read_text())
    values = read_predictions(Path(predictions), target)
    if leaderboard == "jarvis":
        if benchmark is None or property_ is None:
            raise cg.ConfigError("jarvis: --benchmark and --property are needed")
        path = cg.write_contribution(values, benchmark, property_, about, out)
        click.echo(f"{path}: written, with metadata.json beside it")
        return
    found = metadata_of_run(run) if run is not None else {}
    today = date or datetime.date.today().isoformat()
    whole = {**found, **_as_in_json(about)}
    path = cg.write_discovery(values, whole, out, family=family, date=today)
    missing = sum(not math.isfinite(value) for value in values.values())
    click.echo(
        f"{path}: written, with {len(values) - missing} predictions ({missing} missing); upload "
        "these and add their address (url) to the file"
    )


def read_predictions(path: Path, target: str | None) -> dict[str, float]:
    """Return id -> prediction of a CSV of `predict`, NaN for an empty one.

    Raises:
      InputError: another file, several properties and none named, or an id given twice.
    """
    with reading(path, "a CSV file of `cgatjax predict`"):
        lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        rows = [(r["id"], r["property"], r["prediction"]) for r in csv.DictReader(lines)]
        found = sorted({name for _, name, _ in rows})
        if (target is None and len(found) != 1) or (target is not None and target not in found):
            raise cg.InputError(
                f"expected predictions of {target or 'one property'}, it has {found}"
            )
        chosen = [(i, float(value or "nan")) for i, name, value in rows if name == (target or name)]
    values = dict(chosen)
    if len(values) != len(chosen):
        raise cg.InputError(f"{path}: expected distinct ids")
    return values


def _as_in_json(value: Any) -> Any:
    """Return metadata of TOML with dates as text, and None for empty texts (TOML has no null)."""
    if isinstance(value, dict):
        return {key: _as_in_json(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_as_in_json(part) for part in value]
    return value.isoformat() if isinstance(value, datetime.date) else value or None
