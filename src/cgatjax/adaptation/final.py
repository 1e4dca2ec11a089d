"""Final predictors: cheap candidates fitted to all crystals of the pool, networks of all folds."""

from collections.abc import Mapping, Sequence

import numpy as np

from cgatjax.adaptation.candidates import Candidate
from cgatjax.adaptation.fold_results import FoldResult
from cgatjax.adaptation.task import Task
from cgatjax.inference.adapted import AdaptedPredictor, Part
from cgatjax.inference.domain import Domain, nearest_distances
from cgatjax.inference.error_model import ErrorModel
from cgatjax.inference.prediction import embed
from cgatjax.inference.predictor import Predictor


def final_part(candidate: Candidate, results: Sequence[FoldResult], task: Task) -> Part:
    """Make the part of a candidate that predicts new crystals.

    A cheap candidate is fitted to the whole pool. Networks of several folds are averaged: each has
    seen another part of the pool, and none has to be trained again.

    Raises:
      InputError: files of a result are damaged.
    """
    if candidate.cost == "seconds":
        return candidate.fit(task.pool, task.seed).part
    parts = [result.part() for result in results]
    members = tuple(m for part in parts if isinstance(part, Predictor) for m in part.members)
    # The spread between members that have seen a crystal says nothing about new ones.
    return Predictor.of(members, "aleatoric")


def assemble(
    weights: Mapping[str, float],
    parts: Mapping[str, Part],
    task: Task,
    means: np.ndarray,
    stds: np.ndarray,
    hidden: float,
) -> tuple[AdaptedPredictor, np.ndarray]:
    """Assemble the adapted predictor of one candidate, or of the mean of several.

    Args:
      weights: candidate -> its weight in the mean.
      parts: name -> final part, for each of them.
      task: crystals and folds.
      means: (pool,) predictions in cross-validation, whose errors give the standard deviation.
      stds: (pool,) standard deviations that go with them.
      hidden: standard deviation of the part of the error that cross-validation does not show.

    Returns:
      The predictor, and (pool,) the novelty of each crystal of the pool in its validation fold.
    """
    ways = [parts[name] for name in weights]
    embeddings = embed(ways[0].members[0], task.pool, shapes_of=task.crystals)
    domain = Domain.fit(embeddings, list(task.folds), seed=task.seed)
    novelty = fold_novelty(domain, embeddings, task.folds)
    errors = None
    if np.abs(means - task.values).any():
        errors = ErrorModel.fit(means - task.values, stds, novelty, hidden)
    return AdaptedPredictor.of_parts(ways, weights, errors, domain), novelty


def fold_novelty(domain: Domain, embeddings: np.ndarray, folds: Sequence[np.ndarray]) -> np.ndarray:
    """Compute (crystals,) novelty of each crystal with respect to the other folds."""
    points = ((embeddings - domain.center) / domain.scale).astype(np.float32)
    found = np.empty(len(points))
    for fold in folds:
        rest = np.delete(points, fold, axis=0)
        found[fold] = nearest_distances(points[fold], rest) / domain.threshold
    return found
