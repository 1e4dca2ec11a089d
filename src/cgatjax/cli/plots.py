"""Pictures that commands draw with --plots: into a folder, one file for each kind and target."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from cgatjax.data.datasets import Dataset
from cgatjax.runtime.atomic_files import writing

if TYPE_CHECKING:
    from cgatjax.inference.prediction import Predictions
    from cgatjax.models.model import Model

BLOCK = 16384
"""Crystals whose sites are counted together."""


def draw_evaluation(
    folder: Path, found: "Predictions", values: Mapping[str, np.ndarray], crystals: Dataset
) -> None:
    """Parity, residuals by element and by size, and calibration where there are deviations.

    Args:
      folder: where to, created if need be.
      found: predictions of the crystals.
      values: target -> (crystals,) known values.
      crystals: in the order of the predictions.
    """
    from cgatjax.plotting.calibration_plots import calibration
    from cgatjax.plotting.learning_plots import parity
    from cgatjax.plotting.residual_plots import residuals_by_element, residuals_by_sites

    elements = [re.findall(r"[A-Z][a-z]?", formula) for formula in crystals.formulas]
    sites = n_sites(crystals)
    for target, target_values in values.items():
        mean, std, unit = found.means[target], found.stds[target], found.units[target]
        residuals = mean - target_values
        if not np.isfinite(residuals).any():
            click.echo(f"no pictures of {target!r}: no crystal has a value of it")
            continue
        figures = {
            "parity": parity(target_values, mean, unit, target),
            "elements": residuals_by_element(residuals, elements, unit, target),
            "sites": residuals_by_sites(residuals, sites, unit, target),
        }
        if np.isfinite(std[np.isfinite(residuals)]).any():
            trust = {target: (target_values, mean, std)}
            figures["calibration"] = calibration(trust, unit, target)
        _save(folder, figures, target if len(values) > 1 else "")


def draw_learning(
    folder: Path, model: "Model", members: Sequence[Sequence[Mapping[str, Any]]]
) -> None:
    """Errors in training: of one run the training and validation part, of an ensemble each member.

    Args:
      folder: where to.
      model: whose targets and units they are.
      members: rows of the history of each member; those without any error are left out.
    """
    from cgatjax.plotting.learning_plots import learning_curves

    for target in model.targets:
        parts = {"training": "train", "validation": "valid"} if len(members) == 1 else {"": "valid"}
        curves = {
            name or f"member {number}": _curve(rows, f"{part}_mae:{target}")
            for number, rows in enumerate(members)
            for name, part in parts.items()
        }
        drawn = {name: rows for name, rows in curves.items() if rows}
        if drawn:
            figure = learning_curves(drawn, "MAE", model.units.get(target, ""), target)
            _save(folder, {"learning": figure}, target if len(model.targets) > 1 else "")


def n_sites(crystals: Dataset) -> np.ndarray:
    """(crystals,) int64, sites in the cell of each."""
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
    """Writes KIND.png, or KIND-TARGET.png where there are several targets."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for kind, figure in figures.items():
            file = folder / f"{kind}{f'-{target}' if target else ''}.png"
            figure.savefig(file)
            click.echo(f"{kind}: {file}")
