"""Active learning: acquisition of the crystals to compute next, against random choice.

    python -m experiments run active_learning --scale local --data FOLDER --out FOLDER

The values of a training set are hidden but for a few labeled crystals. A model is trained on those;
then a batch is acquired from the rest (at random, or in one of the three ways of
`cgatjax.active_learning`), labeled, and the model is trained again on all labeled crystals. All
acquisitions start from the same crystals and are evaluated on the same test set after every round.
There are two learners: a Gaussian process on the embeddings of the network that was pre-trained on
the low-fidelity data (that of Table 1), and a fresh network with a robust loss.

Paper: nothing is published for these networks.
Expected at the local scale: no acquisition beats random choice by the mean absolute error, because
the test set is drawn as the candidates are; for the process all are worse, by 11 to 14 %.
"""

import functools
import logging
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import cgatjax as cg
from cgatjax.analysis.regression import student_quantile
from cgatjax.analysis.seeds import LEVEL
from cgatjax.config import GPConfig
from experiments.grid import (
    Content,
    Experiment,
    Figure,
    Results,
    Scale,
    Table,
    Training,
    mean_and_spread,
)
from experiments.grid.acquisition import (
    ACQUISITIONS,
    FreshNetwork,
    GPOnEmbeddings,
    Loop,
    Study,
    run_rounds,
)
from experiments.grid.figures import error_against_size
from experiments.grid.pool import TrainingPool
from experiments.grid.results import results_table

LOG = logging.getLogger("cgatjax")
NAME = "active_learning"
LEARNERS = {"process": "process on pre-trained embeddings", "network": "fresh network"}
"""Name in the results -> description; the fast one is first."""
MEASURES = ("mae", "rmse")
Errors = dict[str, dict[int, dict[int, float]]]
"""Acquisition -> labeled crystals -> seed -> test error in the unit shown."""
LOOPS = {
    "smoke": Loop(start=16, batch=8, rounds=1, n_valid=16, seeds=(0, 1), inducing=16, steps=5),
    "local": Loop(
        start=200, batch=100, rounds=5, n_valid=100, seeds=(0, 1, 2), inducing=200, steps=200
    ),
    "paper": Loop(
        start=10_000,
        batch=10_000,
        rounds=5,
        n_valid=10_000,
        seeds=(0, 1, 2),
        inducing=1000,
        steps=2000,
    ),
}
LOCAL_MODEL = cg.ModelConfig.small(
    node_dim=16, edge_dim=16, heads=2, steps=2, composition_hidden=32, head_widths=(128, 128, 64)
)
LOCAL_TRAIN = cg.TrainConfig(batch_size=32, learning_rate=2e-3)
LOCAL_STEPS = 400


def fresh_training(scale: Scale, seed: int) -> Training:
    """Return the training of a fresh network in every round, without the labeled crystals."""
    targets = scale.target_sets[0]
    local = scale.name == "local"
    return Training(
        data=targets.high,
        target=targets.high_target,
        minimum=targets.minimum,
        model=LOCAL_MODEL if local else scale.model,
        train=(LOCAL_TRAIN if local else scale.transfer_options).replace(loss="robust_l1"),
        steps=LOCAL_STEPS if local else scale.transfer_steps,
        seed=seed,
    )


def _studies(scale: Scale, pool: TrainingPool) -> Iterator[Study]:
    """List all learners and seeds, before any training."""
    loop, fingerprint = LOOPS[scale.name], pool.datasets.fingerprint
    start = scale.pretraining(scale.target_sets[0], scale.seeds[0])
    for name in LEARNERS:
        for seed in loop.seeds:
            training = fresh_training(scale, seed)
            subsets = pool.datasets.subsets(training)
            learner: FreshNetwork | GPOnEmbeddings
            base: list[Any]
            if name == "process":
                config = GPConfig(
                    inducing=loop.inducing, steps=loop.steps, one_scale=True, seed=seed
                )
                encoder = functools.partial(_pretrained, pool, start)
                learner = GPOnEmbeddings(encoder, training.target, subsets, config)
                data = fingerprint(training.data)
                base = [name, start.key(fingerprint), data, config.to_dict()]
            else:
                learner = FreshNetwork(training, subsets, loop.n_valid)
                base = [name, training.key(fingerprint), loop.n_valid]
            values = subsets[2].target(training.target)
            yield Study(name=name, seed=seed, base=base, learner=learner, values=values)


def _pretrained(pool: TrainingPool, start: Training) -> cg.Model:
    pool.train(start, show_progress=True)
    return cg.load_model(pool.folder(start))


