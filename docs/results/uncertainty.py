"""Measure the calibration of an ensemble and two Gaussian processes; write the stored tables.

    PYTHONPATH=src python docs/results/uncertainty.py RUN RBF STORE

RUN and RBF are the runs of docs/results/uncertainty.md: RUN with the default Gaussian process, RBF
a copy of it with the other one. Writes beside this script uncertainty.csv, the table, and
calibration.csv, values and predictions of the test set, of which redraw.py makes the figure.
"""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import cgatjax as cg
from cgatjax.inference.calibration import best_factor, calibration_report
from cgatjax.inference.loading import member_folders

FOLDER = Path(__file__).resolve().parent
Arrays = tuple[np.ndarray, np.ndarray]


def predictions(run: Path, rbf: Path, sets: list[Any]) -> Iterator[tuple[str, list[list[Arrays]]]]:
    """Yield label and, for each set and model with such standard deviations, mean and std."""

    def of(source: Path, kind: str) -> list[Arrays]:
        predictor = cg.load_predictor(source, kind)
        return [(p.mean, p.std) for p in (cg.predict(predictor, data) for data in sets)]

    members = [of(folder, "aleatoric") for folder in member_folders(run)]
    yield "aleatoric, one network (mean of the four)", [list(m) for m in zip(*members, strict=True)]
    aleatoric, total = of(run, "aleatoric"), of(run, "ensemble")
    pairs = zip(aleatoric, total, strict=True)
    spread = [(mean, np.sqrt(both**2 - std**2)) for (_, std), (mean, both) in pairs]
    process = "Gaussian process, Matern, a scale for each direction"
    other = "Gaussian process, squared exponential, one scale"
    yield "aleatoric, mean of four", [[pair] for pair in aleatoric]
    yield "ensemble, spread between the members alone", [[pair] for pair in spread]
    yield "ensemble, spread and aleatoric", [[pair] for pair in total]
    yield process, [[pair] for pair in of(run, "gp")]
    yield other, [[pair] for pair in of(rbf, "gp")]


def metrics(valid: tuple[np.ndarray, Arrays], test: tuple[np.ndarray, Arrays]) -> dict[str, float]:
    """Compute a row: before calibration, and after a factor of either kind, fitted on `valid`."""
    values, (mean, std) = test
    before = calibration_report(values, mean, std)
    row = {"MAE": before.mae, "rank": before.spearman, "NLL": before.nll, "area": before.area}
    for by in ("likelihood", "area"):
        factor = best_factor(valid[1][0] - valid[0], valid[1][1], by)
        after = calibration_report(values, mean, factor * std)
        row |= {f"factor by {by}": factor, f"NLL by {by}": after.nll, f"area by {by}": after.area}
    return row


def main(run: Path, rbf: Path, store: Path) -> None:
    """Write both files."""
    data = cg.open_store(store)
    sets = list(data.apply(cg.Split.load(run / "split.json"))[1:])
    values = [s.target("e-form") for s in sets]
    rows = []
    for label, (valid, test) in predictions(run, rbf, sets):
        found = [metrics((values[0], v), (values[1], t)) for v, t in zip(valid, test, strict=True)]
        means = {name: float(np.mean([row[name] for row in found])) for name in found[0]}
        rows.append({"standard deviation": label} | {k: f"{v:.5g}" for k, v in means.items()})
        if label == "ensemble, spread and aleatoric":
            columns = {"value": values[1], "mean": test[0][0], "std": test[0][1]}
            lines = zip(*columns.values(), strict=True)
            write(
                FOLDER / "calibration.csv",
                [*columns],
                ([f"{x:.5f}" for x in line] for line in lines),
            )
    write(FOLDER / "uncertainty.csv", [*rows[0]], ([*row.values()] for row in rows))


def write(file: Path, header: list[str], lines: Any) -> None:
    """Write a CSV file."""
    with open(file, "w", newline="") as stream:
        csv.writer(stream).writerows([header, *lines])


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
