"""Counting the ways to put elements on classes of sites."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgatjax.errors import InputError, StructureError
from cgatjax.screening.assignments import Assignments, elements_of

POOLS = st.lists(
    st.lists(st.integers(1, 103), min_size=1, max_size=5, unique=True).map(tuple),
    min_size=1,
    max_size=4,
).map(tuple)


def test_the_last_class_changes_fastest() -> None:
    found = Assignments(((38, 56), (22,), (8, 16, 34)))
    assert found.n == 6
    assert found.at(0, 6).tolist() == [
        [38, 22, 8],
        [38, 22, 16],
        [38, 22, 34],
        [56, 22, 8],
        [56, 22, 16],
        [56, 22, 34],
    ]


@given(POOLS)
def test_all_come_once_in_the_order_of_a_product(pools) -> None:
    found = Assignments(pools)
    expected = [list(row) for row in itertools.product(*pools)]
    assert found.at(0, found.n).tolist() == expected


@given(POOLS, st.data())
def test_number_and_assignment_determine_each_other(pools, data) -> None:
    found = Assignments(pools)
    start = data.draw(st.integers(0, found.n - 1))
    stop = data.draw(st.integers(start, found.n))
    rows = found.at(start, stop)
    assert rows.shape == (stop - start, len(pools))
    assert [found.index_of(row) for row in rows.tolist()] == list(range(start, stop))


def test_the_end_of_a_space_of_billions_is_as_near_as_its_beginning() -> None:
    found = Assignments((tuple(range(1, 101)),) * 6)
    assert found.n == 10**12
    assert found.at(10**12 - 2, 10**12).tolist() == [[100] * 5 + [99], [100] * 6]
    assert found.index_of([100] * 6) == 10**12 - 1


def test_mistakes_are_named() -> None:
    with pytest.raises(InputError, match="at least one class"):
        Assignments(())
    with pytest.raises(InputError, match=r"class 1: .*different elements, got \['O', 'O'\]"):
        Assignments(((1,), (8, 8)))
    with pytest.raises(InputError, match="different elements, got \\[\\]"):
        Assignments(((),))
    with pytest.raises(InputError, match="too many to count"):
        Assignments((tuple(range(1, 104)),) * 10)
    with pytest.raises(InputError, match=r"within 0\.\.2, got 1\.\.3"):
        Assignments(((1, 2),)).at(1, 3)
    with pytest.raises(InputError, match=r"one of \['H', 'He'\], got 'O'"):
        Assignments(((1, 2),)).index_of([8])
    with pytest.raises(InputError, match="expected 1 elements, got 2"):
        Assignments(((1, 2),)).index_of(np.array([1, 2]))


def test_symbols() -> None:
    assert elements_of(["Ba", "Ti"]) == (56, 22)
    with pytest.raises(StructureError, match="unknown element 'Xx'"):
        elements_of(["Xx"])
    with pytest.raises(InputError, match="'Ti' twice"):
        elements_of(["Ti", "O", "Ti"])
    with pytest.raises(InputError, match="empty list"):
        elements_of([])
