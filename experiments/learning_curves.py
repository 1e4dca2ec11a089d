"""Figs. 1, 6 and 7: validation error against the epoch, for every transfer mode and property.

    python -m experiments run learning_curves --scale local --data FOLDER --out FOLDER

Shows the histories of the trainings of `table1` for the first seed, and trains those that are
missing.

Paper (Hoffmann et al. 2023, Fig. 1): full transfer ends lowest.
Expected at the local scale: the first validation of full transfer is lower than the last one of
training from scratch.
"""

import csv

from cgatjax.plotting.learning_plots import learning_curves
from cgatjax.runs.run_folder import HISTORY
from experiments import table1
from experiments.grid import Content, Experiment, Figure, Results, Row, Scale, Table, Training

MODES = ("none", "head", "full")


def grid(scale: Scale) -> list[Row]:
    """Return the rows of Table 1 with the first seed, without pre-training and joint training."""
    return [
        row
        for row in table1.grid(scale)
        if row.labels["way"] in MODES and row.labels["seed"] == scale.seeds[0]
    ]


def show(results: Results) -> Content:
    """Draw one figure per target set, and list the epochs with the lowest errors."""
    figures, lines = [], []
    for number, targets in enumerate(results.scale.target_sets):
        curves = {
            row.labels["way"]: _curve(results, best, targets.factor)
            for row in grid(results.scale)
            if row.labels["targets"] == targets.name
            and (best := results.pool.best(row)) is not None
        }
        for mode, points in curves.items():
            lowest = min(points, key=lambda point: point["valid_mae"])
            errors = (f"{point['valid_mae']:.3g}" for point in (points[0], lowest))
            epochs = (f"{point['epoch']:.0f}" for point in (lowest, points[-1]))
            lines.append((f"{targets.name} ({targets.unit})", mode, *errors, *epochs))
        if curves:
            caption = f"{targets.name}: validation error, first seed."
            drawing = learning_curves(curves, unit=targets.unit, title=targets.name)
            figures.append(Figure(f"curves_{number}", caption, drawing))
    header = ("property", "mode", "first validation MAE", "best", "at epoch", "of")
    return Content(tables=(Table("Validation errors", header, lines),), figures=figures)


def _curve(results: Results, training: Training, factor: float) -> list[dict[str, float]]:
    """Validations of a finished training, with errors in the unit shown."""
    column = f"valid_mae:{training.target}"
    with open(results.pool.folder(training) / HISTORY, newline="") as file:
        points = [point for point in csv.DictReader(file) if point.get(column)]
    return [{"epoch": int(p["epoch"]), "valid_mae": factor * float(p[column])} for p in points]


LEARNING_CURVES = Experiment(
    name="learning_curves",
    title="Figs. 1, 6 and 7: validation error in training",
    grid=grid,
    show=show,
)
