import numpy as np
import pytest

from cgatjax.errors import ConfigError, InputError, NotFittedError
from cgatjax.simple_models import MODELS, SimpleModel


def smooth(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(seed).uniform(-1, 1, (n, 3))
    return x, np.sin(3 * x[:, 0]) + x[:, 1]


def test_fits_repeat_and_errors_fall_from_mean_to_trees() -> None:
    (x, y), (new, truth) = smooth(200, 0), smooth(50, 1)
    errors = {}
    for name in MODELS:
        found = SimpleModel(name, seed=3).fit(x, y).predict(new)
        np.testing.assert_array_equal(found, SimpleModel(name, seed=3).fit(x, y).predict(new))
        errors[name] = np.abs(found - truth).mean()
    assert errors["mean"] > 1.2 * errors["ridge"]
    assert errors["ridge"] > 1.5 * max(errors["trees"], errors["boosted trees"])


def test_ridge_is_the_regression_with_the_best_leave_one_out_error() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 4)) * [1, 10, 0.1, 1]
    y = x @ [1, 0.2, 3, 0] + 5 + rng.normal(size=30)
    found = SimpleModel("ridge").fit(x, y)
    z = (x - x.mean(0)) / x.std(0)

    def fit(z: np.ndarray, y: np.ndarray, penalty: float) -> tuple[np.ndarray, float]:
        slopes = np.linalg.solve(z.T @ z + penalty * np.eye(4), z.T @ (y - y.mean()))
        return slopes, float(y.mean())

    penalties = 30 * np.logspace(-4, 3, 15)
    errors = []
    for penalty in penalties:
        # Explicitly: leave each row out of a fit with an unpenalized constant.
        missed = []
        for k in range(30):
            keep = np.arange(30) != k
            a = np.column_stack([z[keep], np.ones(29)])
            size = np.diag([penalty] * 4 + [0.0])
            slopes = np.linalg.solve(a.T @ a + size, a.T @ y[keep])
            missed.append(y[k] - z[k] @ slopes[:4] - slopes[4])
        errors.append(np.mean(np.square(missed)))
    slopes, constant = fit(z, y, penalties[int(np.argmin(errors))])
    np.testing.assert_allclose(found.predict(x), z @ slopes + constant)


def test_no_prediction_leaves_the_range_of_the_training_values() -> None:
    x = np.arange(10.0)[:, None]
    found = SimpleModel("ridge").fit(x, 2 * x[:, 0]).predict(np.array([[-5.0], [4.0], [50.0]]))
    assert found == pytest.approx([0, 8, 18], rel=1e-3)


def test_unknown_and_constant_features() -> None:
    x, y = smooth(60, 0)
    gaps = x.copy()
    gaps[::7, 2] = np.nan
    gaps = np.column_stack([gaps, np.full(60, 4.0), np.full(60, np.nan)])
    for name in MODELS:
        assert np.isfinite(SimpleModel(name).fit(gaps, y).predict(gaps)).all()


def test_mistakes() -> None:
    with pytest.raises(ConfigError, match="expected one of the models"):
        SimpleModel("forest")
    with pytest.raises(NotFittedError, match="call fit first"):
        SimpleModel("mean").predict(np.zeros((1, 1)))
    with pytest.raises(InputError, match="with NaN or infinity"):
        SimpleModel("mean").fit(np.zeros((2, 1)), np.array([1, np.nan]))
    with pytest.raises(InputError, match=r"got \(3, 1\) and \(2,\)"):
        SimpleModel("ridge").fit(np.zeros((3, 1)), np.zeros(2))
