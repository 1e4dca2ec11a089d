"""Columns of a hit that its composition, mean and standard deviation decide.

They help to judge a prediction: its interval, its distance to the hull of known phases, and the
elements that the model has hardly seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cgatjax.errors import ConfigError
from cgatjax.inference.predictor import Predictor
from cgatjax.preprocessing.hull import Composition, KnownHull
from cgatjax.structures import SYMBOLS, atomic_number, formula_terms

LEVEL, HALF_WIDTH = 0.9, 1.6448536269514722
"""Level of the central interval, and its half width in standard deviations."""
RARE = 10
"""Training crystals with an element below which it counts as rare."""


@dataclass(frozen=True, eq=False, kw_only=True)
class HitColumns:
    """Derived columns of n hits.

    Attributes:
      lower, upper: ends of the central 90 % interval of a normal distribution, NaN without an std.
      hull_distance: predicted energy above the hull of known phases in eV/atom, negative below it;
        NaN if no phases are given.
      unseen, rare: symbols of each hit's elements in no, or in fewer than `RARE` training crystals.
      recorded: True if the model records its training; otherwise nothing is unseen or rare.
    """

    lower: np.ndarray
    upper: np.ndarray
    hull_distance: np.ndarray
    unseen: Sequence[Sequence[str]]
    rare: Sequence[Sequence[str]]
    recorded: bool


@dataclass(frozen=True, eq=False)
class HitJudge:
    """Comparison of hits with the training record of the model and with known phases.

    `counts` are the training crystals with each element, (104,), None if unknown.
    """

    counts: np.ndarray | None
    hull: KnownHull | None

    @classmethod
    def of(cls, predictor: Predictor, hull: KnownHull | None, target: str) -> "HitJudge":
        """Collect the records of training: of an ensemble, the fewest crystals of any member.

        ConfigError for a hull, if the target is not in eV/atom.
        """
        if hull is not None and predictor.units[target] != "eV/atom":
            raise ConfigError(
                f"hull: expected a model of formation energies in eV/atom, got {target!r} in "
                f"{predictor.units[target]!r}"
            )
        if predictor.unseen is None:
            return cls(None, hull)
        records = [member.record for member in predictor.members if member.record is not None]
        earlier = [0 if r.pretraining is None else r.pretraining for r in records]
        found = [r.training + e for r, e in zip(records, earlier, strict=True)]
        return cls(np.min(found, axis=0), hull)

    def __call__(self, formulas: Sequence[str], mean: np.ndarray, std: np.ndarray) -> HitColumns:
        """Make the columns of hits with reduced formulas, means and standard deviations."""
        compositions = [_composition(formula) for formula in formulas]
        distance = np.full(len(mean), np.nan)
        if self.hull is not None:
            distance = mean - [self.hull.energy(c) for c in compositions]
        counts = np.full(len(SYMBOLS), RARE) if self.counts is None else self.counts
        return HitColumns(
            lower=mean - HALF_WIDTH * std,
            upper=mean + HALF_WIDTH * std,
            hull_distance=distance,
            unseen=[[SYMBOLS[z] for z, _ in c if counts[z] == 0] for c in compositions],
            rare=[[SYMBOLS[z] for z, _ in c if counts[z] < RARE] for c in compositions],
            recorded=self.counts is not None,
        )


def _composition(formula: str) -> Composition:
    """Parse a reduced formula into (atomic number, count) pairs, by atomic number."""
    return tuple(sorted((atomic_number(symbol), n) for symbol, n in formula_terms(formula)))
