"""Mean and standard deviation of a target over the training set."""

import sys
from dataclasses import dataclass

import numpy as np

from cgatjax.errors import InputError, TargetError
from cgatjax.structures.properties import is_number


@dataclass(frozen=True, kw_only=True)
class Normalizer:
    """Normalizer of a target: zero mean and unit standard deviation, and back.

    Attributes:
      mean, std: in the target's unit; std is the sample one (n - 1), as torch's.
    """

    mean: float
    std: float

    def __post_init__(self) -> None:
        """Raise InputError unless both are finite and std positive; they may come from a file."""
        for name, value in (("mean", self.mean), ("std", self.std)):
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
          >>> Normalizer.fit([1.0, 3.0, np.nan])
          Normalizer(mean=2.0, std=1.4142135623730951)
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
