"""Domain and error model: distances by hand, laws that are found again, coverage."""

import dataclasses

import numpy as np
import pytest

from cgatjax.errors import InputError
from cgatjax.inference.domain import Domain
from cgatjax.inference.error_model import ErrorModel, coverages

RNG = np.random.default_rng(0)


def test_the_threshold_is_a_distance_of_new_crystals():
    line = np.arange(8.0)[:, None]
    folds = [np.array([0, 2, 4, 6]), np.array([1, 3, 5, 7])]
    domain = Domain.fit(line, folds)
    step = 1 / line.std()
    assert domain.threshold == pytest.approx(step, rel=1e-6)
    novelty = domain.novelty(np.array([[3.0], [3.5], [9.0]]))
    np.testing.assert_allclose(novelty, [0, 0.5, 2], atol=1e-3)


def test_most_ordinary_crystals_are_inside():
    points = RNG.normal(size=(400, 3))
    domain = Domain.fit(points, list(np.array_split(np.arange(400), 4)))
    inside = domain.novelty(RNG.normal(size=(400, 3))) <= 1
    assert 0.9 < inside.mean() < 0.99
    assert (domain.novelty(RNG.normal(size=(50, 3)) + 10) > 1).all()


def test_damaged_numbers_are_refused():
    points = np.zeros((3, 2), np.float32)
    with pytest.raises(InputError, match="positive threshold"):
        Domain(points=points, center=points[0], scale=points[0], threshold=0.0)
    with pytest.raises(InputError, match="expected points"):
        Domain(points=points, center=points[0, :1], scale=points[0], threshold=1.0)
    with pytest.raises(InputError, match="positive scale"):
        ErrorModel(law="own", scale=-1.0, n=3)
    with pytest.raises(InputError, match="positive scale"):
        ErrorModel(law="own", scale=1.0, n=3, hidden=-1.0)


@pytest.mark.parametrize("law", ["constant", "own", "distance"])
def test_the_law_of_the_errors_is_found(law):
    n = 2000
    own, novelty = RNG.uniform(0.1, 2, n), RNG.uniform(0.2, 3, n)
    true = {"constant": 0.5 * np.ones(n), "own": 0.7 * own, "distance": 0.3 * novelty**1.5}[law]
    found = ErrorModel.fit(RNG.normal(0, true), own, novelty)
    assert found.law == law
    np.testing.assert_allclose(found.std(own, novelty), true, rtol=0.15)
    shares = coverages(RNG.normal(0, true), found.std(own, novelty))
    assert 0.65 < shares["68"] < 0.75
    assert 0.94 < shares["95"] < 0.98


def test_what_cross_validation_hides_is_added_in_quadrature():
    n, unknown = 4000, np.full(4000, np.nan)
    found = ErrorModel.fit(RNG.normal(0, 3, n), unknown, unknown, hidden=4.0)
    np.testing.assert_allclose(found.std(unknown, unknown), 5.0, rtol=0.05)
    new = RNG.normal(0, 3, n) + RNG.normal(0, 4, n)
    shares = coverages(new, found.std(unknown, unknown))
    assert 0.66 < shares["68"] < 0.72
    assert 0.93 < shares["95"] < 0.97
    assert "and 4 for new crystals" in found.note()
    assert "for new crystals" not in dataclasses.replace(found, hidden=0.0).note()


def test_intervals_of_few_crystals_are_not_too_narrow():
    """On average over many small samples, new errors are inside as often as promised."""
    shares = []
    for _ in range(200):
        sample = ErrorModel.fit(RNG.standard_t(4, 25), np.full(25, np.nan), np.full(25, np.nan))
        assert sample.law == "constant"
        shares.append(coverages(RNG.standard_t(4, 500), np.full(500, sample.scale)))
    assert np.mean([s["95"] for s in shares]) > 0.94
    assert np.mean([s["68"] for s in shares]) > 0.67


def test_errors_of_zero_have_no_law():
    with pytest.raises(InputError, match="not all zero"):
        ErrorModel.fit(np.zeros(5), np.ones(5), np.ones(5))
