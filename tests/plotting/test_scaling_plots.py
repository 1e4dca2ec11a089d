"""Figures of scaling laws and computing budgets."""

import numpy as np
import pytest

from cgatjax.analysis import (
    Bootstrap,
    Fidelities,
    fit_joint_power_law,
    fit_power_law,
    plan_budget,
)
from cgatjax.errors import InputError
from cgatjax.plotting.scaling_plots import budget_figure, scaling_figure


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


def test_budget_figure_draws_both_fidelities_and_the_best_division():
    sizes = np.array([[10, 10], [10, 100], [100, 10], [100, 100], [1000, 10]])
    errors = sizes[:, 0] ** -0.1 * sizes[:, 1] ** -0.3
    joint = fit_joint_power_law(*sizes.T, errors, unit="eV", bootstrap=Bootstrap(draws=20))
    have = Fidelities(low=100, high=10)
    plan = plan_budget(joint, have=have, extra=[0, 10, 100, 1000], names=("PBE", "HSE"))
    axes = budget_figure(plan).axes[0]
    low, high, best, now = axes.get_lines()
    np.testing.assert_allclose(low.get_xydata(), np.c_[plan.extra, plan.error_low][1:])
    np.testing.assert_allclose(high.get_ydata(), plan.error_high[1:])
    np.testing.assert_allclose(best.get_ydata(), plan.error_best[1:])
    assert now.get_ydata()[0] == pytest.approx(plan.now)
    assert axes.get_legend().get_texts()[1].get_text() == "all into HSE"
    with pytest.raises(InputError, match="two positive times"):
        budget_figure(plan_budget(joint, have=have, extra=[0, 5]))
