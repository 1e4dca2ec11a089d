"""Projections of embeddings and maps of them."""

import numpy as np
import pytest

from cgatjax.errors import InputError
from cgatjax.plotting.embedding_map import embedding_map, principal_components, project


def test_principal_components_by_hand():
    points = np.array([[0.0, 0, 0], [4, 0, 0], [2, 1, 0], [2, -1, 0]])
    found = principal_components(points)
    np.testing.assert_allclose(found.points, [[-2, 0], [2, 0], [0, 1], [0, -1]], atol=1e-12)
    assert found.axes == ("principal component 1 (80%)", "principal component 2 (20%)")
    assert "100% of the variance" in found.text
    one = project(np.ones((1, 3)))
    np.testing.assert_array_equal(one.points, [[0, 0]])
    np.testing.assert_array_equal(project(np.array([[1.0], [3.0]])).points, [[-1, 0], [1, 0]])


def test_invalid_points_methods_and_values_are_refused():
    with pytest.raises(InputError, match="'pca', 'tsne' or 'umap'"):
        project(np.ones((3, 2)), "som")
    with pytest.raises(InputError, match="finite"):
        project(np.array([[np.nan]]))
    with pytest.raises(InputError, match="at least 4 crystals, got 3"):
        project(np.ones((3, 2)), "tsne")
    with pytest.raises(InputError, match="expected 3 values"):
        embedding_map(project(np.eye(3)), np.ones(2))


def test_map_draws_the_largest_values_on_top_and_unknown_ones_in_gray(tmp_path):
    projection = project(np.random.default_rng(0).normal(size=(5, 3)))
    values = np.array([3.0, np.nan, 1.0, 2.0, 0.0])
    figure = embedding_map(projection, values, label="|error|", unit="eV", log=True)
    gray, colored = figure.axes[0].collections
    assert len(gray.get_offsets()) == 2  # NaN, and zero on a logarithmic scale
    np.testing.assert_array_equal(colored.get_array(), [1, 2, 3])
    assert figure.axes[1].get_ylabel() == "|error| (eV)"
    for extreme in (np.full(5, np.nan), np.full(5, 2.0)):
        embedding_map(projection, extreme, log=True).savefig(tmp_path / "map.png")


def test_tsne_keeps_clusters_together():
    rng = np.random.default_rng(0)
    clusters = np.repeat(100 * np.eye(3), 6, axis=0) + rng.normal(size=(18, 3))
    found = project(clusters, "tsne", seed=1)
    np.testing.assert_array_equal(project(clusters, "tsne", seed=1).points, found.points)
    middles = found.points.reshape(3, 6, 2).mean(1)
    nearest = np.linalg.norm(found.points[:, None] - middles, axis=2).argmin(1)
    np.testing.assert_array_equal(nearest, np.repeat(np.arange(3), 6))
