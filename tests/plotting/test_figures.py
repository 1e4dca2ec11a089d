"""Figures of scaling laws, distributions and elements hold the right numbers and labels."""

import numpy as np
import pytest

from cgatjax.analysis import (
    Bootstrap,
    Fidelities,
    fit_joint_power_law,
    fit_power_law,
    plan_budget,
)
from cgatjax.errors import InputError, StructureError
from cgatjax.plotting.histograms import Summary, histograms
from cgatjax.plotting.periodic_table import cell_of, element_means, periodic_table
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


def test_scaling_figure_never_mixes_units():
    with pytest.raises(InputError, match=r"one unit.*eV.*meV"):
        scaling_figure({"a": law(), "b": law(unit="eV")})
    with pytest.raises(InputError, match="no fits"):
        scaling_figure({})


def test_budget_figure_draws_both_choices_and_the_best_one():
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


@pytest.mark.parametrize(
    ("number", "cell"),
    [(1, (1, 1)), (2, (1, 18)), (5, (2, 13)), (12, (3, 2)), (21, (4, 3)), (36, (4, 18)),
     (57, (9, 4)), (70, (9, 17)), (71, (6, 3)), (72, (6, 4)), (86, (6, 18)), (90, (10, 5)),
     (103, (7, 3)), (118, (7, 18))],
)  # fmt: skip
def test_elements_stand_where_chemists_look_for_them(number, cell):
    assert cell_of(number) == cell


def test_no_two_elements_share_a_cell():
    assert len({cell_of(z) for z in range(1, 119)}) == 118


def test_periodic_table_shows_the_numbers_it_was_given():
    figure = periodic_table({"O": 1000, "Ti": 10}, label="crystals", log=True)
    texts = [t.get_text() for t in figure.axes[0].texts]
    assert {"1e+03", "10", "Fe"} <= set(texts)
    assert figure.axes[1].get_ylabel() == "crystals"
    assert len(figure.axes[0].patches) == 103


def test_periodic_table_refuses_what_it_cannot_color():
    with pytest.raises(InputError, match="positive"):
        periodic_table({"O": 0.0}, log=True)
    with pytest.raises(InputError, match="none"):
        periodic_table({})
    with pytest.raises(StructureError, match="Xx"):
        periodic_table({"Xx": 1.0})


def test_means_by_element_by_hand():
    means = element_means(np.array([1.0, 3.0, np.nan]), [["O", "Ti"], ["O"], ["Fe"]])
    assert means == {"O": 2.0, "Ti": 1.0}
    with pytest.raises(InputError, match="elements of 1"):
        element_means(np.ones(1), [])


def test_histograms_share_bins_and_count_everything():
    values = {"PBE": np.array([0.0, 0.1, 1.0, np.nan]), "SCAN": np.array([2.0])}
    figure = histograms(values, name="gap", unit="eV", bins=4)
    counts, shares = figure.axes
    heights = [p.get_data().values for p in counts.patches[::2]]
    np.testing.assert_array_equal(heights, [[2, 0, 1, 0], [0, 0, 0, 1]])
    assert counts.get_yscale() == "log"
    assert shares.get_lines()[0].get_ydata()[-1] == 1
    assert figure.legends[0].get_texts()[0].get_text() == "PBE (n = 3)"
    assert counts.get_xlabel() == "gap (eV)"
    with pytest.raises(InputError, match=r"\['empty'\]"):
        histograms({"empty": np.array([np.nan])})


def test_summary_by_hand():
    s = Summary.of(np.array([1.0, 2.0, 6.0, np.nan]))
    assert (s.n, s.missing, s.mean, s.median, s.low, s.high) == (3, 1, 3.0, 2.0, 1.0, 6.0)
    assert s.std == pytest.approx(np.sqrt(7))
    with pytest.raises(InputError, match="got none of 1"):
        Summary.of(np.array([np.nan]))
