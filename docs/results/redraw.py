"""Draw the figures of the results again from stored files, without data or trainings.

    PYTHONPATH=src:.:benchmarks python docs/results/redraw.py [FOLDER]

Writes growth.png, calibration.png and, from local/NAME/results.csv, local/NAME/FIGURE.png, beside
this script or in FOLDER.
"""

import csv
import dataclasses
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import growth
import numpy as np
from experiments.ablations import ABLATIONS, VARIANTS
from experiments.active_learning import ACTIVE_LEARNING
from experiments.budget import BUDGET
from experiments.grid import Experiment, Results
from experiments.grid.results import NUMBERS
from experiments.pretraining_size import PRETRAINING_SIZE
from experiments.scales import SCALES
from experiments.table1 import TABLE1
from experiments.training_size import TRAINING_SIZE

from cgatjax.plotting.calibration_plots import calibration
from cgatjax.plotting.style import save_figure

FOLDER = Path(__file__).resolve().parent
EXPERIMENTS = (TABLE1, TRAINING_SIZE, PRETRAINING_SIZE, BUDGET, ABLATIONS, ACTIVE_LEARNING)


def rows_of(name: str) -> list[dict[str, Any]]:
    """Read the rows of an experiment, with numbers as numbers."""
    with open(FOLDER / "local" / name / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row |= {column: float(row[column]) for column in set(NUMBERS) & set(row)}
        sizes = {"seed", "size", "pretrain_size"} & set(row)
        row |= {column: _size(row[column]) for column in sizes}
    return rows


def _size(text: str) -> int | None:
    return int(text) if text not in ("", "None") else None


def redraw(out: Path = FOLDER) -> list[Path]:
    """Write all figures; return the files."""
    growth.draw(
        json.loads((FOLDER / "speed" / "growth.json").read_text())["seconds"], out / "growth.png"
    )
    files = [out / "growth.png", _redraw_calibration(out / "calibration.png")]
    return files + [f for experiment in EXPERIMENTS for f in _redraw(experiment, out / "local")]


def _redraw_calibration(file: Path) -> Path:
    """Draw the standard deviations of the ensemble as they are, and with both factors."""
    value, mean, std = np.loadtxt(FOLDER / "calibration.csv", delimiter=",", skiprows=1).T
    with open(FOLDER / "uncertainty.csv", newline="") as stream:
        rows = {row["standard deviation"]: row for row in csv.DictReader(stream)}
    row = rows["ensemble, spread and aleatoric"]
    factors = {"as trained": 1.0}
    factors |= {f"factor by {by}": float(row[f"factor by {by}"]) for by in ("likelihood", "area")}
    sets = {name: (value, mean, factor * std) for name, factor in factors.items()}
    title = f"Formation energy, ensemble of four, {len(value)} test crystals"
    save_figure(calibration(sets, "eV/atom", title), file)
    return file


def _redraw(experiment: Experiment, out: Path) -> list[Path]:
    scale = SCALES["local"]()
    # The figure leaves delta learning out; its words would read the data.
    names = tuple(n for n in scale.ablations if not VARIANTS[n].is_delta)
    scale = dataclasses.replace(scale, ablations=names)
    pool: Any = SimpleNamespace(out=FOLDER / "local")
    results = Results(scale=scale, pool=pool, rows=rows_of(experiment.name))
    files = []
    for figure in experiment.show(results).figures:
        files.append(out / experiment.name / f"{figure.name}.png")
        save_figure(figure.drawing, files[-1])
    return files


if __name__ == "__main__":
    for path in redraw(Path(sys.argv[1]) if sys.argv[1:] else FOLDER):
        print(path)
