"""Energies of the elements, which turn energies of a calculator into formation energies."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cgatjax.errors import InputError
from cgatjax.model.normalizer import fit_references
from cgatjax.structures import SYMBOLS, atomic_number, is_number


@dataclass(frozen=True)
class ElementEnergies:
    """Energy per atom of each element, in eV, by symbol."""

    energies: Mapping[str, float]

    def __str__(self) -> str:
        text = json.dumps(dict(sorted(self.energies.items())))
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        return f"energies of {len(self.energies)} elements, hash {digest}"

    @classmethod
    def given(cls, energies: Mapping[str, float]) -> "ElementEnergies":
        """Take given energies of elements; InputError for an unknown element or a text."""
        for symbol, value in energies.items():
            if not is_number(value) or not np.isfinite(value):
                raise InputError(f"energy of {symbol!r}: expected a number, got {value!r:.80}")
            atomic_number(symbol)
        return cls({symbol: float(value) for symbol, value in energies.items()})

    @classmethod
    def fit(cls, numbers: Sequence[np.ndarray], energies: np.ndarray) -> "ElementEnergies":
        """Fit energies of the elements to energies per atom (crystals,) by ridge regression.

        They are the calculator's minus the known formation energies, in eV/atom; `numbers` are the
        atomic numbers of the sites of each crystal.
        """
        size = len(SYMBOLS)
        fractions = np.stack([np.bincount(n, minlength=size) / len(n) for n in numbers])
        found = fit_references([(slice(0, len(fractions)), fractions)], energies, "energy")
        return cls({symbol: value + found.constant for symbol, value in found.values.items()})

    def missing(self, numbers: np.ndarray) -> list[str]:
        """List the symbols of atomic numbers without an energy."""
        return [SYMBOLS[z] for z in np.unique(numbers).tolist() if SYMBOLS[z] not in self.energies]

    def of(self, numbers: np.ndarray) -> float:
        """Compute the mean energy of the elements over the sites of a crystal."""
        return float(np.mean([self.energies[SYMBOLS[z]] for z in numbers.tolist()]))
