import math

import jax
import jax.numpy as jnp
import pytest

from cgatjax.model.losses import LOSSES, predicts_std, robust_l1, robust_l2

OUTPUT = jnp.array([[1.0, 0.5], [2.0, -0.5]])  # predictions 1 and 2; s = 0.5 and -0.5
TARGET = jnp.array([3.0, 2.0])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("l1", [2.0, 0.0]),
        ("l2", [4.0, 0.0]),
        ("robust_l1", [2.828427125 * 0.606530660 + 0.5, -0.5]),
        ("robust_l2", [2.0 * 0.367879441 + 0.5, -0.5]),
    ],
)
def test_worked_out_by_hand(name, expected):
    assert LOSSES[name](OUTPUT, TARGET).tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", ["l1", "l2"])
def test_plain_losses_do_not_train_the_standard_deviation(name):
    gradient = jax.grad(lambda o: LOSSES[name](o, TARGET).sum())(OUTPUT)
    assert gradient[:, 1].tolist() == [0.0, 0.0]
    assert not predicts_std(name)


def test_robust_losses_are_least_at_the_true_spread():
    # For an error d the best s solves sqrt(2) d exp(-s) = 1, respectively d^2 exp(-2s) = 1.
    for loss, best in ((robust_l1, math.log(2**0.5 * 2.0)), (robust_l2, math.log(2.0))):
        slope = jax.grad(lambda s, loss=loss: loss(jnp.array([1.0, s]), jnp.array(3.0)))
        assert float(slope(best)) == pytest.approx(0, abs=1e-6)
    assert predicts_std("robust_l1")
    assert predicts_std("robust_l2")
