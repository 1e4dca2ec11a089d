"""Scaling laws: values by hand, exact laws, coverage of intervals, and refusals."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgatjax.analysis import Bootstrap, Estimate, equivalent_size, fit_power_law
from cgatjax.analysis.regression import Replicated, replicated, student_quantile, try_extra_term
from cgatjax.errors import InputError

SIZES = [100, 1000, 10_000, 100_000]


@given(st.floats(-1.5, -0.05), st.floats(-3, 3))
def test_an_exact_law_is_recovered_with_an_interval_of_no_width(slope, intercept):
    errors = [10**intercept * n**slope for n in SIZES]
    law = fit_power_law(SIZES, errors, bootstrap=Bootstrap(draws=50))
    assert law.slope == pytest.approx(slope, rel=1e-9)
    assert law.intercept == pytest.approx(intercept, abs=1e-8)
    estimate = law.slope_estimate
    assert estimate.high - estimate.low < 1e-8
    assert law.bend is not None
    assert not law.bend.is_significant()


def test_slope_crossing_and_equivalent_size_by_hand():
    """Errors 1, 0.1, 0.01 at 10, 1000, 100000: slope -1/2, error 10**0.5 at N = 1."""
    scratch = fit_power_law([10, 1000, 100_000], [1, 0.1, 0.01], unit="eV")
    assert scratch.slope == pytest.approx(-0.5)
    assert scratch.prefactor_estimate.value == pytest.approx(math.sqrt(10))
    assert scratch.error_at(10) == pytest.approx(1)
    assert scratch.crossing(0.1).value == pytest.approx(1000)
    halved = fit_power_law([10, 1000, 100_000], [0.5, 0.05, 0.005], unit="eV")
    assert equivalent_size(scratch, halved, 250).value == pytest.approx(1000)


def test_equal_sizes_are_seeds_of_one_point():
    law = fit_power_law([10, 10, 100, 1000], [0.1, 10, 0.1, 0.01])
    np.testing.assert_allclose(law.sizes, [10, 100, 1000])
    np.testing.assert_allclose(law.errors, [1, 0.1, 0.01])
    np.testing.assert_array_equal(law.n_seeds, [2, 1, 1])
    assert law.spreads[0] == pytest.approx(math.sqrt(2))
    assert np.isnan(law.spreads[1:]).all()


def test_the_weight_of_a_point_is_the_inverse_variance_of_its_mean():
    """Squares 2 and 8 with 1 free each: pooled 5; (4*5 + 2)/5 and (4*5 + 8)/5, two values each."""
    data = Replicated((np.array([-1.0, 1.0]), np.array([-2.0, 2.0])))
    np.testing.assert_allclose(data.variances, [22 / 5, 28 / 5])
    ratio = data.weights[0] / data.weights[1]
    assert ratio == pytest.approx(28 / 22)
    single = Replicated((np.array([1.0]), np.array([2.0, 2.0])))
    np.testing.assert_allclose(single.weights, [2 / 3, 4 / 3])


@pytest.mark.parametrize("n_seeds", [1, 3])
def test_intervals_cover_the_truth_at_their_level(n_seeds):
    rng = np.random.default_rng(3)
    sizes = np.repeat(np.geomspace(100, 30_000, 7), n_seeds)
    truth = 0.5 * sizes**-0.3
    fits = [
        fit_power_law(
            sizes,
            truth * 10 ** rng.normal(0, 0.03, len(sizes)),
            bootstrap=Bootstrap(draws=200, seed=trial),
        )
        for trial in range(150)
    ]
    slopes = [f.slope_estimate for f in fits]
    holds = np.mean([s.low <= -0.3 <= s.high for s in slopes])
    assert 0.88 <= holds <= 0.99
    reach = (0.043 / 0.5) ** (1 / -0.3)
    crossings = [f.crossing(0.043) for f in fits]
    assert 0.86 <= np.mean([c.low <= reach <= c.high for c in crossings]) <= 0.99


def test_a_bend_is_detected_and_a_power_law_has_none():
    sizes = np.geomspace(100, 100_000, 8)
    rng = np.random.default_rng(0)
    noise = 10 ** rng.normal(0, 0.01, 8)
    floor = fit_power_law(sizes, (0.5 * sizes**-0.4 + 0.02) * noise).bend
    straight = fit_power_law(sizes, 0.5 * sizes**-0.4 * noise).bend
    assert floor.is_significant()
    assert floor.coefficient > 0
    assert not straight.is_significant()


def test_extra_term_by_hand():
    """Four points, mean 1.5, residuals of the line +-: F by the definition, p by the t table."""
    x = np.array([0.0, 1, 2, 3])
    y = np.array([0.0, 1, 1, 4])
    found = try_extra_term(np.ones((4, 1)), x, y, np.ones(4))
    # Line: slope 1.2, residuals 0.3, 0.1, -1.1, 0.7; S = 9 before, 1.8 after; F = 7.2 / 0.9 = 8.
    assert found.coefficient == pytest.approx(1.2)
    assert found.p_value == pytest.approx(0.1056, abs=1e-4)
    assert found.bic_gain == pytest.approx(4 * math.log(5) - math.log(4))


def test_student_quantiles_agree_with_the_tables():
    for free, t in ((1, 12.706), (3, 3.182), (10, 2.228), (100, 1.984)):
        assert student_quantile(0.95, free) == pytest.approx(t, abs=1e-3)


def test_a_law_that_does_not_decrease_never_reaches_a_lower_error():
    rising = fit_power_law([10, 100, 1000], [1.0, 1.1, 1.3])
    assert rising.crossing(0.5).value == math.inf
    assert "never" in rising.crossing(0.5).text()


def test_three_sizes_are_too_few_to_test_a_bend():
    law = fit_power_law([10, 100, 1000], [1, 0.5, 0.3])
    assert law.bend is None
    assert "too few sizes" in law.text()


def test_the_band_contains_the_law_and_widens_outside_the_points():
    law = fit_power_law(SIZES, [1, 0.45, 0.26, 0.11], bootstrap=Bootstrap(seed=1))
    low, high = law.band(np.array([10.0, 3000.0, 1e7]))
    line = law.error_at(np.array([10.0, 3000.0, 1e7]))
    assert (low <= line).all()
    assert (line <= high).all()
    widths = np.log10(high / low)
    assert widths[1] < min(widths[0], widths[2])


def test_text_of_an_estimate():
    assert Estimate(value=12345.6, low=0.1234, high=math.inf).text() == "12,346 (0.123 to never)"


def test_points_are_grouped_by_all_of_their_coordinates():
    points, data = replicated(np.array([[1, 2], [1, 3], [1, 2]]), np.array([5.0, 6.0, 7.0]))
    np.testing.assert_array_equal(points, [[1, 2], [1, 3]])
    np.testing.assert_array_equal(data.counts, [2, 1])


@pytest.mark.parametrize(
    ("sizes", "errors", "message"),
    [
        ([1, 2, 3], [1, 0, 1], "errors: expected positive.*got 0"),
        ([1, -2, 3], [1, 1, 1], "sizes: expected positive.*got -2"),
        ([1, 2, 3], [1, math.nan, 1], "errors: expected positive.*got nan"),
        ([1, 2, 2], [1, 1, 1], "3 distinct sizes.*got 2"),
        ([1, 2, 3], [1, 1], "as many errors as sizes"),
    ],
)
def test_invalid_sizes_and_errors_are_refused(sizes, errors, message):
    with pytest.raises(InputError, match=message):
        fit_power_law(sizes, errors)


def test_invalid_queries_are_refused():
    law = fit_power_law(SIZES, [1, 0.5, 0.3, 0.1], unit="eV")
    with pytest.raises(InputError, match="error: expected positive"):
        law.crossing(0)
    with pytest.raises(InputError, match="size: expected positive"):
        equivalent_size(law, law, -5)
    with pytest.raises(InputError, match="one unit"):
        equivalent_size(law, fit_power_law(SIZES, [1, 0.5, 0.3, 0.1], unit="meV"), 5)
    with pytest.raises(InputError, match="level"):
        Bootstrap(level=1.0)
