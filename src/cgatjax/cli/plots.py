"""Figures of `train` and `evaluate`: one file for each kind and target."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

import cgatjax as cg
from cgatjax.plotting.calibration_plots import calibration
from cgatjax.plotting.learning_plots import learning_curves, parity
from cgatjax.plotting.residual_plots import residuals_by_element, residuals_by_sites
from cgatjax.plotting.style import save_figure

BLOCK = 16384
"""Number of crystals whose sites are counted at once."""


def draw_evaluation(
    folder: Path,
    found: cg.Predictions,
    values: Mapping[str, np.ndarray],
    crystals: cg.Dataset,
    about: str,
) -> None:
    """Draw parity, residuals by element and by number of sites, and calibration if there are
    stds.
    """
    elements = [re.findall(r"[A-Z][a-z]?", formula) for formula in crystals.formulas]
    sites = n_sites(crystals)
    for target, target_values in values.items():
        mean, std, unit = found.means[target], found.stds[target], found.units[target]
        residuals = mean - target_values
        if not np.isfinite(residuals).any():
            click.echo(f"no figures of {target!r}: no crystal has a value of it")
            continue
        title = f"{target}: {about}"
        figures = {
            "parity": parity(target_values, mean, unit, title, crystals.ids),
            "elements": residuals_by_element(residuals, elements, unit, title),
            "sites": residuals_by_sites(residuals, sites, unit, title),
        }
        if np.isfinite(std[np.isfinite(residuals)]).any():
            curves = {target: (target_values, mean, std)}
            figures["calibration"] = calibration(curves, unit, title)
        _save(folder, figures, target if len(values) > 1 else "")


def draw_learning(folder: Path, model: cg.Model, members: Sequence[cg.History]) -> None:
    """Draw the errors during training: of training and validation set, or of ensemble members.

    A member without errors in its history is left out.
    """
    for target in model.targets:
        subsets = {"training": "train", "validation": "valid"}
        if len(members) > 1:
            subsets = {"": "valid"}
        curves = {
            name or f"member {number}": _curve(rows, f"{subset}_mae:{target}")
            for number, rows in enumerate(map(rows_from_start, members))
            for name, subset in subsets.items()
        }
        drawn = {name: rows for name, rows in curves.items() if rows}
        if drawn:
            figure = learning_curves(drawn, "MAE", model.units.get(target, ""), target)
            _save(folder, {"learning": figure}, target if len(model.targets) > 1 else "")


def rows_from_start(history: cg.History) -> list[dict[str, Any]]:
    """Return the rows of a history; a transfer's begin with the errors before training."""
    if history.report is None:
        return history.rows
    target = history.report.selected_by
    first = {f"{name}_mae:{target}": e["mae"] for name, e in history.report.step_zero.items()}
    return [{"epoch": 0, **first}, *history.rows]


def n_sites(crystals: cg.Dataset) -> np.ndarray:
    """Return the numbers of sites, (crystals,) int64."""
    found = np.empty(len(crystals), np.int64)
    for start in range(0, len(crystals), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(crystals)))
        arrays = crystals.take(rows)
        starts = np.cumsum(arrays.n_node) - arrays.n_node
        found[rows] = np.add.reduceat(arrays.node_multiplicity.astype(np.int64), starts)
    return found


def _curve(rows: Sequence[Mapping[str, Any]], column: str) -> list[dict[str, Any]]:
    measured = [row for row in rows if row.get(column) is not None]
    return [{"epoch": row["epoch"], "MAE": row[column]} for row in measured]


def _save(folder: Path, figures: Mapping[str, Any], target: str) -> None:
    """Write KIND.png, or KIND-TARGET.png if there are several targets."""
    for kind, figure in figures.items():
        file = folder / f"{kind}{f'-{target}' if target else ''}.png"
        save_figure(figure, file)
        click.echo(f"{kind}: {file}")
