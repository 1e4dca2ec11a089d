import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgatjax.config import TrainConfig
from cgatjax.training.schedules import Plateau, cosine, cyclical, factor_at


def test_the_paper_s_triangle():
    assert [cyclical(e, 130) for e in (0, 65, 130, 195, 260)] == pytest.approx([0.1, 1] * 2 + [0.1])
    assert cyclical(13, 130) == pytest.approx(0.1 + 0.9 * 0.2)


@given(st.integers(0, 2000), st.integers(1, 300))
def test_the_formula(epoch, period):
    expected = 0.1 + 0.9 * max(
        0, 1 - abs(2 * (epoch / period - math.floor(1 + epoch / period)) + 1)
    )
    assert cyclical(epoch, period) == pytest.approx(expected)
    assert 0.1 <= cyclical(epoch, period) <= 1 + 1e-12
    assert cyclical(epoch, period) == pytest.approx(cyclical(epoch + period, period), abs=1e-9)


def test_without_a_period_the_run_is_one_triangle():
    config = TrainConfig(epochs=10)
    factors = [factor_at(config, e, Plateau()) for e in range(11)]
    assert factors == pytest.approx([0.1 + 0.9 * min(e, 10 - e) / 5 for e in range(11)])
    assert factor_at(config.replace(cycle_period=4), 2, Plateau()) == pytest.approx(1.0)


def test_cosine_rises_for_a_twentieth_and_falls_to_zero_within_the_epochs():
    assert [cosine(d) for d in (0, 0.01, 0.05, 0.525, 1)] == pytest.approx([0, 0.2, 1, 0.5, 0])
    config = TrainConfig(schedule="cosine", epochs=10)
    starts = [factor_at(config, e, Plateau(), 0.0) for e in range(10)]
    ends = [factor_at(config, e, Plateau(), 1.0) for e in range(10)]
    assert starts[1:] == pytest.approx(ends[:-1])
    assert ends[-1] == pytest.approx(0, abs=1e-12)
    assert factor_at(config, 4, Plateau()) == cosine(0.45)


def test_constant_stays():
    config = TrainConfig(schedule="constant")
    assert [factor_at(config, e, Plateau(0.5)) for e in range(3)] == [1.0] * 3


def test_plateau_drops_after_so_many_validations_without_improvement():
    config = TrainConfig(schedule="plateau", plateau_patience=2, plateau_factor=0.5)
    state, factors = Plateau(), []
    for error in [3.0, 2.0, 2.0, 2.5, 1.0, 1.0, float("nan"), 0.5]:
        state = state.after(error, config)
        factors.append(factor_at(config, 0, state))
    assert factors == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25]
    assert state == Plateau(0.25, 0.5, 0)
