"""Active learning: does choosing the crystals to compute next beat drawing them at random?

    python -m experiments run active_learning --scale local --data FOLDER --out FOLDER

The values of a data set's training part are hidden but for a few crystals. A network learns those;
then a batch is chosen from the rest (at random, by `cgatjax.selection` in its three ways), its
values are shown, and a fresh network learns all that is known by now, for the same number of steps
each time. Each way starts from the same crystals and reads the same test set, after every round.
The standard deviations are those that a robust loss learns.

Expected: nothing is published for this network. Random choice is hard to beat where, as here, the
test set is drawn as the candidates are.
"""

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

import cgatjax as cg
from cgatjax.analysis.plots import error_against_size
from cgatjax.data.splits import nested_subset
from cgatjax.metrics import errors_of
from cgatjax.selection import By, select
from cgatjax.storage import write_durably
from experiments.bench import Bench
from experiments.experiment import Experiment, Rows
from experiments.runner import Results
from experiments.scale import Scale
from experiments.sections import Section, Table, mean_and_spread
from experiments.specification import Training

LOG = logging.getLogger("cgatjax")
NAME = "active_learning"
CHOICES: tuple[By, ...] = ("uncertainty", "diversity", "both")
WAYS = ("random", *CHOICES)


@dataclass(frozen=True, kw_only=True)
class Loop:
    """The sizes of the study at one scale.

    Attributes:
      start: crystals that are known at first.
      batch: crystals that are chosen in a round.
      rounds: how often.
      judges: crystals of the validation part, which decide the best epoch and nothing else.
      seeds: of the first crystals, the random choices and the weights.
      members: networks of an ensemble; with one, a robust loss alone gives standard deviations.
    """

    start: int
    batch: int
    rounds: int
    judges: int
    seeds: tuple[int, ...]
    members: int = 1


LOOPS = {
    "smoke": Loop(start=16, batch=8, rounds=2, judges=16, seeds=(0, 1)),
    "local": Loop(start=200, batch=100, rounds=4, judges=100, seeds=(0, 1, 2)),
    "paper": Loop(start=10_000, batch=10_000, rounds=5, judges=10_000, seeds=(0, 1, 2)),
}
"""Scale -> sizes."""
LOCAL_MODEL = cg.ModelConfig.small(
    node_dim=16, edge_dim=16, heads=2, steps=2, composition_hidden=32, head_widths=(128, 128, 64)
)
LOCAL_TRAIN = cg.TrainConfig(batch_size=32, learning_rate=2e-3)
LOCAL_STEPS = 400
VALIDATIONS = 10
"""About so many times a network is validated: the study has many trainings, all of them short."""


def training_of(scale: Scale, seed: int) -> Training:
    """What is learnt in every round, but for the crystals."""
    targets = scale.target_sets[0]
    training = Training(
        data=targets.accurate,
        target=targets.target,
        minimum=targets.minimum,
        model=scale.model,
        train=scale.transfer.replace(loss="robust_l1"),
        steps=scale.transfer_steps,
        seed=seed,
    )
    if scale.name != "local":
        return training
    train = LOCAL_TRAIN.replace(loss="robust_l1")
    return training.replace(model=LOCAL_MODEL, train=train, steps=LOCAL_STEPS)


def perform(scale: Scale, bench: Bench, minutes: float | None) -> None:
    """Performs the rounds that are missing; stops between two of them when the time is over."""
    began = time.monotonic()
    results = Results(bench.out / NAME / "results.csv")
    for round_ in rounds_of(scale, bench):
        row = round_.row()
        if row["key"] not in results.rows:
            results.add(row)
        if minutes is not None and time.monotonic() - began > 60 * minutes:
            LOG.info("%s: %g min are over: run the same command again", NAME, minutes)
            return


