"""Figs. 6 to 8 and the open question: does transfer from one property to another help?

    python -m experiments run interproperty --scale local --data FOLDER --out FOLDER

The released code keeps mean and standard deviation of the old property (docs/differences.md, 25),
so that the paper's finding that such transfer fails may rest on that alone. Here each pair of
properties is transferred with the normalizer kept and refitted, at the learning rates x1, x0.1 and
x0.01 with the paper's weight decay (1e-6), and at x1 with two stronger ones, against training from
scratch at the best of the same five recipes, all with the same crystals and steps.

Expected (Hoffmann et al. 2023): no gain between different properties. With the normalizer refitted:
unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cgatjax.analysis.seeds import Comparison, SeedSpread
from cgatjax.plotting.comparison_plots import CAPTION, comparison_figure
from experiments.bench import Bench
from experiments.experiment import Experiment, Rows
from experiments.scale import Scale, TargetSet
from experiments.sections import Section, Table, mean_and_spread
from experiments.specification import Cell, Training

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


def cells(scale: Scale) -> list[Cell]:
    """Seeds x pairs x (from scratch, normalizer x recipe)."""
    found = []
    for seed in scale.seeds:
        for targets in scale.crossings:
            start = scale.pretraining(targets, seed)
            labels = {"targets": targets.name, "seed": seed}
            scratch = scale.transferred(targets, "none", seed, targets.size, start)
            every = tuple(with_recipe(scratch, recipe) for recipe in RECIPES)
            found.append(Cell(labels={**labels, "way": "none"}, candidates=every))
            full = scale.transferred(targets, "full", seed, targets.size, start)
            found += [
                Cell(
                    labels={**labels, "way": f"{normalizer} {recipe}"},
                    candidates=(with_recipe(full.replace(normalizer=normalizer), recipe),),
                )
                for normalizer in NORMALIZERS
                for recipe in RECIPES
            ]
    return found


def with_recipe(training: Training, name: str) -> Training:
    """The training with one of `RECIPES`."""
    factor, decay = RECIPES[name]
    train = training.train.replace(learning_rate=factor * training.train.learning_rate)
    return training.replace(train=train if decay is None else train.replace(weight_decay=decay))


def show(scale: Scale, bench: Bench, rows: Rows) -> tuple[Section, list[Any]]:
    """Errors of all ways, and for each pair and normalizer whether it helped."""
    recipes = [f"{normalizer} {recipe}" for normalizer in NORMALIZERS for recipe in RECIPES]
    lines = []
    for way in ("none", *recipes):
        shown = []
        for targets in scale.crossings:
            of = [row for row in _of(targets, rows) if row["way"] == way]
            errors = [targets.factor * row["test_mae"] for row in of]
            shown.append(mean_and_spread(errors) if errors else "…")
        lines.append(("from scratch, best recipe" if way == "none" else way, *shown))
    table = Table(
        caption="Test MAE, mean and standard deviation over seeds",
        header=("normalizer, rate", *(f"{t.name} ({t.unit})" for t in scale.crossings)),
        rows=tuple(lines),
    )
    spread, found = comparisons(scale.crossings, rows)
    words = [spread.text(), *(one.text() for one in found), PAPER] if found else [PAPER]
    figures = (("changes", f"Against training from scratch. {CAPTION}"),) if found else ()
    section = INTERPROPERTY.section(
        scale, paragraphs=tuple(words), tables=(table,), figures=figures
    )
    drawn = {f"{c.targets.name}, {c.normalizer}": c.change for c in found}
    return section, [comparison_figure({"": drawn})] if found else []


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """One pair of properties, carried over in one way and from scratch, at the best recipes.

    Attributes:
      targets: the pair.
      normalizer: of the transfer.
      ours, base: test errors of the seeds with transfer and from scratch, as they are shown.
      change: from one to the other.
    """

    targets: TargetSet
    normalizer: str
    ours: list[float]
    base: list[float]
    change: Comparison

    def text(self) -> str:
        """The answer for this pair in one sentence."""
        ours, base = (sum(errors) / len(errors) for errors in (self.ours, self.base))
        return (
            f"{self.targets.name}, normalizer {self.normalizer}: {ours:.3g} against {base:.3g} "
            f"{self.targets.unit} from scratch ({self.change.text()})."
        )


def comparisons(crossings: Sequence[TargetSet], rows: Rows) -> tuple[SeedSpread, list[Crossing]]:
    """Every transfer that is finished against training from scratch, and the spread of seeds."""
    errors = {}
    for targets in crossings:
        of = _of(targets, rows)
        for way in ("none", *NORMALIZERS):
            errors[targets, way] = [targets.factor * r["test_mae"] for r in chosen(of, way)]
    # Pairs with the same second property share their trainings from scratch.
    spread = SeedSpread.of({tuple(values) for values in errors.values()})
    found = []
    for (targets, way), ours in errors.items():
        base = errors[targets, "none"]
        if way != "none" and ours and base:
            change = spread.compare(ours, base)
            found.append(
                Crossing(targets=targets, normalizer=way, ours=ours, base=base, change=change)
            )
    return spread, found


def chosen(rows: Rows, way: str) -> Rows:
    """For each seed whose recipes are all done, the row that validation chooses.

    Training from scratch has one row a seed, chosen before.
    """
    found = []
    for seed in dict.fromkeys(row["seed"] for row in rows):
        of = [row for row in rows if row["seed"] == seed and row["way"].split()[0] == way]
        if len(of) == (1 if way == "none" else len(RECIPES)):
            found.append(min(of, key=lambda row: row["valid_mae"]))
    return found


def _of(targets: TargetSet, rows: Rows) -> Rows:
    return [row for row in rows if row["targets"] == targets.name]


INTERPROPERTY = Experiment(
    name="interproperty",
    title="Figs. 6 to 8: transfer between properties",
    cells=cells,
    show=show,
)
