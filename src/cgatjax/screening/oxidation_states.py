"""Charge neutrality and electronegativity ordering of compositions, vectorized.

Data are from pymatgen: its "common" oxidation states, those that occur in the ICSD at least ten
times, and Pauling electronegativities.

The ordering test follows the screening of Davies et al., Chem 1 (2016) 617 (`smact`): in one of the
neutral combinations of oxidation states, every cation must be less electronegative than every
anion.
"""

import functools
import math
import warnings
from typing import Any, Literal

import numpy as np

from cgatjax.structures import SYMBOLS

States = Literal["icsd", "common"]
MAX_STATE = 8
"""Largest magnitude of an oxidation state."""


def neutral(numbers: np.ndarray, counts: np.ndarray, states: States = "icsd") -> np.ndarray:
    """Check whether the oxidation states of the site classes can sum to zero, for m compositions.

    Sites of one class share a state; two classes of one element may have different states. Zero is
    no state, so that elements and alloys are never neutral. `numbers` are (m, classes) atomic
    numbers, `counts` the number of sites in each class.

    >>> neutral(np.array([[56, 22, 8], [56, 22, 9]]), np.array([1, 1, 3])).tolist()
    [True, False]
    """
    kinds, table = _kinds_of_states(states)
    distinct, member = _distinct_rows(kinds[numbers])
    return _reaches_zero(table[distinct], counts)[member]


def ordered(numbers: np.ndarray, counts: np.ndarray, states: States = "icsd") -> np.ndarray:
    """Check for a neutral combination with all cations less electronegative than all anions.

    Arguments and returns as of `neutral`, which this test implies. False for compositions with an
    element without an electronegativity.

    >>> ordered(np.array([[56, 22, 8], [8, 22, 56]]), np.array([1, 1, 3])).tolist()
    [True, False]
    """
    (kinds, table), chi = _kinds_of_states(states), electronegativities()
    n = numbers.shape[1]
    above = np.concatenate([chi[numbers] >= chi[numbers[:, k, None]] for k in range(n)], axis=1)
    distinct, member = _distinct_rows(np.concatenate([kinds[numbers], above], axis=1))
    allowed, charge = table[distinct[:, :n]], np.arange(-MAX_STATE, MAX_STATE + 1)
    found = np.zeros(len(distinct), bool)
    # In an ordered combination the anions are the classes at or above the least electronegative
    # anion, so trying each class as this one covers all combinations.
    for least in range(n):
        start = n * (1 + least)
        anion = distinct[:, start : start + n, None].astype(bool)
        found |= _reaches_zero(allowed & np.where(anion, charge < 0, charge > 0), counts)
    return found[member] & ~np.isnan(chi[numbers]).any(1)


def _reaches_zero(allowed: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Check by dynamic programming which of m compositions can have zero total charge.

    `allowed` states are (m, classes, 2 * MAX_STATE + 1).
    """
    counts = counts // np.gcd.reduce(counts)
    span = int(counts.sum()) * MAX_STATE
    reached = np.zeros((len(allowed), 2 * span + 1), bool)
    reached[:, span] = True
    for c, count in enumerate(counts.tolist()):
        sums = np.zeros_like(reached)
        for charge in range(-MAX_STATE, MAX_STATE + 1):
            has = allowed[:, c, charge + MAX_STATE, None]
            if has.any():
                shift = charge * count
                to = slice(max(shift, 0), min(shift, 0) or None)
                source = slice(max(-shift, 0), min(-shift, 0) or None)
                sums[:, to] |= reached[:, source] & has
        reached = sums
    return reached[:, span]


def _distinct_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct rows and the index of each row among them (few differ in charge)."""
    radix = rows.max(0).astype(np.int64) + 1
    keys: np.ndarray
    if math.prod(radix.tolist()) < 2**63:  # ten times faster to sort than rows of bytes
        keys = rows @ np.append(np.cumprod(radix[:0:-1])[::-1], 1)
    else:
        rows = np.ascontiguousarray(rows, np.uint8)
        keys = rows.view(np.dtype((np.void, rows.shape[1]))).ravel()
    _, first, member = np.unique(keys, return_index=True, return_inverse=True)
    return rows[first], member.ravel()


@functools.cache
def _kinds_of_states(states: States) -> tuple[np.ndarray, np.ndarray]:
    """Group elements by their states: (104,) uint8 kind of each, (kinds, 17) bool states."""
    table, kinds = np.unique(oxidation_states(states), axis=0, return_inverse=True)
    return kinds.ravel().astype(np.uint8), table


@functools.cache
def oxidation_states(states: States = "icsd") -> np.ndarray:
    """Tabulate the oxidation states -8..8 of all elements, (104, 17) bool by atomic number, without
    0.

    Elements without an ICSD state, such as gold, have their common states in both tables.
    """
    table = np.zeros((len(SYMBOLS), 2 * MAX_STATE + 1), bool)
    for number, element in enumerate(_elements(), 1):
        listed = element.icsd_oxidation_states if states == "icsd" else ()
        for charge in listed or element.common_oxidation_states:
            table[number, int(charge) + MAX_STATE] = charge != 0
    return table


@functools.cache
def electronegativities() -> np.ndarray:
    """Tabulate (104,) Pauling electronegativities by atomic number, NaN if undefined."""
    with warnings.catch_warnings():  # pymatgen warns of noble gases
        warnings.simplefilter("ignore", UserWarning)
        return np.array([np.nan, *(float(element.X) for element in _elements())])


def _elements() -> list[Any]:
    from pymatgen.core import Element

    return [Element(symbol) for symbol in SYMBOLS[1:]]
