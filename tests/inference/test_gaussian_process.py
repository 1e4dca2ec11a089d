"""The sparse process against exact regression, its bound against the evidence, by hand."""

import dataclasses

import jax
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from cgatjax.config import GPConfig
from cgatjax.errors import InputError, TargetError
from cgatjax.inference.gaussian_process import (
    Process,
    best_posterior,
    bound,
    covariance,
    evidence,
    padded,
    posterior,
)
from cgatjax.inference.gp_fitting import _loss_and_gradient, fit_gp, is_exact, k_means

SCALES = np.array([0.8, 1.5])


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 2))
    return x, np.sin(2 * x[:, 0]) + 0.5 * x[:, 1] + 0.2 * rng.normal(size=40)


def process_of(inducing):
    size = len(inducing)
    return Process(
        inducing=np.array(inducing),
        log_scales=np.log(SCALES),
        log_amplitude=np.log(1.3),
        log_noise=np.log(0.25),
        constant=np.array(0.1),
        mean=np.zeros(size),
        factor=np.eye(size),
    )


def kernel_by_hand(name, a, b):
    r = np.sqrt((((a[:, None] - b) / SCALES) ** 2).sum(-1))
    if name == "rbf":
        return 1.69 * np.exp(-(r**2) / 2)
    return 1.69 * (1 + 5**0.5 * r + 5 * r**2 / 3) * np.exp(-(5**0.5) * r)


compiled = jax.jit(bound, static_argnums=(0, 4))


def bound_of(name, process, x, y, n=None):
    with jax.enable_x64(True):
        return float(compiled(name, process, x, y, n or len(x)))


@pytest.mark.parametrize("name", ["rbf", "matern52"])
def test_covariances_by_hand(name, data):
    x = data[0]
    with jax.enable_x64(True):
        found = jax.jit(covariance, static_argnums=0)(name, process_of(x[:5]), x[:7], x[5:9])
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, kernel_by_hand(name, x[:7], x[5:9]), rtol=1e-9)


@pytest.mark.parametrize("name", ["rbf", "matern52"])
def test_with_inducing_points_at_the_data_it_is_exact_regression(name, data):
    x, y = data
    found = best_posterior(name, process_of(x), x, y)
    new = np.random.default_rng(1).normal(size=(9, 2))
    mean, variance = posterior(name, found, new)
    k, cross = kernel_by_hand(name, x, x) + 0.0625 * np.eye(40), kernel_by_hand(name, x, new)
    solved = np.linalg.solve(k, np.column_stack([y - 0.1, cross]))
    np.testing.assert_allclose(mean, 0.1 + cross.T @ solved[:, 0], rtol=1e-3, atol=1e-4)
    expected = 1.69 - (cross * solved[:, 1:]).sum(0)
    np.testing.assert_allclose(variance, expected, rtol=1e-3, atol=1e-4)
    evidence = multivariate_normal(np.full(40, 0.1), k).logpdf(y)
    assert bound_of(name, found, x, y) == pytest.approx(evidence, abs=0.01)


def test_the_bound_is_below_the_evidence(data):
    x, y = data
    k = kernel_by_hand("rbf", x, x) + 0.0625 * np.eye(40)
    evidence = multivariate_normal(np.full(40, 0.1), k).logpdf(y)
    rng = np.random.default_rng(2)
    for size in (5, 40):
        start = process_of(x[:size])
        best = best_posterior("rbf", start, x, y)
        other = best._replace(
            mean=best.mean + rng.normal(0, 0.1, size), factor=best.factor * rng.uniform(0.5, 2)
        )
        assert bound_of("rbf", other, x, y) < bound_of("rbf", best, x, y) <= evidence + 1e-6
        assert bound_of("rbf", start, x, y) < evidence


@pytest.mark.parametrize("name", ["rbf", "matern52"])
def test_the_evidence_by_hand(name, data):
    x, y = data
    k = kernel_by_hand(name, x, x) + (0.0625 + 1.69e-6) * np.eye(40)
    with jax.enable_x64(True):
        found = jax.jit(evidence, static_argnums=0)(name, process_of(x[:1]), x, y)
    expected = multivariate_normal(np.full(40, 0.1), k).logpdf(y)
    assert float(found) == pytest.approx(expected, rel=1e-9)


def test_padding_changes_nothing(data):
    x, y = data
    points, known = padded(x)
    assert len(points) == 64
    values = np.pad(y, (0, 24), constant_values=7.0)
    flat = np.array([np.log(0.8), np.log(1.5), 0.3, -1.4, 0.1])
    with jax.enable_x64(True):
        loss, gradient = _loss_and_gradient("rbf", False, flat, x, y, np.ones(40))
        again, same = _loss_and_gradient("rbf", False, flat, points, values, known)
    assert float(again) == pytest.approx(float(loss), rel=1e-12)
    np.testing.assert_allclose(np.asarray(same), np.asarray(gradient), rtol=1e-9)


