"""Figs. 2 and 9: the data sets: distributions, elements, overlaps, duplicates.

    python -m experiments run data_report --scale local --data FOLDER --out FOLDER

Trains nothing.

Paper (Hoffmann et al. 2023, Figs. 2 and 9): histograms of the properties and the number of crystals
with each element.
Expected at the local scale: nearly all formulas of the high-fidelity data sets are in the
low-fidelity one, so that pre-training loses up to a tenth of its crystals as held out.
"""

import csv
import re
from collections import Counter

from pandas import Series

from cgatjax.data.store import SKIPPED
from cgatjax.plotting.periodic_table import periodic_table
from experiments.grid import Content, Experiment, Figure, Results, Scale, Table
from experiments.grid.histograms import histograms

NOBLE_GASES = frozenset(("He", "Ne", "Ar", "Kr", "Xe", "Rn"))


def show(results: Results) -> Content:
    """Make tables of counts and values, histograms of properties, and periodic tables."""
    scale, datasets = results.scale, results.pool.datasets
    labels = _labels(scale)
    figures = []
    for number, columns in enumerate(_properties(scale).values()):
        values = {
            f"{labels[name]} ({name})": datasets.store(name).target(target)
            for name, target in columns.items()
        }
        name, target = next(iter(columns.items()))
        unit, label = datasets.store(name).unit(target), target.split("@")[0]
        caption = f"{label}: counts, and cumulative fractions."
        drawing = histograms(values, name=label, unit=unit)
        figures.append(Figure(f"values_{number}", caption, drawing))
    for name, functional in labels.items():
        counts = Counter(e for f in datasets.store(name).formulas for e in _elements(f))
        title = f"{name} ({functional})"
        drawing = periodic_table(
            {element: float(count) for element, count in sorted(counts.items())},
            label="crystals", log=True, title=title, number_format="{:,.0f}",
        )  # fmt: skip
        caption = f"{title}: crystals that contain an element."
        figures.append(Figure(f"elements_{name}", caption, drawing))
    tables = (_counts(results), _values(results), _overlaps(results))
    return Content(tables=tables, figures=figures)


def _labels(scale: Scale) -> dict[str, str]:
    """Data sets of the target sets (graph variants have the same crystals) -> functional."""
    names = dict.fromkeys(n for t in scale.target_sets for n in (t.low, t.high))
    return {name: scale.sources[name].label for name in names}


def _elements(formula: str) -> set[str]:
    """Distinct symbols of a reduced formula such as "O3SrTi"."""
    return set(re.findall(r"[A-Z][a-z]?", formula))


def _properties(scale: Scale) -> dict[str, dict[str, str]]:
    """Property -> {data set: target}, over all target sets."""
    found: dict[str, dict[str, str]] = {}
    for targets in scale.target_sets:
        columns = found.setdefault(targets.high_target.split("@")[0], {})
        columns[targets.low] = targets.low_target
        columns[targets.high] = targets.high_target
    return found


def _counts(results: Results) -> Table:
    lines = []
    for name, functional in _labels(results.scale).items():
        store = results.pool.datasets.store(name)
        formulas = store.formulas
        with open(store.path / SKIPPED, newline="") as file:
            reasons = [row["reason"] for row in csv.DictReader(file)]
        single = sum("distinct elements" in reason for reason in reasons)
        noble = sum(bool(_elements(f) & NOBLE_GASES) for f in formulas)
        polymorphs = len(formulas) - len(set(formulas))
        counts = (len(store), single, len(reasons) - single, noble, polymorphs)
        lines.append((name, functional, *(f"{count:,}" for count in counts)))
    header = ("data set", "functional", "crystals", "single elements (left out)",
              "left out for other reasons", "with noble gases", "further polymorphs")  # fmt: skip
    return Table("Crystals", header, lines)


def _values(results: Results) -> Table:
    lines = []
    for property_name, columns in _properties(results.scale).items():
        for name, target in columns.items():
            store = results.pool.datasets.store(name)
            values = Series(store.target(target))
            statistics = values.agg(["median", "mean", "std", "min", "max"])
            label = f"{property_name} ({store.unit(target)})"
            known = int(values.count())
            numbers = (f"{known:,}", f"{len(values) - known:,}", *map("{:.3g}".format, statistics))
            lines.append((label, name, *numbers))
    header = ("property", "data set", "known", "unknown", "median", "mean", "std", "lowest",
              "highest")  # fmt: skip
    return Table("Values", header, lines)


def _overlaps(results: Results) -> Table:
    """Table of shared formulas, and of the low-fidelity crystals lost to leak exclusion."""
    datasets, lines = results.pool.datasets, []
    for low, high in dict.fromkeys((t.low, t.high) for t in results.scale.target_sets):
        formulas = datasets.store(low).formulas
        shared = set(formulas) & set(datasets.store(high).formulas)
        held_out = datasets.held_out_formulas(high)
        lost = sum(formula in held_out for formula in formulas)
        lines.append((f"{low}, {high}", f"{len(shared):,}", f"{lost:,}"))
    header = ("data sets", "shared formulas", "low-fidelity crystals excluded (held-out formulas)")
    return Table("Overlaps", header, lines)


DATA_REPORT = Experiment(name="data_report", title="Figs. 2 and 9: the data sets", show=show)
