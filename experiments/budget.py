"""Fig. 5: expected error if further computing time buys pre-training data or high-fidelity data.

    python -m experiments run budget --scale local --data FOLDER --out FOLDER

Fits one scaling law of both sizes to full transfers: those of `training_size`, which vary the
high-fidelity data, and those of `pretraining_size`, which vary the low-fidelity data. Trains those
that are missing.

Paper (Hoffmann et al. 2023, Fig. 5): a SCAN calculation costs as much as five PBE calculations.
Expected at the local scale: slopes of -0.29 and -0.10, so that the next calculations should be of
low fidelity.
"""

import numpy as np

from cgatjax.analysis import Fidelities, fit_joint_power_law, plan_budget
from experiments import pretraining_size, training_size
from experiments.grid import Content, Experiment, Figure, Results, Row, Scale, Table, Training
from experiments.grid.figures import budget_figure

CALCULATIONS = 10_000
COSTS = "The paper takes a SCAN calculation to cost as much as five PBE calculations."


def grid(scale: Scale) -> list[Row]:
    """Return full transfers over both sizes, and the pre-trainings, whose rows hold their sizes."""
    rows = []
    for seed in scale.seeds:
        labels = {"way": "pre-training", "pretrain_size": None, "seed": seed}
        start = scale.pretraining(scale.target_sets[0], seed)
        rows.append(Row(labels=labels, candidates=(start,)))
    for row in training_size.grid(scale):
        if row.labels["way"] == "full":
            labels = {**row.labels, "pretrain_size": None}
            rows.append(Row(labels=labels, candidates=row.candidates))
    rows += [row for row in pretraining_size.grid(scale) if row.labels["way"] != "head"]
    unique: dict[tuple[Training, ...], Row] = {}
    for row in rows:  # the grids share the trainings with all of the pre-training data
        unique.setdefault(row.candidates, row)
    return list(unique.values())


def show(results: Results) -> Content:
    """Show the law of both sizes, the figure, and the better purchase in words."""
    scale, targets = results.scale, results.scale.target_sets[0]
    rows = [r for r in pretraining_size.with_pretrain_sizes(results.rows) if r["way"] == "full"]
    pairs = {(r["n_pretrain"], r["n_train"]) for r in rows}
    if len(pairs) < 4 or any(len(set(sizes)) < 2 for sizes in zip(*pairs, strict=True)):
        return Content(paragraphs=("Too few trainings for a law of both sizes.", COSTS))
    law = fit_joint_power_law(
        [r["n_pretrain"] for r in rows],
        [r["n_train"] for r in rows],
        [targets.factor * r["test_mae"] for r in rows],
        unit=targets.unit,
    )
    have = Fidelities(low=law.points[:, 0].max(), high=law.points[:, 1].max())
    costs = Fidelities(low=scale.costs[0], high=scale.costs[1])
    names = (scale.sources[targets.low].label, scale.sources[targets.high].label)
    most = 10 * (costs.low * have.low + costs.high * have.high)
    extra = np.geomspace(most / 1e4, most, 80)
    plan = plan_budget(law, have=have, extra=extra, costs=costs, names=names)
    points = Table(
        "Points of the fit",
        ("pre-training crystals", "training crystals", f"test MAE ({targets.unit})"),
        [
            (f"{p:,.0f}", f"{n:,.0f}", f"{e:.3g}")
            for (p, n), e in zip(law.points, law.errors, strict=True)
        ],
    )
    answer = plan.answer(CALCULATIONS)
    caption = "Bands: 95 % of the bootstrap. Larger sizes than measured are extrapolation."
    drawing = budget_figure(plan, time_unit=f"{names[0]} calculations")
    return Content(
        paragraphs=(
            f"{answer[0].upper()}{answer[1:]}.",
            f"{law.text()}.",
            f"Available: {have.low:,.0f} {names[0]} and {have.high:,.0f} {names[1]} crystals; "
            f"one {names[1]} calculation costs as much as {costs.high / costs.low:g} "
            f"{names[0]} calculations.",
            COSTS,
        ),
        tables=(points,),
        figures=(Figure("budget", caption, drawing),),
    )


BUDGET = Experiment(
    name="budget",
    title="Fig. 5: expected error against extra computing time",
    grid=grid,
    show=show,
)
