"""Known part of a target, and the mean and standard deviation of the rest."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from cgatjax.errors import InputError, MismatchError, TargetError
from cgatjax.structures import SYMBOLS, atomic_number, is_number

SOURCE = "source"
"""Name of the baseline that is the prediction of another model."""
_PENALTIES = np.logspace(-7, 1, 33)
"""Candidate penalties of the references, per crystal."""


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """Low-fidelity value of each crystal; the network learns the difference to it.

    Attributes:
      name: property of the crystals, or "source" for the prediction of the model in
        `Model.sources`.
      origin: what computed it: a calculator with its version and a hash of its weights, or the hash
        of the model; "" if unknown.
    """

    name: str
    origin: str = ""

    def __post_init__(self) -> None:
        """Raise InputError unless both are text; they may come from a file."""
        if not (isinstance(self.name, str) and self.name and isinstance(self.origin, str)):
            raise InputError(f"baseline: expected a name and an origin as text, got {self!r}")

    def __str__(self) -> str:
        return f"{self.name} ({self.origin})" if self.origin else self.name

    def check_origin(self, found: str, target: str, where: str) -> None:
        """Raise MismatchError if the values come from another calculator.

        Args:
          found: origin of the values; "" if unknown, which is accepted.
          target: property that the baseline belongs to.
          where: what the values are of.
        """
        if self.origin and found and self.origin != found:
            raise MismatchError(
                f"{where}: {self.name!r}, the baseline of {target!r}, was computed by {found}; "
                f"the model was trained with that of {self.origin}; label the crystals with it"
            )


@dataclass(frozen=True, kw_only=True)
class Normalizer:
    """Normalizer of a target: value = baseline + references + mean + std x network.

    Attributes:
      mean, std: of the training values without baseline and references, in the target's unit; std
        is the sample one (n - 1), as torch's.
      baseline: low-fidelity value of each crystal; None for zero.
      references: symbol -> value of an element, weighted by its fraction in a crystal.
    """

    mean: float
    std: float
    baseline: Baseline | None = None
    references: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise InputError unless the numbers are finite and std positive, as read from a file."""
        for symbol in self.references:
            atomic_number(symbol)
        numbers = {"mean": self.mean, "std": self.std, **self.references}
        for name, value in numbers.items():
            if not is_number(value) or not abs(value) <= sys.float_info.max:
                raise InputError(f"normalizer: expected {name} as a finite number, got {value!r}")
        if self.std <= 0:
            raise InputError(f"normalizer: expected a positive std, got {self.std!r}")

    @classmethod
    def fit(cls, values: np.ndarray, name: str = "target") -> "Normalizer":
        """Fit mean and standard deviation of the known (finite) values.

        Raises:
          TargetError: fewer than two known values, or all the same.

        Examples:
          >>> found = Normalizer.fit([1.0, 3.0, np.nan])
          >>> found.mean, round(found.std, 6)
          (2.0, 1.414214)
        """
        known = np.asarray(values, np.float64)
        known = known[np.isfinite(known)]
        if len(known) < 2:
            raise TargetError(
                f"target {name!r}: expected at least 2 known values in the training set, "
                f"got {len(known)}"
            )
        std = float(known.std(ddof=1))
        if std < 1e-12:
            raise TargetError(
                f"target {name!r}: all {len(known)} training values are {known[0]:g}; "
                "nothing to learn"
            )
        return cls(mean=float(known.mean()), std=std)

    @property
    def known_part(self) -> str:
        """Describe baseline and references; "" if there are none."""
        parts = [str(self.baseline)] if self.baseline else []
        parts += [f"values of {len(self.references)} elements"] if self.references else []
        return " + ".join(parts)

    def referenced(self, fractions: np.ndarray) -> np.ndarray:
        """Compute the sum of references (n,) for element fractions (n, 104)."""
        table = np.zeros(len(SYMBOLS))
        for symbol, value in self.references.items():
            table[atomic_number(symbol)] = value
        return fractions @ table


class References(NamedTuple):
    """Linear model of a property in the element fractions.

    The values, by symbol, are zero on average over the crystals.
    """

    values: dict[str, float]
    constant: float


def fit_references(
    blocks: Iterable[tuple[slice, np.ndarray]], values: np.ndarray, name: str = "target"
) -> References:
    """Fit a value per element by ridge regression, in one pass over the crystals.

    `blocks` are positions and element fractions (n, 104), values (crystals,) are NaN where unknown.
    The penalty has the smallest generalized cross-validation error (Golub, Heath, Wahba,
    Technometrics 21 (1979) 215). Elements without a crystal get no value. TargetError with fewer
    than two known values.
    """
    size = len(SYMBOLS)
    gram, cross = np.zeros((size, size)), np.zeros(size)
    sums, counts = np.zeros(size), np.zeros(size, np.int64)
    n, total, square = 0, 0.0, 0.0
    for place, fractions in blocks:
        y = values[place]
        known = np.isfinite(y)
        x, y = fractions[known], y[known]
        gram, cross, sums = gram + x.T @ x, cross + x.T @ y, sums + x.sum(0)
        counts += (x > 0).sum(0)
        n, total, square = n + len(y), total + float(y.sum()), square + float(y @ y)
    if n < 2:
        raise TargetError(f"target {name!r}: references need at least 2 known values, got {n}")
    center, mean = sums / n, total / n
    # Sums about the mean; the constant is not penalized.
    gram, cross = gram - n * np.outer(center, center), cross - n * center * mean
    square = max(square - n * mean**2, 0.0)
    weights, vectors = np.linalg.eigh(gram)
    weights, along = np.maximum(weights, 0), vectors.T @ cross

    def gcv(penalty: float) -> float:
        shrunk = along / (weights + penalty)
        residual = square - 2 * shrunk @ along + weights @ np.square(shrunk)
        freedom = n - 1 - (weights / (weights + penalty)).sum()
        return float(max(residual, 0) / freedom**2)

    slopes = vectors @ (along / (weights + min(_PENALTIES * n, key=gcv)))
    # Fractions sum to one: a constant may move between references and mean.
    seen = np.flatnonzero(counts)
    slopes = slopes - slopes @ center
    return References({SYMBOLS[z]: float(slopes[z]) for z in seen.tolist()}, mean)
