"""Figs. 2 and 9: what is in the data sets: distributions, elements, overlaps, duplicates.

    python -m experiments run data_report --scale local --data FOLDER --out FOLDER

Trains nothing. Source: Hoffmann et al. 2023, Figs. 2 and 9.
"""

import csv
import re
from collections import Counter
from typing import Any

from cgatjax.data.store import SKIPPED
from cgatjax.plotting.histograms import Summary, histograms
from cgatjax.plotting.periodic_table import periodic_table
from experiments.bench import Bench
from experiments.experiment import Experiment, Rows
from experiments.scale import Scale
from experiments.sections import Section, Table
from experiments.sources import Source
from experiments.specification import Cell

NOBLE_GASES = frozenset(("He", "Ne", "Ar", "Kr", "Xe", "Rn"))


def cells(scale: Scale) -> list[Cell]:
    """Nothing is trained."""
    return []


def show(scale: Scale, bench: Bench, rows: Rows) -> tuple[Section, list[Any]]:
    """Tables of counts and values; a histogram per property, a periodic table per data set."""
    figures, drawn = [], []
    for number, columns in enumerate(properties(scale).values()):
        values = {
            f"{scale.sources[name].label} ({name})": bench.sources.store(name).target(target)
            for name, target in columns.items()
        }
        name, target = next(iter(columns.items()))
        unit, label = bench.sources.store(name).unit(target), target.split("@")[0]
        drawn.append(histograms(values, name=label, unit=unit))
        figures.append((f"values_{number}", f"{label}: counts, and cumulative shares."))
    for name, source in reported(scale).items():
        counts = element_counts(bench.sources.store(name).formulas)
        title = f"{name} ({source.label})"
        drawn.append(
            periodic_table(counts, label="crystals", log=True, title=title, number_format="{:,.0f}")
        )
        figures.append((f"elements_{name}", f"{title}: crystals that contain an element."))
    section = DATA_REPORT.section(
        scale,
        tables=(_counts(scale, bench), _values(scale, bench), _overlaps(scale, bench)),
        figures=tuple(figures),
    )
    return section, drawn


def reported(scale: Scale) -> dict[str, Source]:
    """The data sets of the target sets; the same crystals as other graphs are none of their own."""
    names = dict.fromkeys(n for t in scale.target_sets for n in (t.low, t.accurate))
    return {name: scale.sources[name] for name in names}


def element_counts(formulas: list[str]) -> dict[str, float]:
    """Element -> number of formulas that contain it."""
    found = Counter(e for formula in formulas for e in elements_of(formula))
    return {element: float(count) for element, count in sorted(found.items())}


def elements_of(formula: str) -> set[str]:
    """Distinct symbols of a reduced formula such as "O3SrTi"."""
    return set(re.findall(r"[A-Z][a-z]?", formula))


def properties(scale: Scale) -> dict[str, dict[str, str]]:
    """Property -> {data set: target}, over all target sets."""
    found: dict[str, dict[str, str]] = {}
    for targets in scale.target_sets:
        columns = found.setdefault(targets.target.split("@")[0], {})
        columns[targets.low] = targets.low_target
        columns[targets.accurate] = targets.target
    return found


def _counts(scale: Scale, bench: Bench) -> Table:
    """What was read, left out, and comes several times."""
    lines = []
    for name, source in reported(scale).items():
        store = bench.sources.store(name)
        formulas = store.formulas
        with open(store.path / SKIPPED, newline="") as file:
            reasons = [row["reason"] for row in csv.DictReader(file)]
        single = sum("distinct elements" in reason for reason in reasons)
        noble = sum(bool(elements_of(f) & NOBLE_GASES) for f in formulas)
        counts = (
            len(store),
            single,
            len(reasons) - single,
            noble,
            len(formulas) - len(set(formulas)),
        )
        lines.append((name, source.label, *(f"{count:,}" for count in counts)))
    header = ("data set", "functional", "crystals", "single elements (left out)",
              "left out besides", "with noble gases", "further polymorphs")  # fmt: skip
    return Table(caption="Crystals", header=header, rows=tuple(lines))


def _values(scale: Scale, bench: Bench) -> Table:
    """Mean, median and spread of every property in every data set."""
    lines = []
    for property_name, columns in properties(scale).items():
        for name, target in columns.items():
            store = bench.sources.store(name)
            s = Summary.of(store.target(target))
            shown = [f"{v:.3g}" for v in (s.median, s.mean, s.std, s.low, s.high)]
            unit = store.unit(target)
            lines.append((f"{property_name} ({unit})", name, f"{s.n:,}", f"{s.missing:,}", *shown))
    header = ("property", "data set", "known", "unknown", "median", "mean", "std", "lowest",
              "highest")  # fmt: skip
    return Table(caption="Values", header=header, rows=tuple(lines))


def _overlaps(scale: Scale, bench: Bench) -> Table:
    """Shared formulas, and what pre-training loses by not seeing the judged ones."""
    lines = []
    pairs = dict.fromkeys((t.low, t.accurate) for t in scale.target_sets)
    for low, accurate in pairs:
        all_low = bench.sources.store(low).formulas
        shared = set(all_low) & set(bench.sources.store(accurate).formulas)
        judged = bench.sources.judged_formulas(accurate)
        lost = sum(formula in judged for formula in all_low)
        lines.append((f"{low}, {accurate}", f"{len(shared):,}", f"{lost:,}"))
    header = ("data sets", "shared formulas", "cheap crystals with judged formulas (left out)")
    return Table(caption="Overlaps", header=header, rows=tuple(lines))


DATA_REPORT = Experiment(
    name="data_report", title="Figs. 2 and 9: the data sets", cells=cells, show=show
)
