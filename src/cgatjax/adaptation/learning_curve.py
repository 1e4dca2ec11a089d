"""Learning curve: error against the number of crystals, and what twice as many would bring."""

import time
from dataclasses import dataclass

import numpy as np

from cgatjax.adaptation.candidates import Candidate
from cgatjax.adaptation.schedule import Note
from cgatjax.adaptation.task import Task
from cgatjax.analysis.scaling import Estimate, PowerLaw, fit_power_law
from cgatjax.data.splits import ordered

FRACTIONS = (0.2, 0.4, 0.7)
"""Nested subsets of the training crystals of a fold; all of them are done already."""
FEWEST = 8
"""Training crystals below which there is no point in the curve."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LearningCurve:
    """Errors on nested subsets, and a power law through them.

    Attributes:
      way: the candidate.
      sizes, errors: (points,) training crystals and mean absolute error of each subset and fold.
      law: power law; None with too few sizes.
      doubled: error expected with twice the crystals of the pool; None without a law.
    """

    way: str
    sizes: np.ndarray
    errors: np.ndarray
    law: PowerLaw | None
    doubled: Estimate | None


def learning_curve(
    candidate: Candidate, task: Task, whole: np.ndarray, seconds: float, note: Note
) -> LearningCurve:
    """Fit a candidate to nested subsets of the training crystals of each fold.

    Args:
      candidate: to fit.
      task: crystals and folds.
      whole: (pool,) its out-of-fold predictions with all training crystals.
      seconds: time for further fits; a fold is left out if it would exceed it.
      note: shows what is being done.
    """
    values, ids, start = task.values, task.pool.ids, time.perf_counter()
    sizes, errors = list[float](), list[float]()
    for number, fold in enumerate(task.folds):
        if number and time.perf_counter() - start > seconds * number / (number + 1):
            break
        note(f"learning curve, fold {number + 1} of {len(task.folds)}")
        training = task.training(number)
        order = training[ordered([ids[p] for p in training], seed=task.seed)]
        for fraction in FRACTIONS:
            count = round(fraction * len(order))
            if count < FEWEST:
                continue
            subset = task.pool.select(np.sort(order[:count]))
            part = candidate.fit(subset, task.seed + number).part
            means, _ = candidate.predict(part, task.pool.select(fold))
            sizes.append(count)
            errors.append(float(np.abs(means - values[fold]).mean()))
        sizes.append(len(order))
        errors.append(float(np.abs(whole[fold] - values[fold]).mean()))
    rounded = np.array([float(f"{size:.2g}") for size in sizes])
    found = np.array(errors)
    if len(np.unique(rounded)) < 3 or (found <= 0).any():
        return LearningCurve(
            way=candidate.name, sizes=rounded, errors=found, law=None, doubled=None
        )
    law = fit_power_law(rounded, found, unit=task.unit)
    twice = np.array([2.0 * len(task.pool)])
    draws = 10.0 ** (law.draws[:, 0] + law.draws[:, 1] * np.log10(twice))
    doubled = Estimate.of(float(law.error_at(twice)[0]), draws, law.level)
    return LearningCurve(way=candidate.name, sizes=rounded, errors=found, law=law, doubled=doubled)
