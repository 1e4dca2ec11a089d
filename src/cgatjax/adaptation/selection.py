"""Choice by cross-validation: the weight of each candidate in the adapted model.

All candidates predict the same validation crystals, so that they are compared crystal by crystal:
the difference of two errors is known far better than either error. Candidates that ran on some
folds only are placed by their difference to the best simple one, which ran on all of them.

With few crystals several candidates are as good as the best, and the one that looks best is lucky.
Therefore, in each of many bootstrap samples of the formulas, one vote goes to the best candidate
and one to the best candidate or pair, half to each: the mean of two is often better than either.
The shares of the votes are the weights of a mean (bagging, Breiman 1996).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from cgatjax.errors import InputError
from cgatjax.inference.adapted import mixture

SAMPLES = 400
"""Bootstrap samples in which candidates are compared."""
LEAST = 0.05
"""Share of the votes below which a candidate is left out."""
CERTAIN = 3.0
"""Standard errors of the gain over the simple models from which on these have no part."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Contender:
    """Candidate with its out-of-fold predictions.

    Attributes:
      name: its name.
      is_simple: True if no network is used.
      means, stds: (pool,) predictions for crystals that were not trained on, NaN if there are none.
      seconds: of all fits.
      steps: optimizer steps on whole networks, of all fits.
      folds: number of folds done.
      is_external: True if it reads embeddings from elsewhere, so that it cannot predict structures.
    """

    name: str
    is_simple: bool
    means: np.ndarray
    stds: np.ndarray
    seconds: float
    steps: int
    folds: int
    is_external: bool = False


@dataclass(frozen=True, kw_only=True)
class Score:
    """Estimated error of a contender.

    Attributes:
      mae: mean absolute error, in the unit, estimated for all folds.
      error: standard error of `mae`.
      gap: mae over that of the best simple contender, minus one.
      gap_error: standard error of `gap`, crystal by crystal.
    """

    mae: float
    error: float
    gap: float
    gap_error: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Choice:
    """Chosen candidates.

    Attributes:
      weights: name -> weight in the mean, the largest first.
      best_simple: best contender without a network.
      contenders: all, the best first.
      scores: name -> score.
      score: of the weighted mean, by `means`.
      reason: one sentence for the report.
      means, stds: (pool,) predictions of each fold by what the other folds alone would have chosen.
        Their errors have no part in the choice, as those of new crystals have none.
    """

    weights: Mapping[str, float]
    best_simple: Contender
    contenders: list[Contender]
    scores: Mapping[str, Score]
    score: Score
    reason: str
    means: np.ndarray
    stds: np.ndarray

    @property
    def name(self) -> str:
        """Names of the chosen candidates, with their weights if there are several."""
        if len(self.weights) == 1:
            return next(iter(self.weights))
        return ", ".join(f"{weight:.0%} {name}" for name, weight in self.weights.items())


def choose(
    contenders: Sequence[Contender],
    values: np.ndarray,
    formulas: Sequence[str],
    folds: Sequence[np.ndarray],
) -> Choice:
    """Weigh the contenders by their validated errors.

    Guard against harm from transfer: as long as the weighted mean is not better than that of the
    simple contenders by three standard errors of the difference, it is moved towards the latter,
    all the way if it is no better.

    Args:
      contenders: candidates.
      values: (pool,) values.
      formulas: reduced formula of each crystal; polymorphs count once in standard errors.
      folds: positions of the validation crystals of each fold.

    Raises:
      InputError: no contender without a network, or none with all folds.
    """
    every = [c for c in contenders if np.isfinite(c.means).any()]
    groups = np.unique(np.asarray(formulas), return_inverse=True)[1]
    # What ran on all folds can be calibrated and combined; the others are in the table only.
    whole = [c for c in every if np.isfinite(c.means).all() and not c.is_external]
    simple = [c for c in whole if c.is_simple]
    if not simple:
        raise InputError("expected a simple candidate that has been validated on all folds")
    best, best_simple = (min(some, key=lambda c: _mae(c, values)) for some in (whole, simple))
    known = best.means, best_simple.means, values, groups
    scores = {c.name: score(c.means, *known) for c in every}
    weighed = weigh(whole, values, groups)
    means, stds = np.empty(len(values)), np.empty(len(values))
    for fold in folds:
        rest = np.delete(np.arange(len(values)), fold)
        shares = weigh(whole, values, groups, rest).weights
        used = np.flatnonzero(shares)
        each = np.array([(whole[k].means[fold], whole[k].stds[fold]) for k in used])
        means[fold], stds[fold] = mixture(each[:, 0], each[:, 1], shares[used])
    weights = {c.name: float(w) for c, w in zip(whole, weighed.weights, strict=True) if w}
    ranked = sorted(every, key=lambda c: scores[c.name].mae)
    return Choice(
        weights=dict(sorted(weights.items(), key=lambda item: -item[1])),
        best_simple=best_simple,
        contenders=ranked,
        scores=scores,
        score=score(means, *known),
        reason=_reason(weighed, ranked, scores, weights.keys() <= {c.name for c in simple}),
        means=means,
        stds=stds,
    )


class Weighed(NamedTuple):
    """Weights of contenders.

    Attributes:
      weights: (contenders,) weights, with the sum 1.
      gain: error of the votes' mean below that of the simple contenders, as a fraction of it.
      error: standard error of `gain`.
    """

    weights: np.ndarray
    gain: float
    error: float

    @property
    def evidence(self) -> float:
        """Share of the votes of all contenders in the weights; the rest has that of the simple."""
        return float(np.clip(self.gain / max(CERTAIN * self.error, 1e-300), 0, 1))


