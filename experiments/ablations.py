"""Ablations: one option of the standard set-up is changed at a time.

    python -m experiments run ablations --scale local --data FOLDER --out FOLDER

Every variant is pre-trained and transferred (full) with the crystals, split, steps and seeds of the
standard, at the first of the scale's learning rates. Options of graphs and network apply to both
trainings; variants of the transfer ("encoder ...", "delta learning") share the standard
pre-training.

Paper: nothing is published on these options one by one.
Expected at the local scale: no option of graphs, network or loss makes a difference beyond the
spread of seeds (about 8 %); delta learning lowers the error by 70 %.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cgatjax.analysis.seeds import Comparison, SeedSpread
from experiments.grid import (
    Content,
    Experiment,
    Figure,
    Results,
    Row,
    Scale,
    Table,
    mean_and_spread,
)
from experiments.grid.figures import CAPTION, comparison_figure

STANDARD = "standard"
HEADERS = {"pre-training": "pre-training", "full": "full transfer"}
"""Training of a variant, as in the column "way" -> header of the table."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """Changed option.

    Attributes:
      graph: suffix of the data sets' names, of `GRAPH_VARIANTS`; "" for the recommended graphs.
      model: changed options of the network.
      train: changed options of both trainings.
      transfer: changed attributes of the transfer's `Training`.
      is_delta: True for delta learning: the low-fidelity value of each crystal is the baseline of
        the transfer's target, in prediction, too.
      from_scratch: True to train on the high-fidelity data only.
    """

    graph: str = ""
    model: Mapping[str, Any] = field(default_factory=dict)
    train: Mapping[str, Any] = field(default_factory=dict)
    transfer: Mapping[str, Any] = field(default_factory=dict)
    is_delta: bool = False
    from_scratch: bool = False

    @property
    def has_pretraining(self) -> bool:
        """True if the pre-training differs from the standard one."""
        return not self.from_scratch and bool(self.graph or self.model or self.train)


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
    "delta learning": Variant(is_delta=True),
    "delta learning, from scratch": Variant(is_delta=True, from_scratch=True),
}
"""Name -> changed option; shell tolerances are relative, the standard is 3e-4."""


def grid(scale: Scale) -> list[Row]:
    """Return seeds x variants of the scale, each with pre-training and transfer.

    The standard has all seeds of the scale: its trainings are those of Table 1, and its spread
    sets the size of a significant difference.
    """
    return [
        row
        for seed in scale.seeds
        for name in scale.ablations
        if name == STANDARD or seed in scale.ablation_seeds
        for row in _rows(scale, name, seed)
    ]


def _rows(scale: Scale, name: str, seed: int) -> list[Row]:
    variant = VARIANTS[name]
    changed = dataclasses.replace(
        scale,
        model=scale.model.replace(**variant.model),
        pretrain_options=scale.pretrain_options.replace(**variant.train),
        transfer_options=scale.transfer_options.replace(
            **variant.train, learning_rate=scale.rates[0]
        ),
    )
    targets = scale.target_sets[0].with_graphs(variant.graph)
    start = changed.pretraining(targets, seed)
    mode = "none" if variant.from_scratch else "full"
    transfer = changed.transfer(targets, mode, seed, targets.size, start)
    transfer = transfer.replace(**variant.transfer)
    if variant.is_delta:
        transfer = transfer.replace(train=transfer.train.replace(baseline=targets.low_value))
    trainings = {"full": transfer}
    if not variant.from_scratch:
        trainings = {"pre-training": start, **trainings}
    return [
        Row(labels={"variant": name, "way": way, "seed": seed}, candidates=(training,))
        for way, training in trainings.items()
    ]


def show(results: Results) -> Content:
    """Show the errors of every variant, with the change from the standard."""
    scale, targets = results.scale, results.scale.target_sets[0]
    has_delta = any(VARIANTS[name].is_delta for name in scale.ablations)
    columns, panels, words = [], {}, []
    for way, header in HEADERS.items():
        errors = {
            name: results.errors(targets, variant=name, way=way)
            for name in scale.ablations
            if _has_training(name, way)
        }
        spread = SeedSpread.of(errors.values())
        changes = {
            name: spread.compare(values, errors[STANDARD])
            for name, values in errors.items()
            if values and errors[STANDARD] and name != STANDARD
        }
        columns.append([_cell(name, errors, changes) for name in scale.ablations])
        panels[header] = {n: c for n, c in changes.items() if not VARIANTS[n].is_delta}
        words.append(f"{header}: {spread.text()}")
    if has_delta:
        words.append(_low_fidelity_error(results))
    caption = f"Change from the standard, without delta learning. {CAPTION}"
    return Content(
        paragraphs=words,
        tables=(
            Table(
                f"{targets.name}: test MAE ({targets.unit}), mean and spread over seeds",
                ("changed option", *HEADERS.values()),
                list(zip(scale.ablations, *columns, strict=True)),
            ),
        ),
        figures=(Figure("changes", caption, comparison_figure(panels)),)
        if all(panels.values())
        else (),
    )


def _has_training(name: str, way: str) -> bool:
    """Check whether a variant has a training of its own, and not that of the standard."""
    return way == "full" or name == STANDARD or VARIANTS[name].has_pretraining


def _cell(name: str, errors: Mapping[str, list[float]], changes: Mapping[str, Comparison]) -> str:
    if name not in errors:
        return "-"
    text = mean_and_spread(errors[name])
    return f"{text} ({changes[name].text()})" if name in changes else text


def _low_fidelity_error(results: Results) -> str:
    """Error of the low-fidelity value itself, the baseline of delta learning."""
    scale, targets = results.scale, results.scale.target_sets[0]
    training = scale.transfer(targets, "none", 0, targets.size, scale.pretraining(targets, 0))
    test = results.pool.datasets.subsets(training)[2]
    differences = test.target(targets.high_target) - test.target(targets.low_value)
    error = targets.factor * float(np.nanmean(np.abs(differences)))
    return (
        f"The low-fidelity value itself has an MAE of {error:.3g} {targets.unit} on the same test "
        "crystals."
    )


ABLATIONS = Experiment(
    name="ablations", title="Ablations: one changed option at a time", grid=grid, show=show
)
