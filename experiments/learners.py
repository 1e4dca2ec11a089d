"""What learns in the study of active learning: a fresh network, or a process on old embeddings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

import cgatjax as cg
from cgatjax.active_learning import By, farthest_points, select
from cgatjax.data.splits import nested_subset
from cgatjax.inference.gp_fitting import GPConfig, fit_gp
from experiments.specification import Training

VALIDATIONS = 10
"""About so many times a network is validated: the study has many trainings, all of them short."""


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What came of learning from some known crystals.

    Attributes:
      means, stds: (test crystals,) in the target's unit.
      choose: (way, count) -> ids of the crystals to compute next.
    """

    means: np.ndarray
    stds: np.ndarray
    choose: Callable[[By, int], list[str]]


class FreshNetwork:
    """A network with a robust loss, trained from scratch on what is known."""

    def __init__(
        self, training: Training, parts: tuple[cg.Dataset, cg.Dataset, cg.Dataset], judges: int
    ) -> None:
        self.training, (self.train, valid, self.test) = training, parts
        chosen = nested_subset(valid.ids, min(judges, len(valid)), seed=0)
        self.valid = named(valid, chosen)

    def learn(self, ids: Sequence[str]) -> Learned:
        """Trains for the same number of steps, whatever is known."""
        training, known = self.training, named(self.train, ids)
        model = cg.init_model(training.model, known, target=training.target, seed=training.seed)
        config = training.schedule(len(known))
        config = config.replace(validate_every=max(1, config.epochs // VALIDATIONS))
        model, _ = cg.fit(model, known, self.valid, config)
        found = cg.predict(model, self.test)

        def choose(way: By, count: int) -> list[str]:
            return select(model, self.train, count, by=way, known=[known]).ids

        target = training.target
        return Learned(means=found.means[target], stds=found.stds[target], choose=choose)


class PretrainedProcess:
    """A Gaussian process on the embeddings of a network that was trained on other data."""

    def __init__(
        self,
        encoder: Callable[[], cg.Model],
        target: str,
        parts: tuple[cg.Dataset, cg.Dataset, cg.Dataset],
        config: GPConfig,
    ) -> None:
        self.train, _, self.test = parts
        self.encoder, self.target, self.config = encoder, target, config

    @cached_property
    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """Embeddings of the candidates and of the test set, computed once."""
        model = self.encoder()
        return cg.embed(model, self.train), cg.embed(model, self.test)

    def learn(self, ids: Sequence[str]) -> Learned:
        """Fits the process to what is known."""
        points, test = self.points
        place = {name: row for row, name in enumerate(self.train.ids)}
        known = np.array([place[name] for name in ids])
        process = fit_gp(points[known], self.train.target(self.target)[known], self.config)
        means, stds = process.predict(test)
        left = np.setdiff1d(np.arange(len(points)), known)

        def choose(way: By, count: int) -> list[str]:
            weights = None if way == "diversity" else process.predict(points[left])[1]
            if way == "uncertainty":
                order = np.argsort(-process.predict(points[left])[1], kind="stable")[:count]
            else:
                order, _ = farthest_points(
                    points[left], count, centers=points[known], weights=weights
                )
            names = self.train.ids
            return [names[row] for row in left[order]]

        return Learned(means=means, stds=stds, choose=choose)


def named(part: cg.Dataset, ids: Sequence[str]) -> cg.Dataset:
    """The crystals with these ids, in their order."""
    place = {name: position for position, name in enumerate(part.ids)}
    return part.select(np.array([place[name] for name in ids]))
