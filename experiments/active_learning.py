"""Active learning: does choosing the crystals to compute next beat drawing them at random?

    python -m experiments run active_learning --scale local --data FOLDER --out FOLDER

The values of a data set's training part are hidden but for a few crystals. A model learns those;
then a batch is chosen from the rest (at random, or in one of the three ways of
`cgatjax.active_learning`), its values are shown, and the model learns anew from all that is known
by now.
Each way starts from the same crystals and reads the same test set after every round. Two models
learn: a fresh network with a robust loss, and a Gaussian process on the embeddings of the network
that was pre-trained on the cheap data (that of Table 1).

Expected: nothing is published for these networks. Random choice is hard to beat where, as here,
the test set is drawn as the candidates are.
"""

import functools
import hashlib
import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.stats import spearmanr

import cgatjax as cg
from cgatjax.active_learning import By
from cgatjax.analysis.regression import student_quantile
from cgatjax.analysis.seeds import LEVEL
from cgatjax.data.splits import nested_subset
from cgatjax.inference.gp_fitting import GPConfig
from cgatjax.models.metrics import errors_of
from cgatjax.plotting.learning_plots import error_against_size
from cgatjax.runtime.atomic_files import write_durably
from experiments.bench import Bench
from experiments.experiment import Experiment, Rows
from experiments.learners import FreshNetwork, PretrainedProcess
from experiments.runner import Results
from experiments.scale import Scale
from experiments.sections import Section, Table, mean_and_spread
from experiments.specification import Training

LOG = logging.getLogger("cgatjax")
NAME = "active_learning"
Way = By | Literal["random"]
CHOICES: tuple[By, ...] = ("uncertainty", "diversity", "both")
WAYS: tuple[Way, ...] = ("random", *CHOICES)
LEARNERS = {"process": "process on pre-trained embeddings", "network": "fresh network"}
"""Name in the results -> in words; the quick one comes first."""
MEASURES = ("mae", "rmse")
"""Of the error: what is typical, and what is rare and large."""
Errors = dict[str, dict[int, dict[int, float]]]
"""Way -> known crystals -> seed -> test error in the unit that is shown."""


@dataclass(frozen=True, kw_only=True)
class Loop:
    """The sizes of the study at one scale.

    Attributes:
      start: crystals that are known at first.
      batch: crystals that are chosen in a round.
      rounds: how often.
      judges: crystals of the validation part, which decide a network's best epoch.
      seeds: of the first crystals, the random choices and the weights.
      inducing, steps: of the Gaussian process.
    """

    start: int
    batch: int
    rounds: int
    judges: int
    seeds: tuple[int, ...]
    inducing: int
    steps: int


LOOPS = {
    "smoke": Loop(start=16, batch=8, rounds=1, judges=16, seeds=(0, 1), inducing=16, steps=5),
    "local": Loop(
        start=200, batch=100, rounds=5, judges=100, seeds=(0, 1, 2), inducing=200, steps=200
    ),
    "paper": Loop(
        start=10_000,
        batch=10_000,
        rounds=5,
        judges=10_000,
        seeds=(0, 1, 2),
        inducing=1000,
        steps=2000,
    ),
}
"""Scale -> sizes."""
LOCAL_MODEL = cg.ModelConfig.small(
    node_dim=16, edge_dim=16, heads=2, steps=2, composition_hidden=32, head_widths=(128, 128, 64)
)
LOCAL_TRAIN = cg.TrainConfig(batch_size=32, learning_rate=2e-3)
LOCAL_STEPS = 400