def weigh(
    contenders: Sequence[Contender],
    values: np.ndarray,
    groups: np.ndarray,
    known: np.ndarray | slice = slice(None),
) -> Weighed:
    """Weigh contenders by the errors on some crystals, with the guard against harm from transfer.

    Args:
      contenders: done on all folds, one of them simple.
      values: (pool,) values.
      groups: (pool,) numbers of the formulas.
      known: positions of the crystals.
    """
    residuals = np.stack([c.means - values for c in contenders])[:, known]
    groups = np.unique(groups[known], return_inverse=True)[1]
    is_simple = np.array([c.is_simple for c in contenders])
    voted, plain = vote(residuals, groups), np.zeros(len(contenders))
    plain[is_simple] = vote(residuals[is_simple], groups)
    error = np.abs(plain @ residuals)
    gain = error - np.abs(voted @ residuals)
    scale = max(error.mean(), 1e-300)
    found = Weighed(voted, gain.mean() / scale, standard_error(gain, groups) / scale)
    weights = found.evidence * voted + (1 - found.evidence) * plain
    return found._replace(weights=_without_small(weights))


def vote(residuals: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Share votes between candidates: in bootstrap samples the best one, and the best pair, win.

    Args:
      residuals: (candidates, crystals) predictions minus values.
      groups: (crystals,) numbers of the formulas, 0 to the largest.

    Returns:
      (candidates,) shares of the votes, with the sum 1.
    """
    singles = np.eye(len(residuals))
    pairs = [singles[[i, j]].mean(0) for i, j in combinations(range(len(singles)), 2)]
    counts = np.bincount(groups)
    even = np.full(len(counts), 1 / len(counts))
    drawn = np.random.default_rng(0).multinomial(len(counts), even, SAMPLES)
    shares = []
    for ways in (singles, np.stack([*singles, *pairs])):
        totals = np.stack([np.bincount(groups, row) for row in np.abs(ways @ residuals)])
        # Samples have different numbers of crystals, but those are the same for all ways.
        shares.append(ways[(totals @ drawn.T).argmin(0)].mean(0))
    return _without_small(np.mean(shares, axis=0))


def _without_small(shares: np.ndarray) -> np.ndarray:
    kept = np.where(shares < min(LEAST, shares.max()), 0, shares)
    return kept / kept.sum()


def _reason(
    weighed: Weighed,
    ranked: Sequence[Contender],
    scores: Mapping[str, Score],
    is_simple: bool,
) -> str:
    """Say in a sentence or two why the weights are as they are; `is_simple`: no network has any."""
    gain = f"{weighed.gain:.0%} (± {weighed.error:.0%}) better than simple models"
    if all(c.is_simple for c in ranked):
        reason = "Simple models alone; there was no network to compare with."
    elif weighed.evidence == 1:
        reason = f"{gain}."
    elif is_simple:
        reason = "No network is better beyond the noise: the simple models are the answer."
    else:
        reason = (
            f"{gain}, less than {CERTAIN:.0f} standard errors: the simple models keep at least "
            f"{1 - weighed.evidence:.0%} of the weight."
        )
    least = min(scores[c.name].mae for c in ranked if not c.is_external)
    for other in ranked:
        if other.is_external and scores[other.name].mae < least:
            reason += (
                f" {other.name} has a {1 - scores[other.name].mae / least:.0%} smaller error than "
                "any of them, but predicts only crystals with such embeddings (`cgatjax.fit_gp`)."
            )
    return reason


def score(
    means: np.ndarray,
    reference: np.ndarray,
    simple: np.ndarray,
    values: np.ndarray,
    groups: np.ndarray,
) -> Score:
    """Estimate the error of predictions on all folds, from their difference to a reference.

    Args:
      means: (pool,) predictions, NaN on folds that are not done.
      reference: (pool,) predictions with an error as small as can be.
      simple: (pool,) predictions of the best simple contender.
      values: (pool,) values.
      groups: (pool,) numbers of the formulas.
    """
    known = np.isfinite(means)
    errors = np.abs(means - values)[known]
    near, far = np.abs(reference - values), np.abs(simple - values)
    mae, error = float(errors.mean()), standard_error(errors, groups[known])
    if not known.all():
        difference = errors - near[known]
        mae = float(near.mean() + difference.mean())
        spread = standard_error(near, groups), standard_error(difference, groups[known])
        error = float(np.hypot(*spread))
    gap_error = standard_error(errors - far[known], groups[known]) / far.mean()
    return Score(mae=mae, error=error, gap=mae / far.mean() - 1, gap_error=float(gap_error))


def standard_error(values: np.ndarray, groups: np.ndarray) -> float:
    """Compute the standard error of a mean over crystals whose groups are independent.

    >>> round(standard_error(np.array([0.0, 2.0, 4.0, 6.0]), np.arange(4)), 3)
    1.291
    """
    centered = values - values.mean()
    totals = np.bincount(groups, centered)
    count = len(np.unique(groups))
    if count < 2:
        return float("inf")
    return float(np.sqrt(np.square(totals).sum() * count / (count - 1)) / len(values))


def _mae(contender: Contender, values: np.ndarray) -> float:
    return float(np.abs(contender.means - values).mean())
