"""Comparison figures: changes in percent, intervals, colors by verdict."""

import math

import numpy as np
import pytest
from experiments.grid.figures import (
    VERDICT_COLORS,
    budget_figure,
    comparison_figure,
    error_against_size,
)

from cgatjax.analysis import Bootstrap, Fidelities, fit_joint_power_law, plan_budget
from cgatjax.analysis.seeds import Comparison
from cgatjax.errors import InputError

FOUND = {
    "gain": Comparison(change=-0.2, low=-0.3, high=-0.1),
    "loss": Comparison(change=0.1, low=0.05, high=0.15),
    "one seed": Comparison(change=0.0, low=-1.0, high=math.inf),
}


def test_changes_and_intervals_are_drawn_in_percent_in_their_order():
    axes = comparison_figure({"a": FOUND, "b": FOUND}, "test RMSE").axes
    assert [panel.get_title() for panel in axes] == ["a", "b"]
    assert axes[0].get_xlabel() == "change of the test RMSE, %"
    assert [label.get_text() for label in axes[0].get_yticklabels()] == list(FOUND)
    lines = axes[0].get_lines()[1:]  # the first line marks no change
    assert [list(line.get_xdata()) for line in lines] == [
        pytest.approx(values) for values in ([-30, -10], [-20], [5, 15], [10], [0])
    ]
    verdicts = ("better", "better", "worse", "worse", "undecided")
    assert [line.get_color() for line in lines] == [VERDICT_COLORS[v] for v in verdicts]
    assert axes[0].get_ylim()[0] > axes[0].get_ylim()[1], "the first comparison is at the top"


@pytest.mark.parametrize("panels", [{}, {"a": {}}])
def test_empty_panels_are_refused(panels):
    with pytest.raises(InputError, match="at least one comparison"):
        comparison_figure(panels)


def test_errors_against_sizes_show_means_and_the_range_of_the_seeds():
    curves = {"random": {200: [9.0, 11.0], 100: [20.0, 22.0]}, "both": {}}
    axes = error_against_size(curves, "meV/atom", "gaps", measure="RMSE").axes[0]
    line = axes.get_lines()[0]
    np.testing.assert_array_equal(line.get_xydata(), [[100, 21], [200, 10]])
    band = axes.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (9, 22)
    assert axes.get_ylabel() == "test RMSE (meV/atom)"
    with pytest.raises(InputError, match="got none"):
        error_against_size({"both": {}})


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
