"""Figs. 6 to 8: transfer from one property to another.

    python -m experiments run interproperty --scale local --data FOLDER --out FOLDER

The released code keeps mean and standard deviation of the old property (docs/differences.md, 25),
which alone may explain the paper's finding. Here each pair of properties is transferred with the
normalizer kept and refitted, at the learning rates x1, x0.1 and x0.01 with the paper's weight decay
(1e-6), and at x1 with two stronger ones. The baseline is training from scratch with the best of the
same five recipes, the same crystals and steps.

Paper (Hoffmann et al. 2023): no gain between different properties.
Expected at the local scale: with the normalizer refitted, transfer gains 8 to 16 %; kept, it gains
nothing between volume and energy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cgatjax.analysis.seeds import Comparison, SeedSpread
from experiments.grid import (
    Content,
    Experiment,
    Figure,
    Results,
    Row,
    Scale,
    Table,
    TargetSet,
    Training,
    mean_and_spread,
)
from experiments.grid.figures import CAPTION, comparison_figure

RECIPES = {
    "x1": (1.0, None),
    "x0.1": (0.1, None),
    "x0.01": (0.01, None),
    "x1, decay 1e-4": (1.0, 1e-4),
    "x1, decay 1e-2": (1.0, 1e-2),
}
"""Name -> (factor on the learning rate, weight decay; None for that of the scale)."""
NORMALIZERS = ("keep", "refit")
PAPER = (
    "The paper concludes that transfer between different properties does not help; the released "
    "code keeps the old normalizer."
)


def grid(scale: Scale) -> list[Row]:
    """Return seeds x pairs x (from scratch, normalizer x recipe)."""
    rows = []
    for seed in scale.seeds:
        for targets in scale.property_pairs:
            start = scale.pretraining(targets, seed)
            labels = {"targets": targets.name, "seed": seed}
            scratch = scale.transfer(targets, "none", seed, targets.size, start)
            candidates = tuple(_with_recipe(scratch, recipe) for recipe in RECIPES)
            rows.append(Row(labels={**labels, "way": "none"}, candidates=candidates))
            full = scale.transfer(targets, "full", seed, targets.size, start)
            for normalizer in NORMALIZERS:
                for recipe in RECIPES:
                    training = _with_recipe(full.replace(normalizer=normalizer), recipe)
                    row_labels = {**labels, "way": f"{normalizer} {recipe}"}
                    rows.append(Row(labels=row_labels, candidates=(training,)))
    return rows


def _with_recipe(training: Training, name: str) -> Training:
    factor, decay = RECIPES[name]
    train = training.train.replace(learning_rate=factor * training.train.learning_rate)
    return training.replace(train=train if decay is None else train.replace(weight_decay=decay))


def show(results: Results) -> Content:
    """Show the errors of all recipes, and the gain of each pair and normalizer."""
    pairs = results.scale.property_pairs
    recipes = [f"{normalizer} {recipe}" for normalizer in NORMALIZERS for recipe in RECIPES]
    lines = []
    for way in ("none", *recipes):
        errors = (mean_and_spread(results.errors(t, targets=t.name, way=way)) for t in pairs)
        lines.append(("from scratch, best recipe" if way == "none" else way, *errors))
    table = Table(
        "Test MAE, mean and standard deviation over seeds",
        ("normalizer, rate", *(f"{t.name} ({t.unit})" for t in pairs)),
        lines,
    )
    spread, transfers = comparisons(pairs, results.rows)
    if not transfers:
        return Content(paragraphs=(PAPER,), tables=(table,))
    drawing = comparison_figure(
        {"": {f"{t.targets.name}, {t.normalizer}": t.change for t in transfers}}
    )
    return Content(
        paragraphs=(spread.text(), *(transfer.text() for transfer in transfers), PAPER),
        tables=(table,),
        figures=(Figure("changes", f"Change from training from scratch. {CAPTION}", drawing),),
    )


@dataclass(frozen=True, kw_only=True)
class PairTransfer:
    """Transfer between two properties against training from scratch, at the best recipes.

    Attributes:
      targets: pair of properties.
      normalizer: normalizer of the transfer.
      ours, base: test errors of the seeds with transfer and from scratch, in the unit shown.
      change: relative change from `base` to `ours`.
    """

    targets: TargetSet
    normalizer: str
    ours: list[float]
    base: list[float]
    change: Comparison

    def text(self) -> str:
        """Describe the result in one sentence."""
        ours, base = (sum(errors) / len(errors) for errors in (self.ours, self.base))
        return (
            f"{self.targets.name}, normalizer {self.normalizer}: {ours:.3g} against {base:.3g} "
            f"{self.targets.unit} from scratch ({self.change.text()})."
        )


def comparisons(
    pairs: Sequence[TargetSet], rows: Sequence[dict[str, Any]]
) -> tuple[SeedSpread, list[PairTransfer]]:
    """Compare every finished transfer with training from scratch; return the seed spread, too."""
    errors = {
        (targets, way): [
            targets.factor * row["test_mae"]
            for row in _best_rows([r for r in rows if r["targets"] == targets.name], way)
        ]
        for targets in pairs
        for way in ("none", *NORMALIZERS)
    }
    # Pairs with the same second property share their trainings from scratch.
    spread = SeedSpread.of({tuple(values) for values in errors.values()})
    transfers = []
    for (targets, way), ours in errors.items():
        base = errors[targets, "none"]
        if way != "none" and ours and base:
            change = spread.compare(ours, base)
            transfers.append(
                PairTransfer(targets=targets, normalizer=way, ours=ours, base=base, change=change)
            )
    return spread, transfers


def _best_rows(rows: Sequence[dict[str, Any]], way: str) -> list[dict[str, Any]]:
    """Select the row of lowest validation error for each seed whose recipes are all finished.

    Training from scratch has one row per seed, whose recipe is already the best one.
    """
    found = []
    for seed in dict.fromkeys(row["seed"] for row in rows):
        recipes = [row for row in rows if row["seed"] == seed and row["way"].split()[0] == way]
        if len(recipes) == (1 if way == "none" else len(RECIPES)):
            found.append(min(recipes, key=lambda row: row["valid_mae"]))
    return found


INTERPROPERTY = Experiment(
    name="interproperty", title="Figs. 6 to 8: transfer between properties", grid=grid, show=show
)
