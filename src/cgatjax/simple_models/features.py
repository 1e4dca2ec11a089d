"""Features of crystals that need no network: statistics of the composition, and known values.

The statistics are of the kind of Ward et al., npj Comput. Mater. 2 (2016) 16028 ("Magpie"): mean,
deviation, smallest, largest and range of tabulated properties over the elements of a crystal.
"""

from collections.abc import Sequence

import numpy as np

from cgatjax.data.compositions import element_fractions
from cgatjax.data.datasets import Crystals
from cgatjax.errors import InputError
from cgatjax.structures import SYMBOLS
from cgatjax.structures.element_properties import ELEMENT_PROPERTIES, element_properties

STATISTICS = ("mean", "deviation", "min", "max", "range")
"""Statistics over the elements; mean and average absolute deviation are weighted by fraction."""
_FROM_COMPOSITION = 1 + len(STATISTICS) * len(ELEMENT_PROPERTIES)


def composition_features(
    fractions: np.ndarray | Crystals, values: Sequence[np.ndarray] = ()
) -> np.ndarray:
    """Compute the features of crystals for a `SimpleModel`.

    Args:
      fractions: (crystals, 104) element fractions by atomic number, or a data set.
      values: further features, (crystals,) each, such as a low-fidelity value; NaN where unknown.

    Returns:
      (crystals, features) float64, in the order of `feature_names`; NaN where no element of a
      crystal has a value in the table.

    Raises:
      InputError: arrays of other shapes.
    """
    if not isinstance(fractions, np.ndarray):
        fractions = element_fractions(fractions)
    if fractions.ndim != 2 or fractions.shape[1] != len(SYMBOLS):
        raise InputError(f"expected fractions (crystals, {len(SYMBOLS)}), got {fractions.shape}")
    for extra in values:
        if np.shape(extra) != (len(fractions),):
            raise InputError(f"expected ({len(fractions)},) values, got {np.shape(extra)}")
    columns = [(fractions > 0).sum(1).astype(float)]
    for table in element_properties().T:
        columns += _statistics(fractions, table)
    return np.column_stack([*columns, *values, fractions[:, 1:]])


def feature_names(values: Sequence[str] = ()) -> list[str]:
    """Name the columns of `composition_features`.

    Args:
      values: names of the further features.
    """
    statistics = [f"{s} of {name}" for name in ELEMENT_PROPERTIES for s in STATISTICS]
    return ["number of elements", *statistics, *values, *(f"fraction of {s}" for s in SYMBOLS[1:])]


def _statistics(fractions: np.ndarray, table: np.ndarray) -> list[np.ndarray]:
    """Compute the statistics of one property (104,) over the elements with a known value."""
    known = np.isfinite(table)
    weights, values = fractions[:, known], table[known]
    present = weights > 0
    total = weights.sum(1)
    empty = total == 0
    share = weights / np.where(empty, 1, total)[:, None]
    mean = share @ values
    deviation = (share * np.abs(values - mean[:, None])).sum(1)
    low = np.where(present, values, np.inf).min(1)
    high = np.where(present, values, -np.inf).max(1)
    statistics = (mean, deviation, np.where(empty, 0, low), np.where(empty, 0, high))
    return [np.where(empty, np.nan, s) for s in (*statistics, statistics[3] - statistics[2])]
