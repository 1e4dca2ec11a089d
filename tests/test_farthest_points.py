"""Farthest points by hand, against every pair, and whatever the size of the blocks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgatjax import active_learning as coverage
from cgatjax.active_learning import farthest_points, nearest_distances
from cgatjax.errors import InputError

LINE = np.array([[0.0], [1.0], [2.0], [6.0], [10.0]])


def chosen(*args, **options):
    positions, distances = farthest_points(*args, **options)
    return positions.tolist(), distances.round(12).tolist()


def test_points_on_a_line_by_hand():
    # The mean is 3.8: 2 is nearest to it, then 10 is 8 away, then 6 is 4 away, then 0, then 1.
    assert chosen(LINE, 5) == ([2, 4, 3, 0, 1], [np.inf, 8, 4, 2, 1])


def test_covered_points_need_not_be_chosen_again():
    assert chosen(LINE, 2, covered=np.array([[0.0], [11.0]])) == ([3, 2], [5, 2])


def test_weights_multiply_distances():
    weights = np.array([1.0, 3.0, 1.0, 1.0, 1.0])
    # 1 has the largest weight; then the products are 1, -, 1, 5, 9, and then 1, -, 1, 4.
    assert chosen(LINE, 3, weights=weights) == ([1, 4, 3], [np.inf, 9, 4])
    covered = np.array([[0.0]])  # products 0, 3, 2, 6, 10; then 0, 3, 2, 4
    assert chosen(LINE, 2, weights=weights, covered=covered) == ([4, 3], [10, 4])


def test_equal_points_are_chosen_last_and_once():
    points = np.array([[1.0, 1.0]] * 3 + [[4.0, 5.0]])
    positions, distances = chosen(points, 4)
    assert sorted(positions) == [0, 1, 2, 3]
    assert distances[1] == 5
    assert distances[2:] == [0, 0]


@given(st.integers(0, 10**6))
def test_every_choice_is_the_farthest(seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(rng.integers(1, 12), 3))
    covered = rng.normal(size=(rng.integers(1, 4), 3))
    positions, distances = farthest_points(points, len(points), covered=covered)
    assert sorted(positions) == list(range(len(points)))
    for k, (position, distance) in enumerate(zip(positions, distances, strict=True)):
        known = np.concatenate([covered, points[positions[:k]]])
        every = np.linalg.norm(points[:, None] - known[None], axis=2).min(1)
        assert distance == pytest.approx(every.max(), abs=1e-7)
        assert every[position] == pytest.approx(every.max(), abs=1e-7)


def test_blocks_do_not_matter(monkeypatch):
    rng = np.random.default_rng(0)
    points, centers = rng.normal(size=(50, 4)) + 1e3, rng.normal(size=(23, 4)) + 1e3
    whole = nearest_distances(points, centers)
    every = np.linalg.norm(points[:, None] - centers[None], axis=2).min(1)
    np.testing.assert_allclose(whole, every, rtol=1e-10)
    monkeypatch.setattr(coverage, "BLOCK", 7)
    np.testing.assert_allclose(nearest_distances(points, centers), whole, rtol=1e-12)


def test_nothing_is_infinitely_far_and_nothing_is_chosen_of_nothing():
    assert nearest_distances(LINE, np.empty((0, 1))).tolist() == [np.inf] * 5
    assert chosen(np.empty((0, 2)), 0) == ([], [])


def test_what_cannot_be_chosen_is_refused():
    with pytest.raises(InputError, match=r"0\.\.5 points, got 6"):
        farthest_points(LINE, 6)
    with pytest.raises(InputError, match="finite"):
        farthest_points(np.array([[np.nan]]), 1)
    with pytest.raises(InputError, match="finite"):
        farthest_points(LINE, 1, weights=-np.ones(5))
    with pytest.raises(InputError, match=r"\(5, 1\) and \(1, 2\)"):
        farthest_points(LINE, 1, covered=np.ones((1, 2)))
