"""Figures of scaling laws and computing budgets."""

import numpy as np
import pytest

from cgatjax.analysis import (
    fit_power_law,
)
from cgatjax.errors import InputError
from cgatjax.plotting.scaling_plots import scaling_figure


def law(factor=1.0, unit="meV/atom"):
    return fit_power_law([10, 10, 100, 1000, 10_000], factor * np.array([9, 11, 5, 2.6, 1.2]),
                         unit=unit)  # fmt: skip


def test_scaling_figure_draws_points_line_band_and_mark():
    figure = scaling_figure({"scratch": law(), "full": law(0.5)}, target_error=1.5, title="E")
    axes = figure.axes[0]
    points = axes.containers[0].lines[0].get_xydata()
    np.testing.assert_allclose(points[:, 0], [10, 100, 1000, 10_000])
    np.testing.assert_allclose(points[1:, 1], [5, 2.6, 1.2])
    labels = [t.get_text() for t in axes.get_legend().get_texts()]
    assert [label.split(" (")[0] for label in labels] == ["scratch", "full"]
    assert f"slope {law().slope:.2f}" in labels[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert axes.get_ylabel() == "test MAE (meV/atom)"
    assert "chemical accuracy (1.5)" in [t.get_text() for t in axes.texts]


def test_scaling_figure_refuses_mixed_units():
    with pytest.raises(InputError, match=r"one unit.*eV.*meV"):
        scaling_figure({"a": law(), "b": law(unit="eV")})
    with pytest.raises(InputError, match="no fits"):
        scaling_figure({})
