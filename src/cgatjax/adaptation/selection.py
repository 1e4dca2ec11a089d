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

from cgatjax.adaptation.contenders import Contender, Hidden, new_errors, standard_error
from cgatjax.errors import InputError
from cgatjax.inference.adapted import mixture

SAMPLES = 400
"""Bootstrap samples in which candidates are compared."""
LEAST = 0.05
"""Share of the votes below which a candidate is left out."""
CERTAIN = 3.0
"""Standard errors of the gain over the simple models from which on these have no part."""


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
      hidden_std: standard deviation of the error of new crystals that `means` do not show.
    """

    weights: Mapping[str, float]
    best_simple: Contender
    contenders: list[Contender]
    scores: Mapping[str, Score]
    score: Score
    reason: str
    means: np.ndarray
    stds: np.ndarray
    hidden_std: float

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
    best, best_simple = (
        min(some, key=lambda c: float(c.errors(values).mean())) for some in (whole, simple)
    )
    known = best.errors(values), best_simple.errors(values), groups
    scores = {c.name: score(c.errors(values), *known) for c in every}
    weighed = weigh(whole, values, groups)
    means, stds = np.empty(len(values)), np.empty(len(values))
    for fold in folds:
        rest = np.delete(np.arange(len(values)), fold)
        shares = weigh(whole, values, groups, rest).weights
        used = np.flatnonzero(shares)
        each = np.array([(whole[k].means[fold], whole[k].stds[fold]) for k in used])
        means[fold], stds[fold] = mixture(each[:, 0], each[:, 1], shares[used])
    weights = {c.name: float(w) for c, w in zip(whole, weighed.weights, strict=True) if w}
    hidden = float(Hidden.of(whole).mixed(weighed.weights))
    ranked = sorted(every, key=lambda c: scores[c.name].mae)
    return Choice(
        weights=dict(sorted(weights.items(), key=lambda item: -item[1])),
        best_simple=best_simple,
        contenders=ranked,
        scores=scores,
        score=score(new_errors(means - values, hidden), *known),
        reason=_reason(weighed, ranked, scores, weights.keys() <= {c.name for c in simple}),
        means=means,
        stds=stds,
        hidden_std=hidden,
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
    hidden = Hidden.of(contenders)
    groups = np.unique(groups[known], return_inverse=True)[1]
    is_simple = np.array([c.is_simple for c in contenders])
    voted, plain = vote(residuals, hidden, groups), np.zeros(len(contenders))
    plain[is_simple] = vote(residuals[is_simple], hidden.take(is_simple), groups)
    error = new_errors(plain @ residuals, hidden.mixed(plain))
    gain = error - new_errors(voted @ residuals, hidden.mixed(voted))
    scale = max(error.mean(), 1e-300)
    found = Weighed(voted, gain.mean() / scale, standard_error(gain, groups) / scale)
    weights = found.evidence * voted + (1 - found.evidence) * plain
    return found._replace(weights=_without_small(weights))


def vote(residuals: np.ndarray, hidden: Hidden, groups: np.ndarray) -> np.ndarray:
    """Share votes between candidates: in bootstrap samples the best one, and the best pair, win.

    Args:
      residuals: (candidates, crystals) predictions minus values.
      hidden: what residuals do not show.
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
        errors = new_errors(ways @ residuals, hidden.mixed(ways)[:, None])
        totals = np.stack([np.bincount(groups, row) for row in errors])
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


def score(errors: np.ndarray, near: np.ndarray, far: np.ndarray, groups: np.ndarray) -> Score:
    """Estimate the error of predictions on all folds, from their difference to a reference.

    Args:
      errors: (pool,) absolute errors as of new crystals, NaN on folds that are not done.
      near: (pool,) those of the reference, which are as small as can be.
      far: (pool,) those of the best simple contender.
      groups: (pool,) numbers of the formulas.
    """
    known = np.isfinite(errors)
    errors = errors[known]
    mae, error = float(errors.mean()), standard_error(errors, groups[known])
    if not known.all():
        difference = errors - near[known]
        mae = float(near.mean() + difference.mean())
        spread = standard_error(near, groups), standard_error(difference, groups[known])
        error = float(np.hypot(*spread))
    gap_error = standard_error(errors - far[known], groups[known]) / far.mean()
    return Score(mae=mae, error=error, gap=mae / far.mean() - 1, gap_error=float(gap_error))