def training_of(scale: Scale, seed: int) -> Training:
    """What a fresh network learns in every round, but for the crystals."""
    targets = scale.target_sets[0]
    local = scale.name == "local"
    return Training(
        data=targets.accurate,
        target=targets.target,
        minimum=targets.minimum,
        model=LOCAL_MODEL if local else scale.model,
        train=(LOCAL_TRAIN if local else scale.transfer).replace(loss="robust_l1"),
        steps=LOCAL_STEPS if local else scale.transfer_steps,
        seed=seed,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Study:
    """One learner and one seed.

    Attributes:
      name: of `LEARNERS`.
      seed: of the first crystals, the random choices and the weights.
      base: describes everything but the known crystals.
      learner: what learns.
      values: (test crystals,) of the target.
    """

    name: str
    seed: int
    base: list[Any]
    learner: FreshNetwork | PretrainedProcess
    values: np.ndarray


def studies(scale: Scale, bench: Bench) -> Iterator[Study]:
    """All learners and seeds; nothing is trained yet."""
    loop, prints = LOOPS[scale.name], bench.sources.fingerprints
    start = scale.pretraining(scale.target_sets[0], scale.seeds[0])
    for name in LEARNERS:
        for seed in loop.seeds:
            training = training_of(scale, seed)
            parts = bench.sources.parts(training)
            learner: FreshNetwork | PretrainedProcess = FreshNetwork(training, parts, loop.judges)
            base: list[Any] = [name, training.key(prints), loop.judges]
            if name == "process":
                config = GPConfig(
                    inducing=loop.inducing, steps=loop.steps, one_scale=True, seed=seed
                )
                encoder = functools.partial(_pretrained, bench, start)
                learner = PretrainedProcess(encoder, training.target, parts, config)
                base = [name, start.key(prints), prints[training.data], config.to_dict()]
            values = parts[2].target(training.target)
            yield Study(name=name, seed=seed, base=base, learner=learner, values=values)


def _pretrained(bench: Bench, start: Training) -> cg.Model:
    bench.perform(start, show_progress=True)
    return cg.load_model(bench.folder(start))


def perform(scale: Scale, bench: Bench, minutes: float | None) -> None:
    """Performs the rounds that are missing; stops between two of them when the time is over."""
    began, loop = time.monotonic(), LOOPS[scale.name]
    results = Results(bench.out / NAME / "results.csv")
    for study in studies(scale, bench):
        for row in rounds(study, loop, bench.out / NAME / "rounds"):
            if row["key"] not in results.rows:
                results.add(row)
            if minutes is not None and time.monotonic() - began > 60 * minutes:
                LOG.info("%s: %g min are over: run the same command again", NAME, minutes)
                return


def rounds(study: Study, loop: Loop, folder: Path) -> Iterator[dict[str, Any]]:
    """Rows of the results, learned as they are asked for; the first round serves all ways."""
    start = nested_subset(study.learner.train.ids, loop.start, seed=study.seed)
    first = _round(study, loop, folder, start, WAYS)
    for way in WAYS:
        known, found = start, first
        for left in range(loop.rounds, -1, -1):
            yield {
                "key": f"{found['key']}-{way}",
                "learner": study.name,
                "way": way,
                "seed": study.seed,
                "n_train": len(known),
                **found["errors"],
            }
            if left:
                known = (*known, *found["chosen"][way])
                found = _round(study, loop, folder, known, (way,) if left > 1 else ())


def _round(
    study: Study, loop: Loop, folder: Path, known: tuple[str, ...], ways: Sequence[Way]
) -> dict[str, Any]:
    """Learns, is judged and chooses, or reads what was found before.

    Returns:
      {"key", "errors", "chosen"}; the errors are those of the test set, with the rank correlation
      there between standard deviation and absolute error; chosen is way -> ids of the next batch.
    """
    text = json.dumps([cg.__version__, study.base, known, loop.batch, list(ways)])
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    file = folder / f"{key}.json"
    if file.is_file():
        kept: dict[str, Any] = json.loads(file.read_text())
        return kept
    LOG.info("%s: %s, seed %d, %d crystals", NAME, study.name, study.seed, len(known))
    learned = study.learner.learn(known)
    ids = study.learner.train.ids
    chosen = {
        way: _at_random(ids, known, loop.batch, study.seed)
        if way == "random"
        else learned.choose(way, loop.batch)
        for way in ways
    }
    residuals = np.abs(learned.means - study.values)
    errors = errors_of(learned.means, study.values)
    errors["rank"] = float(spearmanr(learned.stds, residuals).statistic)
    found = {"key": key, "errors": errors, "chosen": chosen}
    folder.mkdir(parents=True, exist_ok=True)
    write_durably(file, json.dumps(found).encode())
    return found


def _at_random(ids: Sequence[str], known: Sequence[str], count: int, seed: int) -> list[str]:
    taken = set(known)
    left = [name for name in ids if name not in taken]
    order = np.random.default_rng([seed, len(known)]).permutation(len(left))
    return [left[i] for i in order[:count]]


def show(scale: Scale, bench: Bench, rows: Rows) -> tuple[Section, list[Any]]:
    """Errors against the number of known crystals, and every way against random choice."""
    targets = scale.target_sets[0]
    kept = list(Results(bench.out / NAME / "results.csv").rows.values())
    words = [] if kept else ["Nothing is finished yet."]
    tables, figures, drawn = [], [], []
    for learner, name in LEARNERS.items():
        of = [row for row in kept if row["learner"] == learner]
        if not of:
            continue
        for measure in MEASURES:
            errors, label = _errors(of, measure, targets.factor), measure.upper()
            tables.append(_table(f"{name}: test {label} in {targets.unit}", errors))
            found = (verdict(way, errors, targets.unit) for way in CHOICES)
            words += [f"{name}, {label}: {text}" for text in found if text]
            curves = {
                way: {n: list(by_seed.values()) for n, by_seed in points.items()}
                for way, points in errors.items()
                if points
            }
            title = f"{targets.name}: {name}"
            drawn.append(error_against_size(curves, targets.unit, title, measure=label))
            figures.append((f"{measure}_{learner}", f"{name}: mean and range over seeds."))
        rank = np.mean([float(row["rank"]) for row in of])
        words.append(
            f"{name}: the rank correlation of standard deviation and error on the test set is "
            f"{rank:.2f} (mean of all rounds)."
        )
    section = ACTIVE_LEARNING.section(
        scale, paragraphs=tuple(words), tables=tuple(tables), figures=tuple(figures)
    )
    return section, drawn


def _errors(rows: Rows, measure: str, factor: float) -> Errors:
    found: Errors = {way: {} for way in WAYS}
    for row in rows:
        by_seed = found[row["way"]].setdefault(int(row["n_train"]), {})
        by_seed[int(row["seed"])] = factor * float(row[measure])
    return found


def _table(caption: str, errors: Errors) -> Table:
    sizes = sorted({n for found in errors.values() for n in found})
    lines = [
        (way, *(mean_and_spread(list(found[n].values())) if n in found else "…" for n in sizes))
        for way, found in errors.items()
    ]
    header = ("known crystals", *(f"{n:,}" for n in sizes))
    return Table(caption=f"{caption}, mean and standard deviation over seeds", header=header,
                 rows=tuple(lines))  # fmt: skip


def verdict(way: str, errors: Errors, unit: str) -> str:
    """Whether a way beats random choice, seed by seed, over all rounds after the first.

    A mean difference whose 95 % interval (Student's t over the seeds) holds 0 decides nothing.
    """
    base, ours = errors["random"], errors[way]
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
    words = "one seed decides nothing"
    if len(seeds) > 1:
        error = float(np.std(differences, ddof=1)) / len(seeds) ** 0.5
        width = student_quantile(LEVEL, len(seeds) - 1) * error
        sign = "better" if mean < 0 else "worse"
        words = sign if abs(mean) > width else "no difference beyond the seeds"
        words = f"{mean:+.3g} ± {width:.2g} {unit}: {words}"
    return (
        f"{way} against random choice: {100 * mean / level:+.1f} %, mean of {len(sizes)} rounds, "
        f"{len(seeds)} seeds ({words})."
    )


ACTIVE_LEARNING = Experiment(
    name=NAME,
    title="Active learning: what to compute next",
    cells=lambda scale: [],
    show=show,
    perform=perform,
)
