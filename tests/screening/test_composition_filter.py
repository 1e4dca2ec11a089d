"""Filters of compositions, and the reasons that they give."""

import itertools

import numpy as np
import pytest

from cgatjax.errors import ConfigError
from cgatjax.screening.composition_filter import (
    CHARGED,
    KEPT,
    NOT_ALLOWED,
    REASONS,
    REFUSED,
    REPEATED,
    TOO_FEW,
    UNORDERED,
    CompositionFilter,
    equivalent_to_another,
)
from cgatjax.screening.templates import Assignments

COUNTS = np.array([1, 1, 3])
BA, TI, O, F = 56, 22, 8, 9  # noqa: E741
ROWS = np.array([[BA, TI, O], [TI, TI, O], [BA, TI, F], [O, TI, BA], [O, O, O]])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [KEPT] * 5),
        ({"allowed": ("Ti", "O")}, [NOT_ALLOWED, KEPT, NOT_ALLOWED, NOT_ALLOWED, KEPT]),
        ({"forbidden": ("F",)}, [KEPT, KEPT, NOT_ALLOWED, KEPT, KEPT]),
        ({"distinct": True}, [KEPT, REPEATED, KEPT, KEPT, REPEATED]),
        ({"min_elements": 2}, [KEPT, KEPT, KEPT, KEPT, TOO_FEW]),
        # Ti3+ on both sites with three O2-; barium and titanium are no anions.
        ({"charge": "neutral"}, [KEPT, KEPT, CHARGED, CHARGED, CHARGED]),
        ({"charge": "neutral", "distinct": True}, [KEPT, REPEATED, CHARGED, CHARGED, REPEATED]),
    ],
)
def test_codes_name_the_first_failed_test(options, expected) -> None:
    assert CompositionFilter(**options).codes(ROWS, COUNTS).tolist() == expected


def test_ordered_charges_exclude_a_neutral_compound_in_the_wrong_order() -> None:
    """Gold (2.54) would be the cation of tellurium (2.1): Au2Te3 from 3 and -2."""
    gold_telluride = np.array([[79, 52]])
    counts = np.array([2, 3])
    assert CompositionFilter(charge="neutral").codes(gold_telluride, counts) == [KEPT]
    assert CompositionFilter(charge="ordered").codes(gold_telluride, counts) == [UNORDERED]
    assert REASONS[UNORDERED].startswith("no neutral choice")


def stable(symbols, amounts):
    return symbols[-1] == "O" and amounts == (1, 1, 3)


def undecided(symbols, amounts):
    return None


def test_custom_functions(monkeypatch) -> None:
    import sys
    import types

    module = types.ModuleType("rules_of_mine")
    module.stable, module.undecided, module.number = stable, undecided, 3
    monkeypatch.setitem(sys.modules, "rules_of_mine", module)
    keep = CompositionFilter(function="rules_of_mine:stable")
    assert keep.codes(ROWS, COUNTS).tolist() == [KEPT, KEPT, REFUSED, REFUSED, KEPT]
    with pytest.raises(ConfigError, match=r"expected True or False, got None"):
        CompositionFilter(function="rules_of_mine:undecided").codes(ROWS, COUNTS)
    with pytest.raises(ConfigError, match="expected a function, got int"):
        CompositionFilter(function="rules_of_mine:number")
    for name in ("rules_of_mine:absent", "no_such_module:f", "no-colon", ":f"):
        with pytest.raises(ConfigError, match="expected MODULE:FUNCTION"):
            CompositionFilter(function=name)


@pytest.mark.parametrize(
    "options", [{"allowed": ("Xx",)}, {"forbidden": ("o",)}, {"min_elements": 0}, {"charge": "no"}]
)
def test_invalid_options_are_refused(options) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        CompositionFilter(**options)


@pytest.mark.parametrize("pools", [((1, 2, 3), (1, 2, 3)), ((3, 1, 2), (2, 3)), ((1,), (2,))])
def test_the_first_of_equivalent_assignments_is_kept(pools) -> None:
    """Two classes that may be exchanged: of each unordered pair of elements one is kept."""
    found = Assignments(pools)
    numbers = found.at(0, found.n)
    repeated = equivalent_to_another(numbers, pools, np.array([[1, 0]]))
    seen, expected = set(), []
    for row in itertools.product(*pools):
        expected.append(frozenset(row) in seen)
        seen.add(frozenset(row))
    assert repeated.tolist() == expected


def test_without_equivalent_classes_no_assignment_is_left_out() -> None:
    found = equivalent_to_another(np.array([[1, 2]]), ((1,), (2,)), np.empty((0, 2), int))
    assert found.tolist() == [False]
