"""Recipe from scratch: one option of network or training is changed at a time.

    python -m experiments run recipe --scale local --data FOLDER --out FOLDER

Paper: nothing is published on these options one by one.
Expected at the local scale (docs/results/recipe.md): matscholar's vectors as published are a tenth
worse; half the width, three times the rate and squared loss are worse; the rest makes no difference
beyond the spread of seeds.

Every variant is trained on the high-fidelity crystals of the first target set alone, with their
split, subsets and seeds, at the first of the scale's learning rates. The errors are those of
validation, which the options are chosen by.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cgatjax.analysis.seeds import SeedSpread
from experiments.grid import Content, Experiment, Results, Row, Scale, Table, mean_and_spread

STANDARD = "standard"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Changed options.

    Attributes:
      model: of the network.
      train: of the training.
      longer: factor on the number of steps.
    """

    model: Mapping[str, Any] = field(default_factory=dict)
    train: Mapping[str, Any] = field(default_factory=dict)
    longer: int = 1


RECIPES: dict[str, Recipe] = {
    STANDARD: Recipe(),
    "matscholar's vectors as published": Recipe(model={"elements": "matscholar"}),
    "periodic vectors alone": Recipe(model={"elements": "periodic"}),
    "head without ReZero": Recipe(model={"rezero": False}),
    "head of one layer": Recipe(model={"head_widths": (128,)}),
    "messages to the center": Recipe(model={"message_direction": "neighbor_to_center"}),
    "one attention head": Recipe(model={"heads": 1}),
    "heads averaged in pooling": Recipe(model={"pooling": "mean"}),
    "two steps": Recipe(model={"steps": 2}),
    "half the width": Recipe(model={"node_dim": 16, "edge_dim": 16}),
    "twice the width": Recipe(model={"node_dim": 64, "edge_dim": 64}),
    "squared loss": Recipe(train={"loss": "l2"}),
    "weight decay 0.1": Recipe(train={"weight_decay": 0.1}),
    "clipping at 1": Recipe(train={"clip_norm": 1.0}),
    "cosine": Recipe(train={"schedule": "cosine"}),
    "batches of 256": Recipe(train={"batch_size": 256}),
    "a third of the rate": Recipe(train={"learning_rate": 3e-4}),
    "three times the rate": Recipe(train={"learning_rate": 3e-3}),
    "twice the steps": Recipe(longer=2),
}
"""Name -> changed options."""


def grid(scale: Scale) -> list[Row]:
    """Return seeds x recipes of the scale."""
    return [_row(scale, name, seed) for seed in scale.seeds for name in scale.recipes]


def _row(scale: Scale, name: str, seed: int) -> Row:
    recipe, targets = RECIPES[name], scale.target_sets[0]
    options = scale.transfer_options.replace(learning_rate=scale.rates[0])
    changed = dataclasses.replace(
        scale,
        model=scale.model.replace(**{"elements": "both", **recipe.model}),
        transfer_options=options.replace(**recipe.train),
        transfer_steps=recipe.longer * scale.transfer_steps,
    )
    start = scale.pretraining(targets, seed)
    training = changed.transfer(targets, "none", seed, targets.size, start)
    return Row(labels={"recipe": name, "seed": seed}, candidates=(training,))


def show(results: Results) -> Content:
    """Show the validation error of every recipe, with the change from the standard."""
    scale, targets = results.scale, results.scale.target_sets[0]
    errors = {
        name: [targets.factor * r["valid_mae"] for r in results.rows if r["recipe"] == name]
        for name in scale.recipes
    }
    finished = {name: values for name, values in errors.items() if values}
    if STANDARD not in finished:
        return Content(paragraphs=("Nothing is finished yet.",), tables=())
    spread = SeedSpread.of(finished.values())
    rows = [
        (
            name,
            mean_and_spread(values),
            "-" if name == STANDARD else spread.compare(values, finished[STANDARD]).text(),
        )
        for name, values in finished.items()
    ]
    title = f"{targets.name}: validation MAE ({targets.unit}), mean and spread over seeds"
    header = ("changed option", "validation MAE", "change")
    return Content(paragraphs=(spread.text(),), tables=(Table(title, header, rows),))


RECIPE = Experiment(
    name="recipe", title="Recipe from scratch: one changed option at a time", grid=grid, show=show
)
