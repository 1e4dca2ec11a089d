"""Figs. 3, 4 and 8: test error against the size of the training set of the transfer.

    python -m experiments run training_size --scale local --data FOLDER --out FOLDER

Subsets are nested: a smaller one is contained in every larger one of its seed. All points of a
curve have the same number of steps.

Paper (Hoffmann et al. 2023): straight lines in log-log without a bend; with transfer, 11 thousand
systems reach 43 meV/atom, the paper's chemical accuracy.
Expected at the local scale: straight lines with slopes of -0.32 from scratch and -0.09 with full
transfer, so that transfer gains most at small sizes.
"""

import math
from collections.abc import Sequence
from typing import Any

from cgatjax.analysis import CHEMICAL_ACCURACY, PowerLaw, equivalent_size, fit_power_law
from cgatjax.plotting.scaling_plots import scaling_figure
from experiments.grid import Content, Experiment, Figure, Results, Row, Scale, Table, TargetSet

MODES = ("none", "head", "full")
LABELS = {
    "none": "from scratch",
    "head": "head only",
    "full": "full transfer",
    "pre-training": "pre-training itself",
}
STRAIGHT = "The paper finds straight lines in log-log for both sizes, without a bend."
CROSSING = "With transfer, 11 thousand systems reach 43 meV/atom (the paper's chemical accuracy)."


def grid(scale: Scale) -> list[Row]:
    """Return seeds x training sizes x modes, for the first target set."""
    targets, rows = scale.target_sets[0], []
    for seed in scale.seeds:
        start = scale.pretraining(targets, seed)
        for size in scale.train_sizes:
            for mode in MODES:
                candidates = scale.transfer(targets, mode, seed, size, start).at_rates(scale.rates)
                labels = {"targets": targets.name, "way": mode, "size": size, "seed": seed}
                rows.append(Row(labels=labels, candidates=candidates))
    return rows


def show(results: Results) -> Content:
    """Draw error against training size, and say how many calculations transfer saves."""
    targets = results.scale.target_sets[0]
    laws = fit_laws(targets, results.rows, "n_train")
    words = []
    for mode in ("head", "full"):
        if "none" in laws and mode in laws:
            size = float(laws[mode].sizes[-1])
            same = equivalent_size(laws["none"], laws[mode], size)
            words.append(
                f"{LABELS[mode].capitalize()} with {size:,.0f} crystals has the error of training "
                f"from scratch with {same.text()} crystals: {_saving(same.value - size)}."
            )
    words += [STRAIGHT, CROSSING]
    return show_laws(laws, targets, "high-fidelity training crystals", words)


def _saving(saved: float) -> str:
    if not math.isfinite(saved):
        return "no number of further calculations reaches this error"
    if saved <= 0:
        return f"at this size transfer needs {-saved:,.0f} more calculations"
    return f"transfer saves {saved:,.0f} calculations"


def fit_laws(
    targets: TargetSet, rows: Sequence[dict[str, Any]], column: str
) -> dict[str, PowerLaw]:
    """Fit a power law to the errors of each way to train with at least three sizes in a column."""
    laws = {}
    for way in dict.fromkeys(row["way"] for row in rows):
        points = [(r[column], targets.factor * r["test_mae"]) for r in rows if r["way"] == way]
        if len({size for size, _ in points}) >= 3:
            sizes, errors = zip(*points, strict=True)
            laws[way] = fit_power_law(sizes, errors, unit=targets.unit)
    return laws


def show_laws(
    laws: dict[str, PowerLaw], targets: TargetSet, size_label: str, words: Sequence[str]
) -> Content:
    """Make the table and the figure of fitted power laws."""
    mark = 1000 * CHEMICAL_ACCURACY if targets.unit == "meV/atom" else None
    header = ("training", "slope", f"error at N = 1 ({targets.unit})", "bend")
    table = Table(
        "error = a N^b, with 95 % bootstrap intervals over the sizes",
        (*header, "43 meV/atom at N =") if mark else header,
        [_line(way, law, mark) for way, law in laws.items()],
    )
    if not laws:
        words = ("Fewer than three sizes are finished: nothing to fit yet.", *words)
        return Content(paragraphs=words, tables=(table,))
    named = {LABELS[way]: law for way, law in laws.items()}
    drawing = scaling_figure(named, size_label=size_label, target_error=mark, title=targets.name)
    caption = "Bars: standard deviation over seeds; bands: 95 % of the bootstrap fits."
    return Content(paragraphs=words, tables=(table,), figures=(Figure("curve", caption, drawing),))


def _line(way: str, law: PowerLaw, mark: float | None) -> tuple[str, ...]:
    bend = "too few sizes"
    if law.bend is not None:
        answer = "yes" if law.bend.is_significant() else "no"
        bend = f"{answer} (p = {law.bend.p_value:.2g}, {law.bend.bic_gain:+.1f} BIC)"
    cells = (LABELS[way], law.slope_estimate.text(), law.prefactor_estimate.text(), bend)
    return (*cells, law.crossing(mark).text()) if mark else cells


TRAINING_SIZE = Experiment(
    name="training_size",
    title="Figs. 3, 4 and 8: error against the size of the training set",
    grid=grid,
    show=show,
)
