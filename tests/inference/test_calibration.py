"""Numbers of calibration against values worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri

from cgatjax.errors import InputError
from cgatjax.inference.calibration import (
    best_factor,
    binned,
    calibration_report,
    coverage,
    interval_levels,
    known_errors,
    miscalibration_area,
)

N = 4000
QUANTILES = ndtri((np.arange(N) + 0.5) / N)
"""A normal sample without chance."""


def area_of(factor):
    return miscalibration_area(interval_levels(QUANTILES, np.full(N, factor)))


def test_a_normal_sample_is_calibrated():
    assert area_of(1.0) < 1 / N
    report = calibration_report(np.zeros(N), QUANTILES, np.ones(N))
    assert report.nll == pytest.approx(0.5 * np.log(2 * np.pi * np.e), abs=2e-3)
    assert report.mae == pytest.approx(np.sqrt(2 / np.pi), abs=1e-3)
    assert (report.n, report.sharpness) == (N, 1.0)
    assert np.isnan(report.spearman)


@pytest.mark.parametrize("factor", [0.25, 0.5, 2.0, 3.0])
def test_a_wrong_factor_gives_its_area(factor):
    """The mean of 2 Phi(k z) - 1 over |z| of a normal z is 2/pi arctan(k)."""
    expected = abs(2 / np.pi * np.arctan(factor) - 0.5)
    assert area_of(factor) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("by", ["likelihood", "area"])
def test_the_best_factor_undoes_a_wrong_one(by):
    std = np.full(N, 0.4)
    assert best_factor(QUANTILES * 1.2, std, by) == pytest.approx(3.0, rel=5e-3)


def test_the_factor_by_area_is_not_swayed_by_a_few_large_errors():
    error = np.concatenate([QUANTILES, np.full(40, 30.0)])
    std = np.ones(len(error))
    assert best_factor(error, std, "likelihood") > 3
    assert best_factor(error, std, "area") == pytest.approx(1.0, abs=0.05)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_the_area_is_that_of_a_fine_grid(levels):
    grid = (np.arange(20_000) + 0.5) / 20_000
    on_grid = np.abs(coverage(np.array(levels), grid) - grid).mean()
    area = miscalibration_area(np.array(levels))
    assert area == pytest.approx(on_grid, abs=1e-3)
    assert 0 <= area <= 0.5 + 1e-12


def test_coverage_counts_by_hand():
    levels = interval_levels(np.array([0.0, 1.0, -2.0, 5.0]), np.ones(4))
    found = coverage(levels, np.array([0.5, 0.683, 0.955, 0.999]))
    np.testing.assert_array_equal(found, [0.25, 0.5, 0.75, 0.75])


def test_bins_hold_equal_numbers_in_the_order_of_the_std():
    rng = np.random.default_rng(0)
    std = rng.uniform(1, 5, 1000)
    bins = binned(rng.normal(0, std), std, bins=7)
    assert bins.n.sum() == 1000
    assert set(bins.n) <= {142, 143}
    assert (np.diff(bins.std) > 0).all()
    np.testing.assert_allclose(bins.rmse, bins.std, rtol=0.2)
    assert binned(np.ones(3), np.ones(3), bins=10).n.tolist() == [1, 1, 1]


def test_errors_that_follow_the_std_have_a_rank_correlation():
    std = np.linspace(1, 2, 50)
    assert calibration_report(np.zeros(50), std**2, std).spearman == pytest.approx(1)
    assert calibration_report(np.zeros(50), 1 / std, std).spearman == pytest.approx(-1)


def test_unknown_rows_are_left_out_and_nothing_left_is_an_error():
    error, std = known_errors(np.array([0, np.nan, 1]), np.ones(3), np.array([2, 1, np.nan]))
    assert (error.tolist(), std.tolist()) == ([1], [2])
    with pytest.raises(InputError, match="at least one crystal with a known value"):
        calibration_report(np.array([1.0]), np.ones(1), np.array([np.nan]))
    with pytest.raises(InputError, match="positive standard deviations, got 0"):
        calibration_report(np.zeros(2), np.ones(2), np.array([0.0, 1.0]))
    with pytest.raises(InputError, match="all errors are zero"):
        best_factor(np.zeros(3), np.ones(3))
