"""What single choices are worth: one option of the standard set-up is changed at a time.

    python -m experiments run ablations --scale local --data FOLDER --out FOLDER

Every variant is pre-trained and transferred (full) with the crystals, split, steps and seeds of the
others, at the first of the scale's learning rates. Options of graphs and of the network hold in
both trainings; those of the transfer ("encoder ...", "difference ...") share the standard
pre-training.

Expected: nothing is published on these choices one by one.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cgatjax.analysis.seeds import Comparison, SeedSpread
from cgatjax.plotting.comparison_plots import CAPTION, comparison_figure
from experiments.bench import Bench
from experiments.experiment import Experiment, Rows
from experiments.scale import Scale
from experiments.sections import Section, Table, mean_and_spread
from experiments.specification import Cell

STANDARD = "standard"
WAYS = ("pre-training", "full")
HEADERS = ("pre-training", "full transfer")
"""Trainings of a variant, in results and in words."""
LEFT_OUT = "Differences to the cheap value are left out: their changes are too large to draw."


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One changed choice.

    Attributes:
      graph: ending of the data sets' names, of `scale.GRAPHS`; "" for the recommended graphs.
      model: changed options of the network.
      train: changed options of both trainings.
      transfer: changed attributes of the transfer's `Training`.
      difference: the transfer learns what the accurate value adds to the cheap one (delta
        learning). The cheap value of a crystal is known when it is predicted, so that the errors
        are those of the accurate value.
      way: of the transfer; "none" learns from the accurate data alone.
    """

    graph: str = ""
    model: Mapping[str, Any] = field(default_factory=dict)
    train: Mapping[str, Any] = field(default_factory=dict)
    transfer: Mapping[str, Any] = field(default_factory=dict)
    difference: bool = False
    way: str = "full"

    @property
    def is_pretrained_anew(self) -> bool:
        """Whether the pre-training differs from the standard's."""
        return bool(self.way != "none" and (self.graph or self.model or self.train))


VARIANTS: dict[str, Variant] = {
    STANDARD: Variant(),
    "edges by attention (paper)": Variant(model={"edge_update": "attention"}),
    "no edge updates": Variant(model={"edge_update": "none"}),
    "messages to the center (paper)": Variant(model={"message_direction": "neighbor_to_center"}),
    "heads averaged in pooling": Variant(model={"pooling": "mean"}),
    "robust loss": Variant(train={"loss": "robust_l1"}),
    "last shell cut (released)": Variant(graph="cut"),
    "shell tolerance 1e-8": Variant(graph="1e-8"),
    "shell tolerance 1e-5": Variant(graph="1e-5"),
    "shell tolerance 1e-3": Variant(graph="1e-3"),
    "encoder at a tenth of the rate": Variant(transfer={"lr_groups": (("encoder/*", 0.1),)}),
    "encoder frozen for a third": Variant(transfer={"frozen_share": 1 / 3}),
    "difference to the cheap value": Variant(difference=True),
    "difference, from scratch": Variant(difference=True, way="none"),
}
"""Name -> what is changed; shell tolerances are relative ones, the standard is 3e-4."""


def cells(scale: Scale) -> list[Cell]:
    """Seeds x variants of the scale: the pre-training and the transfer.

    The standard has all seeds of the scale: its trainings are those of Table 1, and its spread says
    what a difference must exceed.
    """
    return [
        cell
        for seed in scale.seeds
        for name in scale.ablations
        if name == STANDARD or seed in scale.ablation_seeds
        for cell in _cells_of(scale, name, seed)
    ]


