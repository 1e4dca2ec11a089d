"""Figs. 1, 6 and 7: validation error against the epoch, for every way to train and every property.

    python -m experiments run learning_curves --scale local --data FOLDER --out FOLDER

Reads the histories of the trainings of `table1` (first seed) and performs what is missing of them.
Expected (Hoffmann et al. 2023, Fig. 1): full transfer ends lowest.
"""

import csv
from typing import Any

from cgatjax.plotting.learning_plots import learning_curves
from cgatjax.runs.run_folder import HISTORY
from experiments.bench import Bench
from experiments.experiment import Experiment, Rows
from experiments.scale import Scale, TargetSet
from experiments.sections import Section, Table
from experiments.specification import Cell, Training
from experiments.table1 import cells as table1_cells

WAYS = ("none", "head", "full")


def cells(scale: Scale) -> list[Cell]:
    """The rows of Table 1 with the first seed, without pre-training and joint."""
    return [
        cell
        for cell in table1_cells(scale)
        if cell.labels["way"] in WAYS and cell.labels["seed"] == scale.seeds[0]
    ]


def show(scale: Scale, bench: Bench, rows: Rows) -> tuple[Section, list[Any]]:
    """One figure per target set, and the epochs at which the best errors were reached."""
    figures, drawn, lines = [], [], []
    for number, targets in enumerate(scale.target_sets):
        histories = {
            cell.labels["way"]: history(bench, training, targets)
            for cell in cells(scale)
            if cell.labels["targets"] == targets.name and (training := bench.best(cell)) is not None
        }
        for way, points in histories.items():
            best = min(points, key=lambda row: row["valid_mae"])
            first = points[0]
            shown = (f"{first['valid_mae']:.3g}", f"{best['valid_mae']:.3g}", str(best["epoch"]))
            lines.append(
                (f"{targets.name} ({targets.unit})", way, *shown, str(points[-1]["epoch"]))
            )
        if histories:
            drawn.append(learning_curves(histories, unit=targets.unit, title=targets.name))
            figures.append((f"curves_{number}", f"{targets.name}: validation error, first seed."))
    header = ("property", "way", "first validation MAE", "best", "at epoch", "of")
    table = Table(caption="Validation errors", header=header, rows=tuple(lines))
    return LEARNING_CURVES.section(scale, tables=(table,), figures=tuple(figures)), drawn


def history(bench: Bench, training: Training, targets: TargetSet) -> list[dict[str, Any]]:
    """Epochs in which a finished training was validated, in the unit that is shown."""
    column = f"valid_mae:{training.target}"
    with open(bench.folder(training) / HISTORY, newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get(column)]
    return [
        {"epoch": int(row["epoch"]), "valid_mae": targets.factor * float(row[column])}
        for row in rows
    ]


LEARNING_CURVES = Experiment(
    name="learning_curves",
    title="Figs. 1, 6 and 7: validation error in training",
    cells=cells,
    show=show,
)