def run(scale: Scale, pool: TrainingPool, minutes: float | None) -> None:
    """Run the missing rounds; stop between two of them at the time limit."""
    began, table = time.monotonic(), results_table(NAME, pool)
    for study in _studies(scale, pool):
        for row in run_rounds(study, LOOPS[scale.name], pool.out / NAME / "rounds"):
            if row["key"] not in table.rows:
                table.add(row)
            if minutes is not None and time.monotonic() - began > 60 * minutes:
                LOG.info("%s: time limit reached: run the same command again", NAME)
                return


def show(results: Results) -> Content:
    """Show the errors against the number of labeled crystals, and the gains over random choice."""
    targets = results.scale.target_sets[0]
    finished = list(results_table(NAME, results.pool).rows.values())
    words = [] if finished else ["Nothing is finished yet."]
    tables, figures = [], []
    for learner, name in LEARNERS.items():
        rows = [row for row in finished if row["learner"] == learner]
        if not rows:
            continue
        for measure in MEASURES:
            errors, label = errors_by_way(rows, measure, targets.factor), measure.upper()
            tables.append(errors_table(f"{name}: test {label} in {targets.unit}", errors))
            verdicts = (verdict(by, errors, targets.unit) for by in ACQUISITIONS[1:])
            words += [f"{name}, {label}: {text}" for text in verdicts if text]
            curves = {
                by: {n: list(by_seed.values()) for n, by_seed in points.items()}
                for by, points in errors.items()
                if points
            }
            drawing = error_against_size(
                curves, targets.unit, f"{targets.name}: {name}", measure=label
            )
            caption = f"{name}: mean and range over seeds."
            figures.append(Figure(f"{measure}_{learner}", caption, drawing))
        rank = np.mean([float(row["rank"]) for row in rows])
        words.append(
            f"{name}: the rank correlation of standard deviation and error on the test set is "
            f"{rank:.2f} (mean of all rounds)."
        )
    return Content(paragraphs=words, tables=tables, figures=figures)


def errors_by_way(rows: Sequence[dict[str, Any]], measure: str, factor: float) -> Errors:
    """Return the test errors of one learner, times a factor."""
    found: Errors = {by: {} for by in ACQUISITIONS}
    for row in rows:
        by_seed = found[row["way"]].setdefault(int(row["n_train"]), {})
        by_seed[int(row["seed"])] = factor * float(row[measure])
    return found


def errors_table(caption: str, errors: Errors) -> Table:
    """Return the errors of each acquisition against the number of labeled crystals."""
    sizes = sorted({n for points in errors.values() for n in points})
    return Table(
        f"{caption}, mean and standard deviation over seeds",
        ("labeled crystals", *(f"{n:,}" for n in sizes)),
        [
            (by, *(mean_and_spread(list(points.get(n, {}).values())) for n in sizes))
            for by, points in errors.items()
        ],
    )


def verdict(by: str, errors: Errors, unit: str) -> str:
    """Compare an acquisition with random choice, seed by seed, over all rounds after the first.

    A mean difference whose 95 % interval (Student's t over the seeds) contains 0 is undecided.
    """
    base, ours = errors["random"], errors[by]
    sizes = sorted(set(base) & set(ours))[1:]
    pairs: dict[int, list[tuple[float, float]]] = {}
    for n in sizes:
        for seed in base[n].keys() & ours[n].keys():
            pairs.setdefault(seed, []).append((base[n][seed], ours[n][seed]))
    if not pairs:
        return ""
    seeds = [np.mean(values, axis=0) for values in pairs.values()]
    level, _ = np.mean(seeds, axis=0)
    differences = [new - old for old, new in seeds]
    mean = float(np.mean(differences))
    words = "undecided with one seed"
    if len(seeds) > 1:
        error = float(np.std(differences, ddof=1)) / len(seeds) ** 0.5
        width = student_quantile(LEVEL, len(seeds) - 1) * error
        answer = "better" if mean < 0 else "worse"
        answer = answer if abs(mean) > width else "no difference beyond the seeds"
        words = f"{mean:+.3g} ± {width:.2g} {unit}: {answer}"
    return (
        f"{by} against random choice: {100 * mean / level:+.1f} %, mean of {len(sizes)} rounds, "
        f"{len(seeds)} seeds ({words})."
    )


ACTIVE_LEARNING = Experiment(
    name=NAME, title="Active learning: which crystals to compute next", show=show, run=run
)
