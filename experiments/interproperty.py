"""Figs. 6 to 8 and the open question: does transfer from one property to another help?

    python -m experiments run interproperty --scale local --data FOLDER --out FOLDER

The released code keeps mean and standard deviation of the old property (docs/differences.md, 25),
so that the paper's finding that such transfer fails may rest on that alone. Here each pair of
properties is transferred with the normaliser kept and refitted, at the learning rates x1, x0.1 and
x0.01 with the paper's weight decay (1e-6), and at x1 with two stronger ones, against training from
scratch at the best of the same five recipes, all with the same crystals and steps.

Expected (Hoffmann et al. 2023): no gain between different properties. With the normaliser refitted:
unknown.
"""

from typing import Any

from experiments.bench import Bench
from experiments.experiment import Experiment, Rows
from experiments.published import change
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
    "code keeps the old normaliser."
)


def cells(scale: Scale) -> list[Cell]:
    """Seeds x pairs x (from scratch, normaliser x recipe)."""
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
    """Errors of all ways, and for each pair and normaliser whether it helped."""
    ways = ("none", *(f"{n} {recipe}" for n in NORMALIZERS for recipe in RECIPES))
    lines, words = [], []
    for targets in scale.crossings:
        of = [row for row in rows if row["targets"] == targets.name]
        shown = []
        for way in ways:
            errors = [targets.factor * row["test_mae"] for row in of if row["way"] == way]
            shown.append(mean_and_spread(errors) if errors else "…")
        lines.append((f"{targets.name} ({targets.unit})", *shown))
        words += [verdict(targets, normalizer, of) for normalizer in NORMALIZERS]
    table = Table(
        caption="Test MAE, mean and standard deviation over seeds",
        header=("from -> to", *ways),
        rows=tuple(lines),
    )
    section = INTERPROPERTY.section(
        scale, paragraphs=(*(w for w in words if w), PAPER), tables=(table,)
    )
    return section, []


def verdict(targets: TargetSet, normalizer: str, rows: Rows) -> str:
    """Whether transfer beats training from scratch, each at its best recipe by validation.

    Seeds are compared pair by pair; a mean difference within two standard errors decides nothing.
    """
    pairs = []
    for seed in dict.fromkeys(row["seed"] for row in rows):
        of = [row for row in rows if row["seed"] == seed]
        scratch = [row for row in of if row["way"] == "none"]
        moved = [row for row in of if row["way"].startswith(normalizer)]
        if scratch and len(moved) == len(RECIPES):
            best = min(moved, key=lambda row: row["valid_mae"])
            pairs.append((scratch[0]["test_mae"], best["test_mae"]))
    if not pairs:
        return ""
    n = len(pairs)
    base, new = (sum(column) / n for column in zip(*pairs, strict=True))
    differences = [b - a for a, b in pairs]
    mean = sum(differences) / n
    words = "one seed decides nothing"
    if n > 1:
        error = (sum((d - mean) ** 2 for d in differences) / (n - 1) / n) ** 0.5
        sign = "helps" if mean < 0 else "harms"
        words = sign if abs(mean) > 2 * error else "makes no difference beyond the seeds"
    return (
        f"{targets.name}, normaliser {normalizer}: {targets.factor * new:.3g} against "
        f"{targets.factor * base:.3g} {targets.unit} from scratch ({change(new, base)}, "
        f"{n} seed{'s' * (n > 1)}): {words}."
    )


INTERPROPERTY = Experiment(
    name="interproperty",
    title="Figs. 6 to 8: transfer between properties",
    cells=cells,
    show=show,
)
