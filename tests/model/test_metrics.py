import json
import math
import operator

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgatjax.model.metrics import (
    ErrorSums,
    Totals,
    error_sums,
    errors_of,
    mean_over_targets,
    summarize,
)


def test_worked_out_by_hand():
    found = errors_of(np.array([1.0, 2.0, 5.0]), np.array([2.0, 2.0, 1.0]))
    assert found == {"mae": pytest.approx(5 / 3), "rmse": pytest.approx((17 / 3) ** 0.5), "n": 3}


def test_unknown_values_are_left_out_and_counted_so():
    found = errors_of(np.array([1.0, 2.0, 3.0]), np.array([np.nan, 3.0, np.nan]))
    assert found == {"mae": 1.0, "rmse": 1.0, "n": 1}


def test_nothing_known_gives_no_error():
    found = errors_of(np.array([1.0]), np.array([np.nan]))
    assert math.isnan(found["mae"])
    assert math.isnan(found["rmse"])
    assert found["n"] == 0


@given(st.integers(0, 10**6), st.integers(1, 5))
def test_sums_of_batches_are_those_of_the_whole(seed, n_batches):
    rng = np.random.default_rng(seed)
    predictions, targets = rng.normal(size=(2, 40))
    targets[rng.random(40) < 0.3] = np.nan
    mask = np.isfinite(targets)
    total = ErrorSums(0.0, 0.0, 0.0)
    for rows in np.array_split(rng.permutation(40), n_batches):
        sums = error_sums(predictions[rows], np.nan_to_num(targets)[rows], mask[rows])
        total = jax.tree.map(operator.add, total, sums)
    expected = errors_of(predictions, targets)
    assert summarize(total) == pytest.approx(expected, rel=1e-5)


def test_the_score_weighs_targets_by_their_spread():
    errors = {"a": {"mae": 2.0, "n": 3}, "b": {"mae": 10.0, "n": 1}, "c": {"mae": 9.0, "n": 0}}
    assert mean_over_targets(errors, {"a": 4.0, "b": 10.0, "c": 1.0}) == 0.75
    assert math.isnan(mean_over_targets({"c": errors["c"]}, {"c": 1.0}))


def test_totals_add_up_and_come_back_from_json():
    totals = Totals()
    totals.add(np.float32(0.1), 2, {"a": ErrorSums(1.0, 2.0, 2)})
    totals.add(
        np.float32(0.2), np.float32(1), {"a": ErrorSums(0.5, 0.25, 1), "b": ErrorSums(3, 9, 1)}
    )
    assert totals.loss == float(np.float32(0.1)) + float(np.float32(0.2))
    assert totals.n == 3
    assert totals.errors == {"a": (1.5, 2.25, 3), "b": (3, 9, 1)}
    assert Totals.from_plain(json.loads(json.dumps(totals.to_plain()))) == totals
