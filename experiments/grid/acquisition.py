"""Rounds of active learning: train, test, acquire a batch; each round is done once.

OUT/NAME/rounds/KEY.json   errors and acquired ids of a round
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from scipy.stats import spearmanr

import cgatjax as cg
from cgatjax.active_learning import By, farthest_points, select
from cgatjax.config import GPConfig
from cgatjax.data.splits import nested_subset
from cgatjax.inference.gp_fitting import fit_gp
from cgatjax.model.metrics import errors_of
from cgatjax.runtime.files import write_durably
from experiments.grid.datasets import select_ids
from experiments.grid.training import Training

LOG = logging.getLogger("cgatjax")
VALIDATIONS = 10
"""Approximate number of validations of a network, fewer than elsewhere: trainings are short."""
Acquisition = By | Literal["random"]
ACQUISITIONS: tuple[Acquisition, ...] = ("random", "uncertainty", "diversity", "both")
Subsets = tuple[cg.Dataset, cg.Dataset, cg.Dataset]


@dataclass(frozen=True, kw_only=True)
class Loop:
    """Sizes of the study at one scale.

    Attributes:
      start: labeled crystals of the first round.
      batch: crystals acquired in a round.
      rounds: number of acquisitions.
      n_valid: validation crystals, which decide a network's best epoch.
      seeds: seeds of the first crystals, the random acquisition and the weights.
      inducing, steps: inducing points and Adam steps of the Gaussian process.
    """

    start: int
    batch: int
    rounds: int
    n_valid: int
    seeds: tuple[int, ...]
    inducing: int
    steps: int


@dataclass(frozen=True, kw_only=True)
class Learned:
    """Predictions of a learner that was trained on the labeled crystals.

    Attributes:
      means, stds: (test crystals,) predictions in the target's unit.
      acquire: function of (acquisition, count) that returns the ids to label next.
    """

    means: np.ndarray
    stds: np.ndarray
    acquire: Callable[[By, int], list[str]]


class FreshNetwork:
    """Network with a robust loss, trained from scratch on the labeled crystals."""

    def __init__(self, training: Training, subsets: Subsets, n_valid: int) -> None:
        self.training, (self.train, valid, self.test) = training, subsets
        self.valid = select_ids(valid, nested_subset(valid.ids, min(n_valid, len(valid)), seed=0))

    def learn(self, ids: Sequence[str]) -> Learned:
        """Train for a fixed number of steps, whatever the number of labeled crystals."""
        training, labeled = self.training, select_ids(self.train, ids)
        model = cg.init_model(training.model, labeled, target=training.target, seed=training.seed)
        config = training.schedule(len(labeled))
        config = config.replace(validate_every=max(1, config.epochs // VALIDATIONS))
        model, _ = cg.fit(model, labeled, self.valid, config)
        predictions, target = cg.predict(model, self.test), training.target

        def acquire(by: By, count: int) -> list[str]:
            return select(model, self.train, count, by=by, known=[labeled]).ids

        return Learned(
            means=predictions.means[target], stds=predictions.stds[target], acquire=acquire
        )


class GPOnEmbeddings:
    """Gaussian process on the embeddings of a pre-trained network."""

    def __init__(
        self, encoder: Callable[[], cg.Model], target: str, subsets: Subsets, config: GPConfig
    ) -> None:
        self.train, _, self.test = subsets
        self.encoder, self.target, self.config = encoder, target, config

    @cached_property
    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """Embeddings of the candidates and of the test set, computed once."""
        model = self.encoder()
        return cg.embed(model, self.train), cg.embed(model, self.test)

    def learn(self, ids: Sequence[str]) -> Learned:
        """Fit the process to the labeled crystals."""
        (points, test), names = self.points, self.train.ids
        rows = {name: row for row, name in enumerate(names)}
        labeled = np.array([rows[name] for name in ids])
        process = fit_gp(points[labeled], self.train.target(self.target)[labeled], self.config)
        means, stds = process.predict(test)
        left = np.setdiff1d(np.arange(len(points)), labeled)

        def acquire(by: By, count: int) -> list[str]:
            _, left_stds = process.predict(points[left])
            order = np.argsort(-left_stds, kind="stable")[:count]
            if by != "uncertainty":
                weights = left_stds if by == "both" else None
                order, _ = farthest_points(
                    points[left], count, centers=points[labeled], weights=weights
                )
            return [names[row] for row in left[order]]

        return Learned(means=means, stds=stds, acquire=acquire)


@dataclass(frozen=True, kw_only=True, eq=False)
class Study:
    """One learner and one seed.

    Attributes:
      name: name of the learner in the results.
      seed: seed of the first crystals, the random acquisition and the weights.
      base: everything but the labeled crystals that determines the results, for the key.
      learner: the learner.
      values: (test crystals,) values of the target.
    """

    name: str
    seed: int
    base: list[Any]
    learner: FreshNetwork | GPOnEmbeddings
    values: np.ndarray


def run_rounds(study: Study, loop: Loop, folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of the results as they are computed; all acquisitions share the first round.

    Args:
      study: learner and seed.
      loop: sizes.
      folder: folder of the finished rounds.
    """
    start = nested_subset(study.learner.train.ids, loop.start, seed=study.seed)
    first = _run_round(study, loop, folder, start, ACQUISITIONS)
    for by in ACQUISITIONS:
        labeled, found = start, first
        for left in range(loop.rounds, -1, -1):
            yield {
                "key": f"{found['key']}-{by}",
                "learner": study.name,
                "way": by,
                "seed": study.seed,
                "n_train": len(labeled),
                **found["errors"],
            }
            if left:
                labeled = (*labeled, *found["chosen"][by])
                found = _run_round(study, loop, folder, labeled, (by,) if left > 1 else ())


def _run_round(
    study: Study,
    loop: Loop,
    folder: Path,
    labeled: tuple[str, ...],
    acquisitions: Sequence[Acquisition],
) -> dict[str, Any]:
    """Train, test and acquire, or read the finished round.

    Returns:
      {"key", "errors", "chosen"}: errors on the test set, with the rank correlation between
      standard deviation and absolute error; acquisition -> ids of the next batch.
    """
    text = json.dumps([cg.__version__, study.base, labeled, loop.batch, list(acquisitions)])
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    file = folder / f"{key}.json"
    if file.is_file():
        kept: dict[str, Any] = json.loads(file.read_text())
        return kept
    LOG.info("active learning: %s, seed %d, %d crystals", study.name, study.seed, len(labeled))
    learned = study.learner.learn(labeled)
    ids = study.learner.train.ids
    chosen = {
        by: _random_ids(ids, labeled, loop.batch, study.seed)
        if by == "random"
        else learned.acquire(by, loop.batch)
        for by in acquisitions
    }
    errors = errors_of(learned.means, study.values)
    residuals = np.abs(learned.means - study.values)
    errors["rank"] = float(spearmanr(learned.stds, residuals).statistic)
    found = {"key": key, "errors": errors, "chosen": chosen}
    folder.mkdir(parents=True, exist_ok=True)
    write_durably(file, json.dumps(found).encode())
    return found


def _random_ids(ids: Sequence[str], labeled: Sequence[str], count: int, seed: int) -> list[str]:
    taken = set(labeled)
    left = [name for name in ids if name not in taken]
    order = np.random.default_rng([seed, len(labeled)]).permutation(len(left))
    return [left[i] for i in order[:count]]
