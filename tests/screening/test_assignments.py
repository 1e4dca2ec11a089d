"""Numbered assignments of elements to site classes."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgatjax.errors import InputError, StructureError
from cgatjax.screening.templates import Assignments, elements_of

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
def test_assignments_are_the_cartesian_product_in_order(pools) -> None:
    found = Assignments(pools)
    expected = [list(row) for row in itertools.product(*pools)]
    assert found.at(0, found.n).tolist() == expected


@given(POOLS, st.data())
def test_any_range_of_numbers_gives_a_slice_of_the_product(pools, data) -> None:
    found = Assignments(pools)
    start = data.draw(st.integers(0, found.n - 1))
    stop = data.draw(st.integers(start, found.n))
    rows = found.at(start, stop)
    assert rows.shape == (stop - start, len(pools))
    assert rows.tolist() == found.at(0, found.n)[start:stop].tolist()


def test_the_last_of_a_trillion_assignments_needs_no_enumeration() -> None:
    found = Assignments((tuple(range(1, 101)),) * 6)
    assert found.n == 10**12
    assert found.at(10**12 - 2, 10**12).tolist() == [[100] * 5 + [99], [100] * 6]


def test_invalid_input_is_refused() -> None:
    with pytest.raises(InputError, match="at least one site class"):
        Assignments(())
    with pytest.raises(InputError, match=r"class 1: .*different elements, got \['O', 'O'\]"):
        Assignments(((1,), (8, 8)))
    with pytest.raises(InputError, match="different elements, got \\[\\]"):
        Assignments(((),))
    with pytest.raises(InputError, match="shorter lists of elements"):
        Assignments((tuple(range(1, 104)),) * 10)
    with pytest.raises(InputError, match=r"within 0\.\.2, got 1\.\.3"):
        Assignments(((1, 2),)).at(1, 3)


def test_element_symbols_are_converted_and_checked() -> None:
    assert elements_of(["Ba", "Ti"]) == (56, 22)
    with pytest.raises(StructureError, match="unknown element 'Xx'"):
        elements_of(["Xx"])
    with pytest.raises(InputError, match="'Ti' twice"):
        elements_of(["Ti", "O", "Ti"])
    with pytest.raises(InputError, match="empty list"):
        elements_of([])
