"""Draw the figures of the study again from its stored results, without data or trainings.

    PYTHONPATH=src:. python docs/results/redraw.py [FOLDER]

Reads NAME/results.csv in docs/results/local and writes NAME/FIGURE.png there, or in FOLDER.
"""

import csv
import dataclasses
import sys
from pathlib import Path
from typing import Any

from experiments.ablations import ABLATIONS, VARIANTS
from experiments.budget import BUDGET
from experiments.grid import Experiment, Results
from experiments.grid.results import NUMBERS
from experiments.pretraining_size import PRETRAINING_SIZE
from experiments.scales import SCALES
from experiments.table1 import TABLE1
from experiments.training_size import TRAINING_SIZE

from cgatjax.plotting.style import save_figure

STORED = Path(__file__).resolve().parent / "local"
EXPERIMENTS = (TABLE1, TRAINING_SIZE, PRETRAINING_SIZE, BUDGET, ABLATIONS)


def rows_of(name: str) -> list[dict[str, Any]]:
    """Read the rows of an experiment, with numbers as numbers."""
    with open(STORED / name / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row |= {column: float(row[column]) for column in NUMBERS}
        sizes = {"seed", "size", "pretrain_size"} & set(row)
        row |= {column: _size(row[column]) for column in sizes}
    return rows


def _size(text: str) -> int | None:
    return int(text) if text not in ("", "None") else None


def redraw(out: Path = STORED) -> list[Path]:
    """Write the figures of all experiments; return the files."""
    return [file for experiment in EXPERIMENTS for file in _redraw(experiment, out)]


def _redraw(experiment: Experiment, out: Path) -> list[Path]:
    scale = SCALES["local"]()
    # The figure leaves delta learning out; its words would read the data.
    names = tuple(n for n in scale.ablations if not VARIANTS[n].is_delta)
    scale = dataclasses.replace(scale, ablations=names)
    results = Results(scale=scale, pool=None, rows=rows_of(experiment.name))  # type: ignore[arg-type]
    files = []
    for figure in experiment.show(results).figures:
        files.append(out / experiment.name / f"{figure.name}.png")
        save_figure(figure.drawing, files[-1])
    return files


if __name__ == "__main__":
    for path in redraw(Path(sys.argv[1]) if sys.argv[1:] else STORED):
        print(path)
