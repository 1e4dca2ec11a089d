"""Calibration figures: numbers, units and labels."""

import numpy as np
import pytest
from scipy.special import ndtri

from cgatjax.errors import InputError
from cgatjax.plotting.calibration_plots import calibration, reliability

N = 1000
ERRORS = ndtri((np.arange(N) + 0.5) / N)
SETS = {
    "before": (np.zeros(N), ERRORS, np.full(N, 0.5)),
    "after": (np.zeros(N), ERRORS, np.ones(N)),
}


def test_the_reliability_diagram_shows_coverage_and_its_area():
    axes = reliability(SETS, "gaps").axes[0]
    diagonal, before, after = axes.get_lines()
    np.testing.assert_array_equal(diagonal.get_xydata(), [[0, 0], [1, 1]])
    at_half = before.get_ydata()[np.searchsorted(before.get_xdata(), 0.5)]
    assert at_half == pytest.approx(0.264, abs=2e-3)  # 2 Phi(0.6745 / 2) - 1
    assert np.abs(after.get_ydata() - after.get_xdata()).max() < 2e-3
    labels = [t.get_text() for t in axes.get_legend().get_texts()]
    assert labels == ["before: area 0.205", "after: area 0.000"]
    assert axes.get_title() == "gaps"


def test_errors_are_drawn_against_standard_deviations():
    std = np.linspace(1, 3, N)
    target = np.where(np.arange(N) == 0, np.nan, 0)
    axes = calibration({"run": (target, std, std)}, "eV").axes[1]
    points, diagonal = axes.get_lines()
    assert len(points.get_xdata()) == 10
    np.testing.assert_allclose(points.get_xdata(), points.get_ydata())
    low, high = diagonal.get_xdata()
    assert low < points.get_xdata().min() < points.get_xdata().max() < high
    assert axes.get_xlim() == axes.get_ylim() == (low, high)
    assert axes.get_xlabel() == "predicted standard deviation (eV)"
    assert axes.get_ylabel() == "root mean square error (eV)"
    assert axes.get_xscale() == axes.get_yscale() == "log"


def test_both_panels_in_one_figure(tmp_path):
    figure = calibration(SETS, "eV/atom", "e-form")
    assert len(figure.axes) == 2
    figure.savefig(tmp_path / "calibration.png")
    assert (tmp_path / "calibration.png").stat().st_size > 1000


def test_empty_and_exact_predictions_are_refused():
    for draw in (calibration, reliability):
        with pytest.raises(InputError, match="at least one set of predictions"):
            draw({})
    exact = (np.zeros(3), np.zeros(3), np.ones(3))
    with pytest.raises(InputError, match="all errors are zero"):
        calibration({"exact": exact})
