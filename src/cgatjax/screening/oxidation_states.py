"""Whether the charges of a composition can add up to nothing: oxidation states, electronegativity.

The numbers are pymatgen's: its "common" oxidation states, those that occur in the ICSD at least ten
times, and Pauling's electronegativities. Tests run over many compositions at once.

The ordering test is that of Pauling's rules as `smact` has it (Davies et al., Chem 1 (2016) 617):
of the neutral choices of states, one must have every cation less electronegative than every anion.
"""

import functools
import warnings
from typing import Any, Literal

import numpy as np

from cgatjax.structures.elements import SYMBOLS

States = Literal["icsd", "common"]
MOST = 8
"""States are -8..8."""


def neutral(numbers: np.ndarray, counts: np.ndarray, states: States = "icsd") -> np.ndarray:
    """Whether each class can take an oxidation state of its element so that all sum to zero.

    Sites of one class share a state; two classes of one element may have different ones. No state
    is zero, so that elements and alloys are never neutral.

    Args:
      numbers: (m, classes) atomic numbers.
      counts: (classes,) sites of each class.
      states: which table of states.

    Returns:
      (m,) bool.

    >>> neutral(np.array([[56, 22, 8], [56, 22, 9]]), np.array([1, 1, 3])).tolist()
    [True, False]
    """
    kinds, table = _kinds_of_states(states)
    distinct, member = _distinct_rows(kinds[numbers])
    return _reaches_zero(table[distinct], counts)[member]


def ordered(numbers: np.ndarray, counts: np.ndarray, states: States = "icsd") -> np.ndarray:
    """Whether that is possible with every cation less electronegative than every anion.

    Args and returns are those of `neutral`, which this implies. An element without an
    electronegativity fails.

    >>> ordered(np.array([[56, 22, 8], [8, 22, 56]]), np.array([1, 1, 3])).tolist()
    [True, False]
    """
    (kinds, table), chi = _kinds_of_states(states), electronegativities()
    n = numbers.shape[1]
    above = np.concatenate([chi[numbers] >= chi[numbers[:, k, None]] for k in range(n)], axis=1)
    distinct, member = _distinct_rows(np.concatenate([kinds[numbers], above], axis=1))
    allowed, charge = table[distinct[:, :n]], np.arange(-MOST, MOST + 1)
    found = np.zeros(len(distinct), bool)
    for least in range(n):  # the class of the least electronegative anion
        start = n * (1 + least)
        anion = distinct[:, start : start + n, None].astype(bool)
        found |= _reaches_zero(allowed & np.where(anion, charge < 0, charge > 0), counts)
    return found[member] & ~np.isnan(chi[numbers]).any(1)


def _reaches_zero(allowed: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(m,) bool from allowed states (m, classes, 2 * MOST + 1): can the charges sum to zero?"""
    counts = counts // np.gcd.reduce(counts)
    span = int(counts.sum()) * MOST
    reached = np.zeros((len(allowed), 2 * span + 1), bool)
    reached[:, span] = True
    for c, count in enumerate(counts.tolist()):
        sums = np.zeros_like(reached)
        for charge in range(-MOST, MOST + 1):
            has = allowed[:, c, charge + MOST, None]
            if has.any():
                shift = charge * count
                to = slice(max(shift, 0), min(shift, 0) or None)
                source = slice(max(-shift, 0), min(-shift, 0) or None)
                sums[:, to] |= reached[:, source] & has
        reached = sums
    return reached[:, span]


def _distinct_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different rows, and which of them each row is: most compositions are alike in charge."""
    rows = np.ascontiguousarray(rows, np.uint8)
    keys = rows.view(np.dtype((np.void, rows.shape[1]))).ravel()
    _, first, member = np.unique(keys, return_index=True, return_inverse=True)
    return rows[first], member.ravel()


@functools.cache
def _kinds_of_states(states: States) -> tuple[np.ndarray, np.ndarray]:
    """(104,) uint8 kind of each element, and (kinds, 17) the states that its elements have."""
    table, kinds = np.unique(oxidation_states(states), axis=0, return_inverse=True)
    return kinds.ravel().astype(np.uint8), table


@functools.cache
def oxidation_states(states: States = "icsd") -> np.ndarray:
    """(104, 17) bool: whether the element (row = atomic number) has the state -8..8; never 0.

    Elements without a state in the ICSD list (gold, say) have their common ones in both tables.
    """
    table = np.zeros((len(SYMBOLS), 2 * MOST + 1), bool)
    for number, element in enumerate(_elements(), 1):
        listed = element.icsd_oxidation_states if states == "icsd" else ()
        for charge in listed or element.common_oxidation_states:
            table[number, int(charge) + MOST] = charge != 0
    return table


@functools.cache
def electronegativities() -> np.ndarray:
    """(104,) Pauling electronegativity by atomic number; NaN where there is none."""
    with warnings.catch_warnings():  # pymatgen warns of noble gases
        warnings.simplefilter("ignore", UserWarning)
        return np.array([np.nan, *(float(element.X) for element in _elements())])


def _elements() -> list[Any]:
    from pymatgen.core import Element

    return [Element(symbol) for symbol in SYMBOLS[1:]]
