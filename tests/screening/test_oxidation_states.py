"""Charge neutrality and electronegativity ordering against plain enumeration."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgatjax.screening.oxidation_states import (
    MAX_STATE,
    _distinct_rows,
    electronegativities,
    neutral,
    ordered,
    oxidation_states,
)
from cgatjax.structures.elements import SYMBOLS, atomic_number


def rows(*formulas: str) -> np.ndarray:
    return np.array([[atomic_number(s) for s in f.split()] for f in formulas])


@pytest.mark.parametrize(
    ("elements", "counts", "expected"),
    [
        ("Ba Ti O", (1, 1, 3), True),  # 2 + 4 - 6
        ("La Mn O", (1, 1, 3), True),  # 3 + 3 - 6
        ("Na Cl", (1, 1), True),
        ("Na Cl", (2, 1), False),
        ("Ba Ti F", (1, 1, 3), False),  # 2 + 2..4 - 3
        ("Fe Fe O", (1, 2, 4), True),  # 2 + 2 * 3 - 8: two classes of iron
        ("Fe O", (3, 4), False),  # but not one class
        ("Ne Ar", (1, 1), False),
        ("Cu Au", (1, 1), False),  # alloys have no charges
    ],
)
def test_known_compositions(elements, counts, expected) -> None:
    assert neutral(rows(elements), np.array(counts)).tolist() == [expected]


def test_common_states_are_a_stricter_filter() -> None:
    lanthanum_manganite = rows("La Mn O")
    assert not neutral(lanthanum_manganite, np.array([1, 1, 3]), "common")[0]
    assert neutral(rows("Ba Ti O"), np.array([1, 1, 3]), "common")[0]


def test_electronegativity_ordering_by_hand() -> None:
    found = ordered(rows("Ba Ti O", "O Ti Ba", "N O O"), np.array([1, 1, 3]))
    assert found.tolist() == [True, False, False]
    # Nitrogen as N5+ with O2- would do in NaNO3; chlorine (3.16) above nitrogen (3.04) is an anion.
    assert ordered(rows("Na N O"), np.array([1, 1, 3])).tolist() == [True]


def test_elements_without_electronegativity_fail_the_order() -> None:
    chi = electronegativities()
    assert np.isnan(chi[0])
    assert np.isnan(chi[atomic_number("Ne")])
    assert not ordered(rows("Ne O"), np.array([1, 1]))[0]


def by_enumeration(numbers, counts, states, in_order: bool) -> bool:
    table, chi = oxidation_states(states), electronegativities()
    choices = [np.flatnonzero(table[z]) - MAX_STATE for z in numbers]
    for charges in itertools.product(*choices):
        if np.dot(charges, counts) != 0:
            continue
        cations = [chi[z] for z, q in zip(numbers, charges, strict=True) if q > 0]
        anions = [chi[z] for z, q in zip(numbers, charges, strict=True) if q < 0]
        if not in_order or (not np.isnan(cations + anions).any() and max(cations) < min(anions)):
            return True
    return False


@given(
    st.lists(st.integers(1, 103), min_size=1, max_size=4),
    st.lists(st.integers(1, 6), min_size=4, max_size=4),
    st.sampled_from(["icsd", "common"]),
)
def test_against_plain_enumeration(numbers, counts, states) -> None:
    counts = np.array(counts[: len(numbers)])
    given_rows = np.array([numbers, numbers[::-1]])
    for test, in_order in ((neutral, False), (ordered, True)):
        expected = [by_enumeration(row, counts, states, in_order) for row in given_rows.tolist()]
        assert test(given_rows, counts, states).tolist() == expected


def test_the_tables_have_a_row_for_every_element() -> None:
    for states in ("icsd", "common"):
        table = oxidation_states(states)
        assert table.shape == (len(SYMBOLS), 17)
        assert not table[:, MAX_STATE].any()
        assert table[atomic_number("Au")].any()
    assert np.flatnonzero(oxidation_states("icsd")[8] != 0).tolist() == [MAX_STATE - 2]


@given(st.lists(st.lists(st.integers(0, 255), min_size=9, max_size=9), min_size=1, max_size=6))
def test_distinct_rows_of_few_and_of_many_columns(values) -> None:
    """Up to seven columns of 256 values make integer keys, more are compared as bytes."""
    for width in (1, 3, 7, 9):
        rows = np.array(values, np.uint8)[:, :width]
        distinct, member = _distinct_rows(rows)
        np.testing.assert_array_equal(distinct[member], rows)
        assert len(distinct) == len({tuple(row) for row in rows.tolist()})
