"""Simple answers to the questions of Table 1: mean, ridge regression, trees on the composition.

    python -m experiments run simple_answers --scale local --data FOLDER --out FOLDER

The crystals, subsets and test sets are those of `table1`. Four kinds of answers are compared: from
the composition alone; with the low-fidelity crystals pooled, told apart by a flag; from the
low-fidelity value of each crystal, and the difference to it; and the difference to the prediction
of the pre-trained network, if `table1` has trained it. Trees need scikit-learn. No training on the
high-fidelity data can be called good that is not better than these.

Paper: nothing is published.
Expected at the local scale: full transfer beats everything that does not know a low-fidelity value
of the test crystals; the difference to such a value, by trees, beats full transfer 1.5 to 4
times.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator

import numpy as np

import cgatjax as cg
from cgatjax.simple_models import SimpleModel, composition_features
from experiments.grid import Content, Experiment, Results, Scale, Table, TargetSet, mean_and_spread
from experiments.grid.pool import TrainingPool
from experiments.grid.results import ResultsTable, results_table

LOG = logging.getLogger("cgatjax")
NAME = "simple_answers"
Answer = Callable[["Crystals"], np.ndarray]


class Crystals:
    """Training and test crystals of a target set and a seed, with what simple models read.

    Attributes:
      seed: random seed of the trees.
      values: (train,) high-fidelity values; low: (train,) low-fidelity values, NaN where unknown.
      test_values, test_low: the same of the test set.
    """

    def __init__(self, scale: Scale, targets: TargetSet, pool: TrainingPool, seed: int) -> None:
        self.start = scale.pretraining(targets, seed)
        training = scale.transfer(targets, "full", seed, targets.size, self.start)
        self.train, _, self.test = pool.datasets.subsets(training)
        self.targets, self.pool, self.seed = targets, pool, seed
        self.values = self.train.target(targets.high_target)
        self.test_values = self.test.target(targets.high_target)
        self._features = composition_features(self.train), composition_features(self.test)

    def fit(self, name: str, rest: np.ndarray, *extra: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """Fit a simple model to (train,) values, and predict (test,) ones.

        Args:
          name: name of the model.
          rest: what is left to predict.
          extra: pairs of further features of training and test crystals.
        """
        x, new = (
            np.column_stack([features, *(pair[k] for pair in extra)])
            for k, features in enumerate(self._features)
        )
        known = np.isfinite(rest)
        return SimpleModel(name, seed=self.seed).fit(x[known], rest[known]).predict(new)  # type: ignore[arg-type]

    def low(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the low-fidelity values of training and test crystals."""
        name = self.targets.low_value
        return self.train.target(name), self.test.target(name)

    def pooled(self, name: str) -> np.ndarray:
        """Fit a simple model to both fidelities, with a flag, and predict the test crystals."""
        low = self.pool.datasets.subsets(self.start)[0]
        x = np.vstack([composition_features(low), self._features[0]])
        flag = np.repeat([0.0, 1.0], [len(low), len(self.train)])
        y = np.concatenate([low.target(self.targets.low_target), self.values])
        new = np.column_stack([self._features[1], np.ones(len(self.test))])
        model = SimpleModel(name, seed=self.seed)  # type: ignore[arg-type]
        return model.fit(np.column_stack([x, flag]), y).predict(new)

    def difference(self, name: str, low: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """Predict the test crystals by their low value and a simple model of the difference."""
        return low[1] + self.fit(name, self.values - low[0], low)

    def source(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the predictions of the pre-trained network for training and test crystals."""
        model = cg.load_model(self.pool.folder(self.start))
        target = model.targets[0]
        train, test = (
            cg.predict(model, data, show_progress=False).means[target]
            for data in (self.train, self.test)
        )
        return train, test


FROM_COMPOSITION: dict[str, Answer] = {
    "mean": lambda c: c.fit("mean", c.values),
    "ridge": lambda c: c.fit("ridge", c.values),
    "trees": lambda c: c.fit("trees", c.values),
    "boosted trees": lambda c: c.fit("boosted trees", c.values),
}
POOLED: dict[str, Answer] = {
    "boosted trees, low fidelity pooled": lambda c: c.pooled("boosted trees"),
}
WITH_LOW_VALUE: dict[str, Answer] = {
    "low-fidelity value": lambda c: c.low()[1],
    "ridge on the difference": lambda c: c.difference("ridge", c.low()),
    "trees on the difference": lambda c: c.difference("trees", c.low()),
    "boosted trees on the difference": lambda c: c.difference("boosted trees", c.low()),
}
WITH_SOURCE: dict[str, Answer] = {
    "pre-trained network": lambda c: c.source()[1],
    "pre-trained network + trees": lambda c: c.difference("trees", c.source()),
}
GROUPS = {
    "the composition": FROM_COMPOSITION,
    "... and the low-fidelity crystals": {**POOLED, **WITH_SOURCE},
    "a low-fidelity value of each crystal": WITH_LOW_VALUE,
}
"""Knowledge that the answers of a group use -> the answers."""


def run(scale: Scale, pool: TrainingPool, minutes: float | None) -> None:
    """Compute the answers that are missing, within a time limit."""
    end = time.monotonic() + 60 * (float("inf") if minutes is None else minutes)
    table = results_table(NAME, pool)
    for seed in scale.seeds:
        for targets in scale.target_sets:
            crystals: Crystals | None = None
            for name, answer in _answers(scale, targets, pool, seed):
                key = _key(targets, seed, name, pool)
                if key in table.rows:
                    continue
                if time.monotonic() > end:
                    LOG.info("the time limit is reached; the same command continues")
                    return
                crystals = crystals or Crystals(scale, targets, pool, seed)
                _add(table, key, crystals, name, answer)


def _answers(
    scale: Scale, targets: TargetSet, pool: TrainingPool, seed: int
) -> Iterator[tuple[str, Answer]]:
    """Yield the answers that can be given."""
    yield from FROM_COMPOSITION.items()
    yield from POOLED.items()
    if targets.low_value:
        yield from WITH_LOW_VALUE.items()
    if pool.record(scale.pretraining(targets, seed)) is not None:
        yield from WITH_SOURCE.items()


def _add(table: ResultsTable, key: str, crystals: Crystals, name: str, answer: Answer) -> None:
    began = time.monotonic()
    errors = answer(crystals) - crystals.test_values
    known = np.isfinite(errors)
    row = {
        "key": key,
        "targets": crystals.targets.name,
        "answer": name,
        "seed": crystals.seed,
        "n_train": len(crystals.train),
        "n_test": int(known.sum()),
        "test_mae": float(np.abs(errors[known]).mean()),
        "test_rmse": float(np.sqrt(np.square(errors[known]).mean())),
        "seconds": round(time.monotonic() - began, 2),
    }
    table.add(row)
    LOG.info("%s, %s, seed %s: %.4g", crystals.targets.name, name, crystals.seed, row["test_mae"])


def _key(targets: TargetSet, seed: int, name: str, pool: TrainingPool) -> str:
    data = [pool.datasets.fingerprint(d) for d in (targets.low, targets.high, *targets.held_out)]
    text = json.dumps([cg.__version__, targets.name, targets.size, seed, name, data])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def answers_table(scale: Scale, pool: TrainingPool) -> Table:
    """Make the table of the finished answers: a row each, a column for each target set."""
    found = list(results_table(NAME, pool).rows.values())
    rows = []
    for sees, answers in GROUPS.items():
        for name in answers:
            cells = [
                mean_and_spread(
                    [
                        targets.factor * float(row["test_mae"])
                        for row in found
                        if row["targets"] == targets.name and row["answer"] == name
                    ]
                )
                for targets in scale.target_sets
            ]
            rows.append((sees, name, *cells))
    header = ("knows", "answer", *(f"{t.name} ({t.unit})" for t in scale.target_sets))
    return Table("Simple answers: test MAE, mean and spread over seeds", header, rows)


def show(results: Results) -> Content:
    """Make the table of simple answers."""
    return Content(
        paragraphs=(
            "Answers without a training on the high-fidelity data, or with one of seconds; the "
            "crystals are those of Table 1. Trees are extremely randomized (300) or "
            "gradient-boosted (scikit-learn), on statistics of element properties and element "
            "fractions.",
        ),
        tables=(answers_table(results.scale, results.pool),),
    )


SIMPLE_ANSWERS = Experiment(
    name=NAME, title="Simple answers to the questions of Table 1", show=show, run=run
)