def _cells_of(scale: Scale, name: str, seed: int) -> list[Cell]:
    variant = VARIANTS[name]
    changed = dataclasses.replace(
        scale,
        model=scale.model.replace(**variant.model),
        pretrain=scale.pretrain.replace(**variant.train),
        transfer=scale.transfer.replace(**variant.train, learning_rate=scale.rates[0]),
    )
    targets = scale.target_sets[0].with_graphs(variant.graph)
    start = changed.pretraining(targets, seed)
    learned = changed.transferred(targets, variant.way, seed, targets.size, start)
    learned = learned.replace(**variant.transfer)
    if variant.difference:
        learned = learned.replace(target=targets.difference)
    trainings = [learned] if variant.way == "none" else [start, learned]
    return [
        Cell(labels={"variant": name, "way": way, "seed": seed}, candidates=(training,))
        for way, training in zip(WAYS[-len(trainings) :], trainings, strict=True)
    ]


def show(scale: Scale, bench: Bench, rows: Rows) -> tuple[Section, list[Any]]:
    """Errors of every variant, with the change against the standard set-up."""
    targets = scale.target_sets[0]
    errors: dict[str, dict[str, list[float]]] = {way: {} for way in WAYS}
    for row in rows:
        of = errors[row["way"]].setdefault(row["variant"], [])
        of.append(targets.factor * row["test_mae"])
    spreads = {
        way: SeedSpread.of(v for name, v in of.items() if _is_own(name, way))
        for way, of in errors.items()
    }
    found = {way: _comparisons(way, errors[way], spreads[way]) for way in WAYS}
    lines = [
        (name, *(_shown(name, way, errors[way], found[way]) for way in WAYS))
        for name in scale.ablations
    ]
    table = Table(
        caption=f"{targets.name}: test MAE ({targets.unit}), mean and spread over seeds",
        header=("changed choice", *HEADERS),
        rows=tuple(lines),
    )
    words = [f"{head}: {spreads[way].text()}" for way, head in zip(WAYS, HEADERS, strict=True)]
    if any(VARIANTS[name].difference for name in scale.ablations):
        words.append(_low_as_it_is(scale, bench))
    panels = {
        head: {n: c for n, c in found[way].items() if not VARIANTS[n].difference}
        for way, head in zip(WAYS, HEADERS, strict=True)
    }
    drawn = [comparison_figure(panels)] if all(panels.values()) else []
    figures = (("changes", f"Against the standard. {CAPTION} {LEFT_OUT}"),) if drawn else ()
    section = ABLATIONS.section(scale, paragraphs=tuple(words), tables=(table,), figures=figures)
    return section, drawn


def _low_as_it_is(scale: Scale, bench: Bench) -> str:
    """The error of the cheap value itself, which learning the difference has to beat."""
    targets = scale.target_sets[0]
    start = scale.pretraining(targets, 0)
    judged = scale.transferred(targets, "none", 0, targets.size, start)
    test = bench.sources.parts(judged.replace(target=targets.difference))[2]
    error = targets.factor * float(np.abs(test.target(targets.difference)).mean())
    return f"The cheap value as it is errs by {error:.3g} {targets.unit} on the same test crystals."


def _is_own(name: str, way: str) -> bool:
    """Whether a variant has this training for itself; its pre-training may be the standard's."""
    return way == "full" or name == STANDARD or VARIANTS[name].is_pretrained_anew


def _comparisons(
    way: str, errors: Mapping[str, list[float]], spread: SeedSpread
) -> dict[str, Comparison]:
    """Changed choice -> its error against the standard's, where both are known."""
    base = errors.get(STANDARD, [])
    return {
        name: spread.compare(ours, base)
        for name, ours in errors.items()
        if base and name != STANDARD and _is_own(name, way)
    }


def _shown(
    name: str, way: str, errors: Mapping[str, list[float]], found: Mapping[str, Comparison]
) -> str:
    """Error of a variant, and what that is against the standard."""
    if not _is_own(name, way):
        return "-"
    if name not in errors:
        return "…"
    text = mean_and_spread(errors[name])
    return f"{text} ({found[name].text()})" if name in found else text


ABLATIONS = Experiment(
    name="ablations", title="What single choices are worth", cells=cells, show=show
)