def test_fits_to_other_numbers_of_crystals_share_programs(data):
    x, y = data
    fit_gp(x, y)
    before = _loss_and_gradient._cache_size()
    fit_gp(x[:25], y[:25])
    assert _loss_and_gradient._cache_size() == before


def test_few_crystals_are_fitted_exactly(data):
    x, y = data
    gp = fit_gp(x, y)
    assert len(gp.process.mean) == gp.n == 40
    standard = (x - gp.x_mean) / gp.x_std, (y - gp.y_mean) / gp.y_std

    def evidence_of(**changes):
        with jax.enable_x64(True):
            return float(evidence(gp.kernel, gp.process._replace(**changes), *standard))

    best = evidence_of()
    for name in ("log_scales", "log_amplitude", "log_noise", "constant"):
        for shift in (-0.1, 0.1):
            assert evidence_of(**{name: getattr(gp.process, name) + shift}) < best
    sparse = fit_gp(x, y, GPConfig(inducing=10, steps=100, learning_rate=0.05))
    assert len(sparse.process.mean) == 10
    with jax.enable_x64(True):
        assert float(evidence("matern52", sparse.process, *standard)) < best


def test_the_cheaper_fit_is_taken():
    assert is_exact(400, GPConfig())
    assert not is_exact(2000, GPConfig())
    assert not is_exact(400, GPConfig(inducing=20))
    assert not is_exact(40, GPConfig(steps=0))


def test_batches_estimate_the_bound(data):
    x, y = data
    process = best_posterior("rbf", process_of(x[:8]), x, y)
    whole = bound_of("rbf", process, x, y)
    parts = [bound_of("rbf", process, x[i::4], y[i::4], n=40) for i in range(4)]
    assert np.mean(parts) == pytest.approx(whole, rel=1e-9)


def test_a_fitted_process_predicts_and_knows_how_well(data):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(400, 2))
    y = 30 + 5 * (np.sin(2 * x[:, 0]) + 0.5 * x[:, 1] + 0.2 * rng.normal(size=400))
    config = GPConfig(inducing=20, steps=40, learning_rate=0.05, batch_size=64)
    gp = fit_gp(np.column_stack([x[:300], np.ones(300)]), y[:300], config)
    mean, std = gp.predict(np.column_stack([x[300:], np.ones(100)]))
    error = mean - y[300:]
    assert np.abs(error).mean() < 1.3
    assert (std > 0.8).all()
    assert 0.7 < np.sqrt(np.square(error / std).mean()) < 1.3
    far = gp.predict(np.array([[50.0, 50.0, 1.0]]))[1]
    assert far > 2 * std.mean()
    again = fit_gp(np.column_stack([x[:300], np.ones(300)]), y[:300], config)
    np.testing.assert_array_equal(again.process.inducing, gp.process.inducing)
    with pytest.raises(InputError, match=r"embeddings \(crystals, 3\), got \(100, 2\)"):
        gp.predict(x[300:])


def test_smooth_values_keep_a_noise_above_the_jitter(data):
    # Without it the noise of a linear function runs to nothing, and its posterior is singular.
    x = data[0]
    gp = fit_gp(x[:30], x[:30] @ [2.0, 1.0], GPConfig())
    assert is_exact(30, GPConfig())
    least = 1e-3 * np.exp(float(gp.process.log_amplitude)) * gp.y_std
    assert gp.noise == pytest.approx(least)
    mean, std = gp.predict(x[30:])
    assert np.abs(mean - x[30:] @ [2.0, 1.0]).max() < 0.1
    assert (std >= least).all()


def test_unknown_values_are_left_out(data):
    x, y = data
    config = GPConfig(inducing=50, steps=0, one_scale=True)
    some = fit_gp(x[:30], y[:30], config)
    hidden = fit_gp(x, np.where(np.arange(40) < 30, y, np.nan), config)
    assert hidden.n == 30
    assert hidden.process.log_scales.shape == ()
    np.testing.assert_allclose(hidden.predict(x)[0], some.predict(x)[0])
    assert dataclasses.replace(some, y_mean=some.y_mean + 1).predict(x)[0] == pytest.approx(
        some.predict(x)[0] + 1
    )
    with pytest.raises(TargetError, match="at least two different values, got 40"):
        fit_gp(x, np.ones(40))


def test_k_means_finds_clusters():
    rng = np.random.default_rng(0)
    middles = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    points = np.concatenate([m + rng.normal(0, 0.1, (30, 2)) for m in middles])
    centers = np.concatenate([k_means(points, 3, seed) for seed in range(5)])
    inside = [(np.linalg.norm(points - c, axis=1) < 8).any() for c in centers]
    assert all(inside)
    best = min(
        sum(np.linalg.norm(found - m, axis=1).min() for m in middles)
        for found in (k_means(points, 3, seed) for seed in range(5))
    )
    assert best < 0.3
    assert k_means(np.zeros((4, 2)), 3, 0).shape == (3, 2)
