"""Contents of a run or model folder, and the best epoch of a history, as text."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

import cgatjax as cg
from cgatjax.inference.loading import is_ensemble, member_folders, member_seeds
from cgatjax.model.metrics import mean_over_targets
from cgatjax.runs.run_folder import DATA, HISTORY, REPORT
from cgatjax.runtime import fields, table


def show_card(folder: Path) -> None:
    """Print the card of a published model, and what it records of its trainings."""
    click.echo(cg.ModelCard.read(folder).text())
    click.echo(f"## Memory\n\n{_training(cg.load_model(folder))}")


def show_run(path: Path) -> None:
    """Print network, normalizers, graph options, best validation and transfer report."""
    folders = member_folders(path)
    if is_ensemble(path):
        seeds = ", ".join(map(str, member_seeds(path)))
        click.echo(f"{path}: ensemble of {len(folders)} members, seeds {seeds}; the first of them:")
    model = cg.load_model(folders[0])
    click.echo(
        f"{folders[0]}: {model.n_params} parameters, elements from {model.element_table.name!r}"
    )
    click.echo("\ntargets")
    click.echo(table(("name", "unit", "mean", "std", "predicted std"), _targets(model)))
    for name, normalizer in model.normalizers.items():
        if normalizer.known_part:
            click.echo(f"{name} = {normalizer.known_part} + mean + std x network")
    click.echo(f"\nstandard deviations\n{_std_sources(path)}")
    click.echo(f"\ntrained on\n{_training(model)}")
    click.echo("\nnetwork")
    click.echo(fields({k: v for k, v in model.config.to_dict().items() if k != "targets"}))
    click.echo("\ngraph options")
    click.echo(fields(model.graph_config.to_dict()))
    if (path / DATA).is_file():
        click.echo("\ndata")
        click.echo(fields(json.loads((path / DATA).read_text())))
    for folder in folders:
        if (folder / HISTORY).is_file():
            label = "" if folder == path else f"member {folder.name}: "
            click.echo(f"\n{label}{summary(model, read_history(folder))}")
    if (path / REPORT).is_file():
        click.echo(f"\n{report_text(json.loads((path / REPORT).read_text()))}")


def _std_sources(path: Path) -> str:
    """Sources of standard deviations that the run has, and a note on the default one."""
    try:
        predictor = cg.load_predictor(path)
    except cg.CgatjaxError as error:
        return f"  {error}"
    notes = {t: predictor.std_note(t) for t in predictor.targets}
    return fields({"kinds": ", ".join(predictor.available) or "none", **notes})


def _training(model: cg.Model) -> str:
    """Numbers of elements and crystals in the training record of a model."""
    record = model.record
    if record is None:
        return "  unknown: the model has no record of its training"
    before = "unknown" if record.pretraining is None else int((record.pretraining > 0).sum())
    return fields(
        {
            "elements": int((record.training > 0).sum()),
            "elements of pre-training": before,
            "distinct crystals, pre-training included": len(record.train.graphs),
            "their distinct formulas": len(record.train.formulas),
            "distinct validation crystals": len(record.valid.graphs),
            "distinct test crystals": len(record.test.graphs),
            **{f"training {k}": _stage(stage) for k, stage in enumerate(record.stages, 1)},
        }
    )


def _stage(stage: Mapping[str, Any]) -> str:
    """Describe an entry of a model's lineage in a line."""
    if "published" in stage:
        return f"published as {stage['published']} (weights {stage['weights']})"
    data, versions = stage["inputs"]["train"], stage["versions"]
    return (
        f"{', '.join(stage['targets'])} on {data['crystals']} crystals (data {data['digest']}), "
        f"from weights {stage['inputs']['weights']}, cgatjax {versions['cgatjax']}"
    )


def read_history(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a run's history, as numbers; empty cells are left out."""
    with open(path / HISTORY, newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: float(v) for k, v in row.items() if v not in ("", None)} for row in rows]


def summary(model: cg.Model, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the epoch with the lowest validation error and its errors, as text."""
    scales = {t: n.std for t, n in model.normalizers.items()}
    scored = [(_score(row, scales), row) for row in rows]
    valid = [(score, row) for score, row in scored if score == score]
    if not valid:
        return f"no validation in {len(rows)} epochs"
    best = min(valid, key=lambda pair: pair[0])[1]
    errors = [
        (t, model.units.get(t, ""), best[f"valid_mae:{t}"], best[f"valid_rmse:{t}"])
        for t in model.targets
        if best.get(f"valid_mae:{t}") is not None
    ]
    head = f"best of {len(rows)} epochs by validation: {int(best['epoch'])}"
    return f"{head}\n{table(('target', 'unit', 'valid MAE', 'valid RMSE'), errors)}"


def report_text(report: Mapping[str, Any]) -> str:
    """Return a transfer report as text: parameters loaded, frozen, re-initialized; first errors."""
    rows = [(subset, e["mae"], e["rmse"], e["n"]) for subset, e in report["step_zero"].items()]
    return (
        f"transfer: {cg.TransferReport(**report)!r}\n"
        f"before training\n{table(('subset', 'MAE', 'RMSE', 'n'), rows)}"
    )


def _targets(model: cg.Model) -> list[tuple[Any, ...]]:
    return [
        (
            name,
            model.units.get(name) or "?",
            model.normalizers[name].mean if name in model.normalizers else "",
            model.normalizers[name].std if name in model.normalizers else "",
            "yes" if name in model.predicts_std else "no",
        )
        for name in model.targets
    ]


def _score(row: Mapping[str, Any], scales: Mapping[str, float]) -> float:
    """Mean of the targets' errors in units of their std, which training minimizes."""
    found = {t: row.get(f"valid_mae:{t}") for t in scales}
    errors = {t: {"mae": mae, "n": 1} for t, mae in found.items() if mae is not None and mae == mae}
    return mean_over_targets(errors, scales)
