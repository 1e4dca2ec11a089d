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

from experiments.bench import Bench
from experiments.experiment import Experiment, Rows
from experiments.published import change
from experiments.scale import Scale
from experiments.sections import Section, Table, mean_and_spread
from experiments.specification import Cell

STANDARD = "standard"


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


VARIANTS: dict[str, Variant] = {
    STANDARD: Variant(),
    "edges by attention (paper)": Variant(model={"edge_update": "attention"}),
    "no edge updates": Variant(model={"edge_update": "none"}),
    "messages to the centre (paper)": Variant(model={"message_direction": "neighbor_to_center"}),
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
    """Variants of the scale x seeds: the pre-training and the transfer."""
    found = []
    for name in scale.ablations:
        variant = VARIANTS[name]
        changed = dataclasses.replace(
            scale,
            model=scale.model.replace(**variant.model),
            pretrain=scale.pretrain.replace(**variant.train),
            transfer=scale.transfer.replace(**variant.train, learning_rate=scale.rates[0]),
        )
        targets = scale.target_sets[0].with_graphs(variant.graph)
        for seed in scale.ablation_seeds:
            start = changed.pretraining(targets, seed)
            learned = changed.transferred(targets, variant.way, seed, targets.size, start)
            learned = learned.replace(**variant.transfer)
            if variant.difference:
                learned = learned.replace(target=targets.difference)
            trainings = {"pre-training": start, "full": learned}
            if variant.way == "none":
                del trainings["pre-training"]
            for way, training in trainings.items():
                labels = {"variant": name, "way": way, "seed": seed}
                found.append(Cell(labels=labels, candidates=(training,)))
    return found


def show(scale: Scale, bench: Bench, rows: Rows) -> tuple[Section, list[Any]]:
    """Errors of every variant, with the change against the standard set-up."""
    targets = scale.target_sets[0]
    errors: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        place = (row["variant"], row["way"])
        errors.setdefault(place, []).append(targets.factor * row["test_mae"])
    lines = []
    for name in scale.ablations:
        shown = []
        for way in ("pre-training", "full"):
            values, base = errors.get((name, way)), errors.get((STANDARD, way))
            text = mean_and_spread(values) if values else "…"
            if way == "pre-training" and VARIANTS[name].way == "none":
                text = "-"
            if values and base and name != STANDARD:
                text += f" ({change(sum(values) / len(values), sum(base) / len(base))})"
            shown.append(text)
        lines.append((name, *shown))
    table = Table(
        caption=f"{targets.name}: test MAE ({targets.unit}), mean and spread over seeds",
        header=("changed choice", "pre-training", "full transfer"),
        rows=tuple(lines),
    )
    return ABLATIONS.section(scale, tables=(table,)), []


ABLATIONS = Experiment(
    name="ablations", title="What single choices are worth", cells=cells, show=show
)
