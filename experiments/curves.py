"""Figs. 3, 4 and 8: test error against the size of the training and of the pre-training set.

    python -m experiments run training_size --scale local --data FOLDER --out FOLDER
    python -m experiments run pretraining_size --scale local --data FOLDER --out FOLDER

Subsets are nested: a smaller one is part of every larger one of its seed. All points of a curve
have the same number of steps. Expected (Hoffmann et al. 2023): straight lines in log-log; with
transfer 11 thousand systems reach 43 meV/atom.
"""

import math
from typing import Any

from cgatjax.analysis import CHEMICAL_ACCURACY, PowerLaw, equivalent_size, fit_power_law
from cgatjax.plotting.scaling_plots import scaling_figure
from experiments.bench import Bench
from experiments.experiment import Experiment, Rows
from experiments.published import CROSSING, STRAIGHT
from experiments.scale import Scale, TargetSet
from experiments.sections import Section, Table
from experiments.specification import Cell, at_rates

WORDS = {"none": "from scratch", "head": "head only", "full": "full transfer",
         "pre-training": "pre-training itself"}  # fmt: skip


def training_cells(scale: Scale) -> list[Cell]:
    """Training sizes x seeds x ways, for the first target set."""
    targets, found = scale.target_sets[0], []
    for seed in scale.seeds:
        start = scale.pretraining(targets, seed)
        for size in scale.train_sizes:
            for way in ("none", "head", "full"):
                training = scale.transferred(targets, way, seed, size, start)
                labels = {"targets": targets.name, "way": way, "size": size, "seed": seed}
                found.append(Cell(labels=labels, candidates=at_rates(training, scale.rates)))
    return found


def pretraining_cells(scale: Scale) -> list[Cell]:
    """Pre-training sizes x seeds: the pre-training itself, head only and full transfer."""
    targets, found = scale.target_sets[0], []
    for seed in scale.seeds:
        for size in scale.pretrain_sizes:
            start = scale.pretraining(targets, seed, size)
            labels = {"targets": targets.name, "pretrain_size": size, "seed": seed}
            found.append(Cell(labels={**labels, "way": "pre-training"}, candidates=(start,)))
            for way in ("head", "full"):
                training = scale.transferred(targets, way, seed, targets.size, start)
                found.append(
                    Cell(labels={**labels, "way": way}, candidates=at_rates(training, scale.rates))
                )
    return found


def with_pretrain_sizes(cells: list[Cell], rows: Rows) -> Rows:
    """Rows with "n_pretrain": the crystals that the pre-training was given.

    Those of a whole data set are counted by the row of the pre-training itself.
    """
    counted = {
        (row["pretrain_size"], row["seed"]): row["n_train"]
        for row in rows
        if row["way"] == "pre-training"
    }
    found = []
    for row in rows:
        place = (row["pretrain_size"], row["seed"])
        if place in counted:
            found.append({**row, "n_pretrain": counted[place]})
    return found


def laws(targets: TargetSet, rows: Rows, column: str) -> dict[str, PowerLaw]:
    """Way -> fit of its test errors against a column; ways with too few sizes are left out."""
    found = {}
    for way in dict.fromkeys(row["way"] for row in rows):
        of = [row for row in rows if row["way"] == way]
        if len({row[column] for row in of}) >= 3:
            errors = [targets.factor * row["test_mae"] for row in of]
            sizes = [row[column] for row in of]
            found[way] = fit_power_law(sizes, errors, unit=targets.unit)
    return found


def show_training(scale: Scale, bench: Bench, rows: Rows) -> tuple[Section, list[Any]]:
    """The curves over the training size, and what transfer is worth in calculations."""
    targets = scale.target_sets[0]
    found = laws(targets, rows, "n_train")
    worth = []
    for way in ("head", "full"):
        if "none" in found and way in found:
            size = float(found[way].sizes[-1])
            same = equivalent_size(found["none"], found[way], size)
            worth.append(
                f"{WORDS[way].capitalize()} with {size:,.0f} crystals has the error of training "
                f"from scratch with {same.text()} crystals: {_verdict(same.value - size)}."
            )
    return _curve_section(
        TRAINING_SIZE, scale, found, "accurate training crystals", (*worth, STRAIGHT, CROSSING)
    )


def _verdict(saved: float) -> str:
    """What a difference of data-set sizes means."""
    if not math.isfinite(saved):
        return "no number of further calculations would buy it"
    if saved <= 0:
        return f"at this size transfer is behind by {-saved:,.0f} calculations"
    return f"{saved:,.0f} more calculations would buy the same"


def show_pretraining(scale: Scale, bench: Bench, rows: Rows) -> tuple[Section, list[Any]]:
    """The curves over the pre-training size."""
    known = with_pretrain_sizes(pretraining_cells(scale), rows)
    found = laws(scale.target_sets[0], known, "n_pretrain")
    return _curve_section(PRETRAINING_SIZE, scale, found, "pre-training crystals", (STRAIGHT,))


def _curve_section(
    experiment: Experiment,
    scale: Scale,
    found: dict[str, PowerLaw],
    size_label: str,
    words: tuple[str, ...],
) -> tuple[Section, list[Any]]:
    targets = scale.target_sets[0]
    mark = 1000 * CHEMICAL_ACCURACY if targets.unit == "meV/atom" else None
    header = ("way", "slope", f"error at N = 1 ({targets.unit})", "bend", "43 meV/atom at N =")
    table = Table(
        caption="error = a N^b, with 95 % bootstrap intervals over the sizes",
        header=header if mark else header[:-1],
        rows=tuple(_line(way, law, mark) for way, law in found.items()),
    )
    if not found:
        words = ("Fewer than three sizes are finished: nothing to fit yet.", *words)
    named = {WORDS[way]: law for way, law in found.items()}
    drawn = [
        scaling_figure(named, size_label=size_label, target_error=mark, title=targets.name)
    ] if named else []  # fmt: skip
    caption = "Bars: standard deviation over seeds; bands: 95 % of the lines of the bootstrap."
    figures = (("curve", caption),) if named else ()
    return experiment.section(scale, paragraphs=words, tables=(table,), figures=figures), drawn


def _line(way: str, law: PowerLaw, mark: float | None) -> tuple[str, ...]:
    bend = "too few sizes"
    if law.bend is not None:
        found = "yes" if law.bend.is_significant() else "no"
        bend = f"{found} (p = {law.bend.p_value:.2g}, {law.bend.bic_gain:+.1f} BIC)"
    cells = (WORDS[way], law.slope_estimate.text(), law.prefactor_estimate.text(), bend)
    return (*cells, law.crossing(mark).text()) if mark else cells


TRAINING_SIZE = Experiment(
    name="training_size",
    title="Figs. 3, 4 and 8: error against the size of the training set",
    cells=training_cells,
    show=show_training,
)
PRETRAINING_SIZE = Experiment(
    name="pretraining_size",
    title="Figs. 3, 4 and 8: error against the size of the pre-training set",
    cells=pretraining_cells,
    show=show_pretraining,
)
