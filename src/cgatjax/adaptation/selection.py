"""Choice of a candidate by cross-validation, with its uncertainty.

All candidates predict the same validation crystals, so that they are compared crystal by crystal:
the difference of two errors is known far better than either error. Candidates that ran on some
folds only are placed by their difference to the best simple one, which ran on all of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from cgatjax.errors import InputError
from cgatjax.inference.adapted import mixture

AVERAGED = 4
"""Best candidates of which pairs and triples are averaged."""
BEYOND_NOISE = 2.0
"""Standard errors by which a network must be better than the best simple candidate."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Contender:
    """Candidate, or average of candidates, with its out-of-fold predictions.

    Attributes:
      names: the candidates that are averaged, mostly one.
      is_simple: True if no network is used.
      means, stds: (pool,) predictions for crystals that were not trained on, NaN if there are none.
      seconds: of all fits.
      steps: optimizer steps on whole networks, of all fits.
      folds: number of folds done.
      cheap: True if a fit takes seconds.
      is_external: True if it reads embeddings from elsewhere, so that it cannot predict structures.
    """

    names: tuple[str, ...]
    is_simple: bool
    means: np.ndarray
    stds: np.ndarray
    seconds: float
    steps: int
    folds: int
    cheap: bool
    is_external: bool = False

    @property
    def name(self) -> str:
        """Name in tables."""
        return (
            " + ".join(self.names) if len(self.names) == 1 else f"mean of {' + '.join(self.names)}"
        )


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
    """Chosen contender.

    Attributes:
      chosen: the contender.
      best_simple: best contender without a network.
      contenders: all, the best first.
      scores: name -> score.
      reason: one sentence for the report.
      means, stds: (pool,) predictions of each fold by what the other folds alone would have chosen.
        Their errors have no part in the choice, as those of new crystals have none.
    """

    chosen: Contender
    best_simple: Contender
    contenders: list[Contender]
    scores: Mapping[str, Score]
    reason: str
    means: np.ndarray
    stds: np.ndarray


def choose(
    contenders: Sequence[Contender],
    values: np.ndarray,
    formulas: Sequence[str],
    folds: Sequence[np.ndarray],
) -> Choice:
    """Choose the contender with the smallest validated error, averages included.

    Guard against harm from transfer: if it is not better than the best simple contender by more
    than two standard errors of their difference, the best average that contains the simple one is
    taken if it is better, and otherwise the simple one.

    Args:
      contenders: single candidates.
      values: (pool,) values.
      formulas: reduced formula of each crystal; polymorphs count once in standard errors.
      folds: positions of the validation crystals of each fold.

    Raises:
      InputError: no contender without a network, or none with all folds.
    """
    single = [c for c in contenders if np.isfinite(c.means).any()]
    every = [*single, *_averages(single, values)]
    groups = np.unique(np.asarray(formulas), return_inverse=True)[1]
    # What ran on all folds can be calibrated and combined; the others are in the table only.
    whole = [c for c in every if np.isfinite(c.means).all() and not c.is_external]
    if not any(c.is_simple for c in whole):
        raise InputError("expected a simple candidate that has been validated on all folds")
    best, best_simple, chosen = _guarded(whole, values, groups)
    scores = {c.name: score(c, best, best_simple, values, groups) for c in every}
    ranked = sorted(every, key=lambda c: scores[c.name].mae)
    own = scores[best.name]
    if all(c.is_simple for c in single):
        reason = (
            f"{best.name} is the best of the simple models; there was no network to compare with."
        )
    elif best.is_simple:
        reason = f"No network is better than {best.name}: the simple answer is the best."
    elif chosen is best:
        reason = f"{-own.gap:.0%} (± {own.gap_error:.0%}) better than {best_simple.name}."
    else:
        reason = (
            f"No network is better than {best_simple.name} beyond the noise "
            f"({own.gap:+.0%} ± {own.gap_error:.0%})"
            + ("; their mean is safer than either." if len(chosen.names) > 1 else ".")
        )
    for other in ranked[: ranked.index(chosen)]:
        if other.is_external:
            gain = 1 - scores[other.name].mae / scores[chosen.name].mae
            reason += (
                f" {other.name} has a {gain:.0%} smaller error, but predicts only crystals with "
                "such embeddings (`cgatjax.fit_gp`)."
            )
    means, stds = np.empty(len(values)), np.empty(len(values))
    for fold in folds:
        rest = np.delete(np.arange(len(values)), fold)
        found = _guarded(whole, values, groups, rest).chosen
        means[fold], stds[fold] = found.means[fold], found.stds[fold]
    return Choice(
        chosen=chosen,
        best_simple=best_simple,
        contenders=ranked,
        scores=scores,
        reason=reason,
        means=means,
        stds=stds,
    )


class _Guarded(NamedTuple):
    best: Contender
    best_simple: Contender
    chosen: Contender


def _guarded(
    contenders: Sequence[Contender],
    values: np.ndarray,
    groups: np.ndarray,
    known: np.ndarray | slice = slice(None),
) -> _Guarded:
    """Choose by the errors on some crystals, with the guard against harm from transfer."""
    errors = {c.name: np.abs(c.means - values)[known] for c in contenders}
    ranked = sorted(contenders, key=lambda c: errors[c.name].mean())
    best = ranked[0]
    simple = next(c for c in ranked if c.is_simple and len(c.names) == 1)
    gain = errors[simple.name] - errors[best.name]
    if best.is_simple or gain.mean() > BEYOND_NOISE * standard_error(gain, groups[known]):
        return _Guarded(best, simple, best)
    # The simple one itself, or its average with others.
    return _Guarded(best, simple, next(c for c in ranked if simple.names[0] in c.names))


def score(
    contender: Contender,
    reference: Contender,
    simple: Contender,
    values: np.ndarray,
    groups: np.ndarray,
) -> Score:
    """Estimate the error of a contender on all folds, from its difference to a reference.

    Args:
      contender: done on some or all folds.
      reference: done on all folds, with an error as small as can be.
      simple: best simple contender.
      values: (pool,) values.
      groups: (pool,) numbers of the formulas.
    """
    known = np.isfinite(contender.means)
    errors = np.abs(contender.means - values)[known]
    near, far = (np.abs(other.means - values) for other in (reference, simple))
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
    return float(np.nanmean(np.abs(contender.means - values)))


def _averages(contenders: Sequence[Contender], values: np.ndarray) -> list[Contender]:
    """Average pairs and triples of the best candidates that are done on all folds."""
    whole = [
        c
        for c in contenders
        if np.isfinite(c.means).all() and c.names != ("mean value",) and not c.is_external
    ]
    best = sorted(whole, key=lambda c: _mae(c, values))[:AVERAGED]
    # The best simple one is always among them, for the guard.
    simple = [c for c in sorted(whole, key=lambda c: _mae(c, values)) if c.is_simple][:1]
    best += [c for c in simple if c not in best]
    found = []
    for size in (2, 3):
        for some in combinations(best, size):
            means, stds = mixture(
                np.stack([c.means for c in some]), np.stack([c.stds for c in some])
            )
            found.append(
                Contender(
                    names=tuple(n for c in some for n in c.names),
                    is_simple=all(c.is_simple for c in some),
                    means=means,
                    stds=stds,
                    seconds=sum(c.seconds for c in some),
                    steps=sum(c.steps for c in some),
                    folds=some[0].folds,
                    cheap=all(c.cheap for c in some),
                )
            )
    return found
