"""Rows of hits: predictions with columns that help to judge them.

These are the interval of a prediction, its distance to the hull of known phases, and the elements
that the model has hardly seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cgatjax.errors import ConfigError
from cgatjax.inference.predictor import Predictor
from cgatjax.preprocessing.hull import Composition, KnownHull
from cgatjax.screening.ranked_parquet import Rows, rows_of
from cgatjax.structures import SYMBOLS, atomic_number, formula_terms

LEVEL, HALF_WIDTH = 0.9, 1.6448536269514722
"""Level of the central interval, and its half width in standard deviations."""
RARE = 10
"""Training crystals with an element below which it counts as rare."""


@dataclass(frozen=True, eq=False, kw_only=True)
class HitRows:
    """Maker of the rows of hits, in the columns of `ranked_parquet.SCHEMA`.

    Attributes:
      unit, std_note: unit of the predictions, and origin of their standard deviations.
      counts: (104,) training crystals with each element; None if unknown, and no element is rare.
      hull: known phases; None for no distances.
    """

    unit: str
    std_note: str
    counts: np.ndarray | None = None
    hull: KnownHull | None = None

    @classmethod
    def of(cls, predictor: Predictor, hull: KnownHull | None, target: str) -> "HitRows":
        """Collect the records of training: of an ensemble, the fewest crystals of any member.

        ConfigError for a hull, if the target is not in eV/atom.
        """
        unit, note = predictor.units[target], predictor.std_note(target)
        if hull is not None and unit != "eV/atom":
            raise ConfigError(
                f"hull: expected a model of formation energies in eV/atom, got {target!r} in "
                f"{unit!r}"
            )
        if predictor.unseen is None:
            return cls(unit=unit, std_note=note, hull=hull)
        records = [member.record for member in predictor.members if member.record is not None]
        earlier = [0 if r.pretraining is None else r.pretraining for r in records]
        found = [r.training + e for r, e in zip(records, earlier, strict=True)]
        return cls(unit=unit, std_note=note, counts=np.min(found, axis=0), hull=hull)

    def __call__(
        self,
        ids: Sequence[str],
        formulas: Sequence[str],
        mean: np.ndarray,
        std: np.ndarray,
        prototype: str | None = None,
        elements: Sequence[Sequence[tuple[str, str]]] | None = None,
    ) -> Rows:
        """Make the rows of hits with reduced formulas, means and standard deviations.

        Decorations of a prototype have the (site class, symbol) pairs of each hit.
        """
        n, compositions = len(ids), [_composition(formula) for formula in formulas]
        distance = np.full(n, np.nan)
        if self.hull is not None:
            distance = mean - [self.hull.energy(c) for c in compositions]
        counts = np.full(len(SYMBOLS), RARE) if self.counts is None else self.counts
        unseen, rare = (
            [" ".join(SYMBOLS[z] for z, _ in c if counts[z] < least) or None for c in compositions]
            for least in (1, RARE)
        )
        doubtful = [None if self.counts is None else text is not None for text in rare]
        columns = {
            "id": ids,
            "prototype": [prototype] * n,
            "formula": formulas,
            "elements": [None] * n if elements is None else elements,
            "mean": mean,
            "std": std,
            "lower": mean - HALF_WIDTH * std,
            "upper": mean + HALF_WIDTH * std,
            "hull_distance": distance,
            "unit": [self.unit] * n,
            "std_note": [self.std_note] * n,
            "out_of_distribution": doubtful,
            "unseen_elements": unseen,
            "rare_elements": rare,
        }
        return rows_of(columns)


def _composition(formula: str) -> Composition:
    """Parse a reduced formula into (atomic number, count) pairs, by atomic number."""
    return tuple(sorted((atomic_number(symbol), n) for symbol, n in formula_terms(formula)))