@dataclass(frozen=True, kw_only=True)
class Round:
    """One network, trained on what is known.

    Attributes:
      key: of everything that determines it.
      way: how the crystals beyond the first ones were chosen.
      seed: of the study.
      known: ids of the training crystals.
      errors: {"mae", "rmse", "n"} on the test set, and "rank": the rank correlation there between
        standard deviation and absolute error.
      chosen: way -> ids of the next batch.
    """

    key: str
    way: str
    seed: int
    known: tuple[str, ...]
    errors: dict[str, float]
    chosen: dict[str, list[str]]

    def row(self) -> dict[str, Any]:
        """Its line in the results."""
        labels = {"key": f"{self.key}-{self.way}", "way": self.way, "seed": self.seed}
        return {**labels, "n_train": len(self.known), **self.errors}


def rounds_of(scale: Scale, bench: Bench) -> Iterator[Round]:
    """All rounds of the study, performed as they are asked for; the first serves all ways."""
    loop = LOOPS[scale.name]
    for seed in loop.seeds:
        training = training_of(scale, seed)
        train = bench.sources.parts(training)[0]
        known = nested_subset(train.ids, loop.start, seed=seed)
        first = _round(loop, bench, training, known, WAYS)
        for way in WAYS:
            found = first
            yield Round(way=way, seed=seed, **found)
            for number in range(1, loop.rounds + 1):
                known = (*found["known"], *found["chosen"][way])
                ways = (way,) if number < loop.rounds else ()
                found = _round(loop, bench, training, known, ways)
                yield Round(way=way, seed=seed, **found)


def _round(
    loop: Loop, bench: Bench, training: Training, known: tuple[str, ...], ways: Sequence[str]
) -> dict[str, Any]:
    """Trains, judges and chooses, or reads what was found before."""
    base = training.key(bench.sources.fingerprints)
    text = json.dumps([base, asdict(loop), known, list(ways)])
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    file = bench.out / NAME / "rounds" / f"{key}.json"
    if file.is_file():
        found: dict[str, Any] = json.loads(file.read_text())
        return {**found, "known": known}
    train, valid, test = bench.sources.parts(training)
    judges = nested_subset(valid.ids, min(loop.judges, len(valid)), seed=0)
    LOG.info("%s: seed %d, %d crystals", NAME, training.seed, len(known))
    model = _fitted(loop, training, _named(train, known), _named(valid, judges))
    chosen = {way: _choose(way, model, train, known, loop.batch, training.seed) for way in ways}
    found = {"key": key, "errors": _errors(model, test, training.target), "chosen": chosen}
    file.parent.mkdir(parents=True, exist_ok=True)
    write_durably(file, json.dumps(found).encode())
    return {**found, "known": known}


def _named(part: cg.Dataset, ids: Sequence[str]) -> cg.Dataset:
    place = {name: position for position, name in enumerate(part.ids)}
    return part.select(np.array([place[name] for name in ids]))


