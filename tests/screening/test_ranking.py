"""Selection of the predictions to keep."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgatjax.errors import ConfigError
from cgatjax.screening.ranking import BEYOND, NOT_FINITE, Keep, Selection

VALUES = st.lists(st.integers(-4, 4).map(float) | st.just(float("nan")), max_size=8)


def test_predictions_outside_thresholds_or_not_finite_are_left_out() -> None:
    rows, counts = Selection(Keep(below=2.0, above=-1.0)).chosen(
        np.array([3.0, 1.0, np.nan, -1.0, 0.5, np.inf])
    )
    assert rows.tolist() == [4, 1]
    assert counts == {NOT_FINITE: 2, BEYOND: 2}


@given(st.lists(VALUES, max_size=5), st.integers(1, 6), st.booleans())
def test_the_best_of_all_chunks_are_among_the_kept_rows(chunks, best, highest) -> None:
    selection = Selection(Keep(best=best, highest=highest))
    kept = []
    for number, values in enumerate(chunks):
        means = np.array(values, np.float64)
        rows, _ = selection.chosen(means)
        assert len(rows) <= best
        kept += [(means[r], number, r) for r in rows.tolist()]
    everything = [
        (v, number, r)
        for number, values in enumerate(chunks)
        for r, v in enumerate(values)
        if np.isfinite(v)
    ]
    sign = -1 if highest else 1
    by_rank = lambda row: (sign * row[0], row[1:])  # noqa: E731
    assert sorted(kept, key=by_rank)[:best] == sorted(everything, key=by_rank)[:best]


def test_earlier_rows_raise_the_bar() -> None:
    selection = Selection(Keep(best=2))
    selection.note(np.array([1.0, 2.0]))
    assert selection.chosen(np.array([2.0, 1.5, 3.0]))[0].tolist() == [1]


@pytest.mark.parametrize("options", [{"best": 0}, {"below": 0.0, "above": 1.0}])
def test_invalid_options_are_refused(options) -> None:
    with pytest.raises(ConfigError):
        Keep(**options)
