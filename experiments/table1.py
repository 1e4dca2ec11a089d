"""Table 1: no transfer, regression head only, full transfer, and joint training.

    python -m experiments run table1 --scale local --data FOLDER --out FOLDER

Every way gets the same training crystals, the same candidates for the learning rate and the same
number of steps, keeps its best validation checkpoint, and reads the test set once. "Joint" goes on
learning as many cheap crystals beside the accurate ones, within the same steps.

Expected (Hoffmann et al. 2023, Table 1): the head alone gains 8 to 16 % for energies and volumes,
full transfer 24 to 35 %; for gaps the head alone loses 19 %, full transfer gains 13 %.
"""

from typing import Any

from cgatjax.plotting.learning_plots import Bars, transfer_panels
from experiments.bench import Bench
from experiments.experiment import Experiment, Rows
from experiments.published import change, published_rows
from experiments.scale import WAYS, Scale, TargetSet
from experiments.sections import Section, Table, mean_and_spread
from experiments.specification import Cell, at_rates

HEADER = ("property", "functional", "pre-training", "none", "head", "full", "joint")


def cells(scale: Scale) -> list[Cell]:
    """Seeds x target sets x ways."""
    found = []
    for seed in scale.seeds:
        for targets in scale.target_sets:
            start = scale.pretraining(targets, seed)
            labels = {"targets": targets.name, "seed": seed, "size": targets.size}
            found.append(Cell(labels={**labels, "way": "pre-training"}, candidates=(start,)))
            for way in WAYS:
                training = scale.transferred(targets, way, seed, targets.size, start)
                found.append(
                    Cell(labels={**labels, "way": way}, candidates=at_rates(training, scale.rates))
                )
    return found


def show(scale: Scale, bench: Bench, rows: Rows) -> tuple[Section, list[Any]]:
    """Our table beside the paper's, and bars, a panel for each target set."""
    ours = [_row(scale, targets, rows) for targets in scale.target_sets]
    sizes = [
        f"{t.name}: {int(of[0]['n_train']):,} training and {int(of[0]['n_test']):,} test crystals"
        for t in scale.target_sets
        if (of := [r for r in rows if r["targets"] == t.name and r["way"] != "pre-training"])
    ]
    panels = []
    for targets in scale.target_sets:
        errors = _errors(targets, rows)
        if all(errors.get(way) for way in WAYS):
            shown = {way: errors[way] for way in WAYS}
            panels.append(Bars(shown, targets.unit, targets.name))
    section = TABLE1.section(
        scale,
        paragraphs=(
            "Test MAE, mean and sample standard deviation over seeds; in brackets the change "
            "against no transfer. All ways of a row have the same crystals, steps and candidates "
            "for the learning rate.",
            "; ".join(sizes) + "." if sizes else "Nothing is finished yet.",
        ),
        tables=(
            Table(caption="Ours", header=HEADER, rows=tuple(ours)),
            Table(caption="Hoffmann et al. 2023", header=HEADER, rows=tuple(published_rows())),
        ),
        figures=(("errors", "Mean test error; points are seeds."),) if panels else (),
    )
    return section, [transfer_panels(panels)] if panels else []


def _errors(targets: TargetSet, rows: Rows) -> dict[str, list[float]]:
    """Way -> test errors of the seeds, in the unit that is shown."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if row["targets"] == targets.name:
            found.setdefault(row["way"], []).append(targets.factor * row["test_mae"])
    return found


def _row(scale: Scale, targets: TargetSet, rows: Rows) -> tuple[str, ...]:
    """One line of our table; "…" where nothing is finished."""
    errors = _errors(targets, rows)
    base = errors.get("none")
    shown = []
    for way in ("pre-training", *WAYS):
        values = errors.get(way)
        text = mean_and_spread(values) if values else "…"
        if values and base and way in WAYS[1:]:
            text += f" ({change(sum(values) / len(values), sum(base) / len(base))})"
        shown.append(text)
    label = scale.sources[targets.accurate].label
    return (f"{targets.name.split(',')[0]} ({targets.unit})", label, *shown)


TABLE1 = Experiment(
    name="table1", title="Table 1: transfer within a property", cells=cells, show=show
)