def _fitted(
    loop: Loop, training: Training, train: cg.Dataset, valid: cg.Dataset
) -> cg.Model | cg.Predictor:
    """A fresh network, or an ensemble of them."""
    members = []
    for number in range(loop.members):
        seed = loop.members * training.seed + number
        model = cg.init_model(training.model, train, target=training.target, seed=seed)
        config = training.schedule(len(train))
        config = config.replace(seed=seed, validate_every=max(1, config.epochs // VALIDATIONS))
        members.append(cg.fit(model, train, valid, config)[0])
    return cg.Predictor.of(members)


def _choose(
    way: str,
    model: cg.Model | cg.Predictor,
    train: cg.Dataset,
    known: tuple[str, ...],
    count: int,
    seed: int,
) -> list[str]:
    """The ids of the next batch."""
    if way == "random":
        taken = set(known)
        left = [name for name in train.ids if name not in taken]
        order = np.random.default_rng([seed, len(known)]).permutation(len(left))
        return [left[i] for i in order[:count]]
    return select(model, train, count, by=way, known=[_named(train, known)]).ids  # type: ignore[arg-type]


def _errors(model: cg.Model | cg.Predictor, test: cg.Dataset, target: str) -> dict[str, float]:
    found, values = cg.predict(model, test), test.target(target)
    ranks = [
        np.argsort(np.argsort(v)) for v in (found.stds[target], abs(found.means[target] - values))
    ]
    errors = errors_of(found.means[target], values)
    return {**errors, "rank": float(np.corrcoef(*ranks)[0, 1])}


def show(scale: Scale, bench: Bench, rows: Rows) -> tuple[Section, list[Any]]:
    """Errors against the number of known crystals, and every way against random choice."""
    targets, results = scale.target_sets[0], Results(bench.out / NAME / "results.csv")
    errors: dict[str, dict[int, dict[int, float]]] = {way: {} for way in WAYS}
    for row in results.rows.values():
        of = errors[row["way"]].setdefault(int(row["n_train"]), {})
        of[int(row["seed"])] = targets.factor * float(row["mae"])
    sizes = sorted({n for of in errors.values() for n in of})
    lines = [
        (way, *(mean_and_spread([*errors[way][n].values()]) if n in errors[way] else "…"
                for n in sizes))
        for way in WAYS
    ]  # fmt: skip
    curves = {way: {n: list(of.values()) for n, of in found.items()} for way, found in
              errors.items() if found}  # fmt: skip
    caption = f"Test MAE in {targets.unit}, mean and standard deviation over seeds"
    header = ("known crystals", *(f"{n:,}" for n in sizes))
    words = [verdict(way, errors, targets.unit) for way in CHOICES]
    ranks = [float(row["rank"]) for row in results.rows.values()]
    if ranks:
        words.append(
            "The rank correlation of standard deviation and error on the test set is "
            f"{np.mean(ranks):.2f} on average over all rounds."
        )
    section = ACTIVE_LEARNING.section(
        scale,
        paragraphs=tuple(word for word in words if word),
        tables=(Table(caption=caption, header=header, rows=tuple(lines)),),
        figures=(("errors", f"{targets.name}: error against known crystals."),) if curves else (),
    )
    title = f"{targets.name}: what to compute next"
    drawn = [error_against_size(curves, unit=targets.unit, title=title)] if curves else []
    return section, drawn


def verdict(way: str, errors: dict[str, dict[int, dict[int, float]]], unit: str) -> str:
    """Whether a way beats random choice, seed by seed, over all rounds after the first.

    A mean difference within two standard errors of the seeds decides nothing.
    """
    base, ours = errors["random"], errors[way]
    sizes = sorted(set(base) & set(ours))[1:]
    seeds = sorted({s for n in sizes for s in base[n].keys() & ours[n].keys()})
    if not sizes or not seeds:
        return ""
    shared = [[n for n in sizes if s in base[n] and s in ours[n]] for s in seeds]
    differences = [
        float(np.mean([ours[n][s] - base[n][s] for n in of]))
        for s, of in zip(seeds, shared, strict=True)
    ]
    mean, level = (
        float(np.mean(differences)),
        float(np.mean([base[n][s] for n in sizes for s in base[n]])),
    )
    if len(seeds) < 2:
        words = "one seed decides nothing"
    else:
        error = float(np.std(differences, ddof=1)) / len(seeds) ** 0.5
        sign = "better than random choice" if mean < 0 else "worse than random choice"
        words = sign if abs(mean) > 2 * error else "no difference beyond the seeds"
        words += f" ({mean:+.3g} ± {error:.2g} {unit})"
    return (
        f"{way}: {100 * mean / level:+.1f} % against random choice, mean of {len(sizes)} rounds, "
        f"{len(seeds)} seeds: {words}."
    )


ACTIVE_LEARNING = Experiment(
    name=NAME,
    title="Active learning: what to compute next",
    cells=lambda scale: [],
    show=show,
    perform=perform,
)
