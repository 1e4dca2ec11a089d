"""Joint scaling laws, and the allocation of extra computing time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgatjax.analysis import Bootstrap, Fidelities, fit_joint_power_law, plan_budget
from cgatjax.errors import InputError

PRETRAIN = np.array([1e3, 1e4, 1e5, 1e5, 1e5, 1e4])
TRAIN = np.array([1e3, 1e3, 1e3, 1e2, 1e1, 1e1])


def law_of(pretrain_slope, train_slope, draws=2000):
    errors = 20 * PRETRAIN**pretrain_slope * TRAIN**train_slope
    options = Bootstrap(draws=draws)
    return fit_joint_power_law(PRETRAIN, TRAIN, errors, unit="meV/atom", bootstrap=options)


@given(st.floats(-1, -0.01), st.floats(-1, -0.01))
def test_an_exact_joint_law_is_recovered(pretrain_slope, train_slope):
    law = law_of(pretrain_slope, train_slope, draws=20)
    assert law.pretrain_slope.value == pytest.approx(pretrain_slope, rel=1e-7)
    assert law.train_slope.value == pytest.approx(train_slope, rel=1e-7)
    expected = 20 * 500.0**pretrain_slope * 70.0**train_slope
    assert law.error_at(500, 70) == pytest.approx(expected)
    assert not law.interaction.is_significant()


def test_two_cuts_determine_the_law_but_not_the_interaction():
    pretrain = np.array([1e3, 1e4, 1e5, 1e5, 1e5])
    train = np.array([1e3, 1e3, 1e3, 1e2, 1e1])
    law = fit_joint_power_law(pretrain, train, pretrain**-0.1 * train**-0.2)
    assert law.train_slope.value == pytest.approx(-0.2)
    assert law.error_at(1e5, np.array([10.0, 100.0])).shape == (2,)


def test_an_interaction_of_the_sizes_is_detected():
    pretrain, train = (a.ravel() for a in np.meshgrid([1e3, 1e4, 1e5], [1e2, 1e3, 1e4]))
    noise = 10 ** np.random.default_rng(0).normal(0, 0.01, 9)
    errors = pretrain**-0.1 * train**-0.2 * 10 ** (0.05 * np.log10(pretrain) * np.log10(train))
    law = fit_joint_power_law(pretrain, train, errors * noise)
    assert law.interaction.is_significant()
    assert "DEPEND" in law.text()


def test_a_plan_by_hand():
    """P^-1/2 N^-1/2 at (100, 100): 400 buys P = 500 or, at five times the cost, N = 180."""
    plan = plan_budget(law_of(-0.5, -0.5), have=Fidelities(low=100, high=100), extra=[0, 400])
    assert plan.now == pytest.approx(0.2)
    np.testing.assert_allclose(plan.error_low, [0.2, 0.2 / np.sqrt(5)])
    np.testing.assert_allclose(plan.error_high, [0.2, 0.2 / np.sqrt(1.8)])
    assert plan.best_share[1] == 0.0
    assert plan.confidence[1] == 0.0
    assert plan.answer(80).startswith("the next 400 calculations: PBE (error 0.2 -> 0.0894 meV")
    assert "100% of the bootstrap agrees" in plan.answer(80)


def test_neither_fidelity_is_recommended_if_more_data_do_not_help():
    plan = plan_budget(law_of(0.01, 0.0), have=Fidelities(low=10, high=10), extra=[1])
    assert plan.answer().startswith("the next 10,000 calculations: neither PBE nor SCAN")


def test_high_fidelity_is_recommended_if_its_slope_is_steep():
    plan = plan_budget(
        law_of(-0.05, -0.4),
        have=Fidelities(low=1e6, high=1e4),
        extra=[1e4],
        costs=Fidelities(low=0.5, high=2.5),
        names=("PBE", "r2SCAN"),
    )
    assert plan.answer().startswith("the next 10,000 calculations: r2SCAN")
    assert plan.best_share[0] == 1.0


@given(st.floats(-0.6, -0.05), st.floats(-0.6, -0.05), st.floats(1, 1e6))
def test_the_best_division_is_never_worse_than_either_fidelity(pretrain_slope, train_slope, time):
    law = law_of(pretrain_slope, train_slope, draws=10)
    plan = plan_budget(law, have=Fidelities(low=1e4, high=1e3), extra=[time, 10 * time])
    best = np.minimum(plan.error_low, plan.error_high)
    assert (plan.error_best <= best * (1 + 1e-12)).all()
    assert (np.diff(plan.error_best) < 0).all()


@pytest.mark.parametrize(
    ("pretrain", "train", "message"),
    [
        ([1, 10, 100, 1000], [1, 10, 100, 1000], "varies on its own"),
        ([5, 5, 5, 5], [1, 10, 100, 1000], "varies on its own"),
        ([1, 10, 10], [1, 1, 10], "at least 4 pairs"),
        ([0, 1, 10, 10], [1, 2, 3, 4], "pre-training sizes: expected positive"),
        ([1, 10], [1, 2, 3], "equal length"),
    ],
)
def test_points_that_do_not_determine_the_law_are_refused(pretrain, train, message):
    with pytest.raises(InputError, match=message):
        fit_joint_power_law(pretrain, train, np.ones(len(train)))


def test_invalid_plans_are_refused():
    law, have = law_of(-0.1, -0.3, draws=10), Fidelities(low=10, high=10)
    with pytest.raises(InputError, match="extra"):
        plan_budget(law, have=have, extra=[-1])
    with pytest.raises(InputError, match="costs"):
        plan_budget(law, have=have, extra=[1], costs=Fidelities(low=0, high=5))
    with pytest.raises(InputError, match="calculations"):
        plan_budget(law, have=have, extra=[1]).answer(0)
