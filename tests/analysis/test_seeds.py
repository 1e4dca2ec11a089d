"""Spread over seeds, and significance of differences."""

import numpy as np
import pytest
import scipy.stats

from cgatjax.analysis.seeds import SeedSpread
from cgatjax.errors import InputError


def test_the_interval_of_a_comparison_is_that_of_the_t_test():
    """Two methods with the same variance and n seeds each: the t test of two samples of logs."""
    ours, base = [1.0, 1.1, 1.3], [1.2, 1.5, 1.4]
    spread = SeedSpread.of([ours, base])
    expected = scipy.stats.ttest_ind(np.log(ours), np.log(base)).confidence_interval(0.95)
    found = spread.compare(ours, base)
    width = np.log(1 + found.high) - np.log(1 + found.low)
    assert width == pytest.approx(expected.high - expected.low, rel=1e-12)
    assert found.change == pytest.approx(3.4 / 4.1 - 1)


def test_false_positives_occur_at_the_nominal_rate():
    """5 % of true nulls are decided, whatever the number of seeds."""
    random = np.random.default_rng(0)
    for seeds in (2, 3):
        decided = 0
        for _ in range(2000):
            methods = np.exp(0.05 * random.standard_normal((6, seeds)))
            found = SeedSpread.of(methods).compare(methods[0], methods[1])
            decided += found.verdict != "undecided"
        assert 0.035 < decided / 2000 < 0.065


def test_errors_must_be_positive():
    with pytest.raises(InputError, match=r"positive errors, got \[1.0, 0.0\]"):
        SeedSpread.of([[1.0, 0.0]])
