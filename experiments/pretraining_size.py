"""Figs. 3, 4 and 8: test error against the size of the pre-training set.

    python -m experiments run pretraining_size --scale local --data FOLDER --out FOLDER

The pre-training itself, head only and full transfer. Subsets are nested, and all points of a curve
have the same number of steps.

Paper (Hoffmann et al. 2023): straight lines in log-log without a bend.
Expected at the local scale: slopes of -0.30 for all three. Pre-training and head only bend at the
largest sizes, where 4,000 steps are only 17 epochs.
"""

from collections.abc import Sequence
from typing import Any

from experiments.grid import Content, Experiment, Results, Row, Scale
from experiments.training_size import STRAIGHT, fit_laws, show_laws


def grid(scale: Scale) -> list[Row]:
    """Return seeds x pre-training sizes x (pre-training, modes), for the first target set."""
    targets, rows = scale.target_sets[0], []
    for seed in scale.seeds:
        for size in scale.pretrain_sizes:
            start = scale.pretraining(targets, seed, size)
            labels = {"targets": targets.name, "pretrain_size": size, "seed": seed}
            rows.append(Row(labels={**labels, "way": "pre-training"}, candidates=(start,)))
            for mode in ("head", "full"):
                training = scale.transfer(targets, mode, seed, targets.size, start)
                candidates = training.at_rates(scale.rates)
                rows.append(Row(labels={**labels, "way": mode}, candidates=candidates))
    return rows


def with_pretrain_sizes(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add the column "n_pretrain", the size of the pre-training set, to finished rows.

    The row of a pre-training knows the size of a whole data set; transfers without it are left out.
    """
    sizes = {
        (row["pretrain_size"], row["seed"]): row["n_train"]
        for row in rows
        if row["way"] == "pre-training"
    }
    keyed = [((row["pretrain_size"], row["seed"]), row) for row in rows]
    return [{**row, "n_pretrain": sizes[key]} for key, row in keyed if key in sizes]


def show(results: Results) -> Content:
    """Draw error against pre-training size."""
    targets = results.scale.target_sets[0]
    laws = fit_laws(targets, with_pretrain_sizes(results.rows), "n_pretrain")
    return show_laws(laws, targets, "pre-training crystals", (STRAIGHT,))


PRETRAINING_SIZE = Experiment(
    name="pretraining_size",
    title="Figs. 3, 4 and 8: error against the size of the pre-training set",
    grid=grid,
    show=show,
)
