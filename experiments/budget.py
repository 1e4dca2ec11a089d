"""Fig. 5: the next hours of computing, for more pre-training data or for more accurate data?

    python -m experiments run budget --scale local --data FOLDER --out FOLDER

Uses the trainings of `training_size` (full transfer, varying the accurate data) and
`pretraining_size` (varying the cheap data), performs what is missing of them, and fits one law of
both sizes. Source:
Hoffmann et al. 2023, Fig. 5.
"""

from typing import Any

import numpy as np

from cgatjax.analysis import Fidelities, fit_joint_power_law, plan_budget
from cgatjax.plotting.scaling_plots import budget_figure
from experiments.bench import Bench
from experiments.curves import pretraining_cells, training_cells, with_pretrain_sizes
from experiments.experiment import Experiment, Rows
from experiments.published import BUDGET
from experiments.scale import Scale
from experiments.sections import Section, Table
from experiments.specification import Cell, distinct

CALCULATIONS = 10_000


def cells(scale: Scale) -> list[Cell]:
    """Full transfer over both sizes, and the pre-trainings, whose rows count their crystals."""
    seeds = {seed: scale.pretraining(scale.target_sets[0], seed) for seed in scale.seeds}
    whole = [
        Cell(labels={"way": "pre-training", "pretrain_size": None, "seed": s}, candidates=(t,))
        for s, t in seeds.items()
    ]
    by_training = [
        Cell(labels={**c.labels, "pretrain_size": None}, candidates=c.candidates)
        for c in training_cells(scale)
        if c.labels["way"] == "full"
    ]
    by_pretraining = [c for c in pretraining_cells(scale) if c.labels["way"] != "head"]
    return distinct([*whole, *by_training, *by_pretraining])


def show(scale: Scale, bench: Bench, rows: Rows) -> tuple[Section, list[Any]]:
    """The law of both sizes, the figure, and the plain answer."""
    targets = scale.target_sets[0]
    known = [r for r in with_pretrain_sizes(cells(scale), rows) if r["way"] == "full"]
    pairs = {(r["n_pretrain"], r["n_train"]) for r in known}
    if len({p for p, _ in pairs}) < 2 or len({n for _, n in pairs}) < 2 or len(pairs) < 4:
        words = ("Too few trainings are finished to fit a law of both sizes.", BUDGET)
        return BUDGET_PLAN.section(scale, paragraphs=words), []
    law = fit_joint_power_law(
        [r["n_pretrain"] for r in known],
        [r["n_train"] for r in known],
        [targets.factor * r["test_mae"] for r in known],
        unit=targets.unit,
    )
    have = Fidelities(low=law.points[:, 0].max(), high=law.points[:, 1].max())
    costs = Fidelities(low=scale.costs[0], high=scale.costs[1])
    names = (scale.sources[targets.low].label, scale.sources[targets.accurate].label)
    most = 10 * (costs.low * have.low + costs.high * have.high)
    extra = np.geomspace(most / 1e4, most, 80)
    plan = plan_budget(law, have=have, extra=extra, costs=costs, names=names)
    points = Table(
        caption="Points of the fit",
        header=("pre-training crystals", "training crystals", f"test MAE ({targets.unit})"),
        rows=tuple(
            (f"{p:,.0f}", f"{n:,.0f}", f"{e:.3g}")
            for (p, n), e in zip(law.points, law.errors, strict=True)
        ),
    )
    answer = plan.answer(CALCULATIONS)
    paragraphs = (
        f"{answer[0].upper()}{answer[1:]}.",
        f"{law.text()}.",
        f"At hand: {have.low:,.0f} {names[0]} and {have.high:,.0f} {names[1]} crystals; one "
        f"{names[1]} calculation counts as {costs.high / costs.low:g} {names[0]} ones.",
        BUDGET,
    )
    caption = "Bands: 95 % of the bootstrap. Beyond the sizes measured this is extrapolation."
    section = BUDGET_PLAN.section(
        scale, paragraphs=paragraphs, tables=(points,), figures=(("budget", caption),)
    )
    return section, [budget_figure(plan, time_unit=f"{names[0]} calculations")]


BUDGET_PLAN = Experiment(
    name="budget",
    title="Fig. 5: expected error against extra computing time",
    cells=cells,
    show=show,
)
