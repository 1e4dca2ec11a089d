"""Pictures of what a network sees, maps and residuals: numbers, labels, extreme data."""

import dataclasses
import itertools

import numpy as np
import pytest

from cgatjax.config import GraphConfig
from cgatjax.errors import InputError
from cgatjax.graphs.bond_vectors import bond_vectors
from cgatjax.graphs.crystal_graph import featurize
from cgatjax.graphs.reduction import reduce_graph
from cgatjax.inference.interpretation import Explanation, shares
from cgatjax.inference.prediction import Predictions
from cgatjax.plotting import attention_plot as inside
from cgatjax.plotting.attention_plot import crystal_picture
from cgatjax.plotting.embedding_map import embedding_map, principal_components, project
from cgatjax.plotting.residual_plots import residuals_by_element, residuals_by_sites, size_groups
from cgatjax.structures.crystal import Crystal

CONFIG = GraphConfig.recommended(max_neighbors=12)
SALT = Crystal(
    id="NaCl",
    lattice=np.array([[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]]),
    frac_coords=np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]]),
    atomic_numbers=np.array([11, 17], np.uint8),
)


def explanation(crystal=SALT, steps=2, heads=3):
    """Made of random scores: no network is needed for a picture."""
    rng = np.random.default_rng(0)
    graph = featurize(crystal, CONFIG)
    scores = rng.normal(size=(steps * heads, graph.n_edges, 1))
    index = graph.edge_center.astype(int)
    attention = shares(scores, index, graph.edge_weight).reshape(steps, heads, -1)
    return Explanation(
        graph=graph,
        crystal=crystal,
        vectors=bond_vectors(crystal, CONFIG),
        receivers=index,
        senders=graph.edge_neighbor.astype(int),
        bond_attention=attention,
        even_share=graph.edge_weight / CONFIG.max_neighbors,
        atom_weights=rng.dirichlet(np.ones(crystal.n_sites), heads),
        site_class=reduce_graph(graph).site_class.astype(int),
        embedding=np.zeros(4),
        predictions=Predictions(
            ids=[crystal.id],
            means={"e-form": np.array([-1.5])},
            stds={"e-form": np.array([np.nan])},
            units={"e-form": "eV/atom"},
            std_notes={"e-form": "none"},
        ),
    )


def test_picture_shows_bonds_shells_and_atoms():
    found = explanation()
    figure = crystal_picture(found, step=2)
    cell, shells, atoms = figure.axes[:3]
    assert figure.get_suptitle() == "NaCl (ClNa): e-form -1.5 eV/atom"
    strong = (found.bond_attention[1].mean(0) > found.even_share).sum()
    assert f"{strong} bonds above the even share (of {found.graph.n_edges})" in cell.get_title()
    assert len(cell.collections[1].get_segments()) == strong
    table = shells.images[0].get_array()
    labels = [t.get_text() for t in shells.get_yticklabels()]
    for symbol in ("Na", "Cl"):  # what one site gives to all others is one
        rows = [row for row, label in enumerate(labels) if label.startswith(symbol)]
        assert table[rows].sum() == pytest.approx(1)
    heights = sorted(bar.get_height() for bar in atoms.patches)
    assert heights == pytest.approx(sorted(found.atom_weights.mean(0)))


def test_picture_without_coordinates_with_many_sites_and_a_long_name(tmp_path, monkeypatch):
    monkeypatch.setattr(inside, "MAX_BONDS", 50)
    rng = np.random.default_rng(1)
    big = Crystal(
        id="a crystal with a very long name " * 5,
        lattice=np.diag([30.0, 6.0, 4.0]),
        frac_coords=rng.random((24, 3)),
        atomic_numbers=np.arange(1, 25).astype(np.uint8),
    )
    figure = crystal_picture(explanation(big), step=1)
    assert len(figure.get_suptitle()) < 120
    assert "8 kinds of least weight left out" in figure.axes[2].get_xlabel()
    assert "50 strongest of" in figure.axes[0].get_title()
    figure.savefig(tmp_path / "big.png")
    bare = dataclasses.replace(explanation(), crystal=None, vectors=None)
    assert crystal_picture(bare, step=1).axes[0].texts[0].get_text() == "no coordinates"
    with pytest.raises(InputError, match=r"1\.\.2, got 3"):
        crystal_picture(bare, step=3)


def test_principal_components_by_hand():
    points = np.array([[0.0, 0, 0], [4, 0, 0], [2, 1, 0], [2, -1, 0]])
    found = principal_components(points)
    np.testing.assert_allclose(found.points, [[-2, 0], [2, 0], [0, 1], [0, -1]], atol=1e-12)
    assert found.axes == ("principal component 1 (80%)", "principal component 2 (20%)")
    assert "100% of the variance" in found.text
    one = project(np.ones((1, 3)))
    np.testing.assert_array_equal(one.points, [[0, 0]])
    np.testing.assert_array_equal(project(np.array([[1.0], [3.0]])).points, [[-1, 0], [1, 0]])


def test_maps_are_refused_what_they_cannot_draw():
    with pytest.raises(InputError, match="'pca', 'tsne' or 'umap'"):
        project(np.ones((3, 2)), "som")
    with pytest.raises(InputError, match="finite"):
        project(np.array([[np.nan]]))
    with pytest.raises(InputError, match="at least 4 crystals, got 3"):
        project(np.ones((3, 2)), "tsne")
    with pytest.raises(InputError, match="expected 3 values"):
        embedding_map(project(np.eye(3)), np.ones(2))


def test_map_draws_the_largest_on_top_and_the_unknown_in_gray(tmp_path):
    place = project(np.random.default_rng(0).normal(size=(5, 3)))
    values = np.array([3.0, np.nan, 1.0, 2.0, 0.0])
    figure = embedding_map(place, values, label="|error|", unit="eV", log=True)
    gray, colored = figure.axes[0].collections
    assert len(gray.get_offsets()) == 2  # NaN, and zero on a logarithmic scale
    np.testing.assert_array_equal(colored.get_array(), [1, 2, 3])
    assert figure.axes[1].get_ylabel() == "|error| (eV)"
    for extreme in (np.full(5, np.nan), np.full(5, 2.0)):
        embedding_map(place, extreme, log=True).savefig(tmp_path / "map.png")


def test_neighbors_stay_together_under_tsne():
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(0)
    clusters = np.repeat(100 * np.eye(3), 6, axis=0) + rng.normal(size=(18, 3))
    found = project(clusters, "tsne", seed=1)
    np.testing.assert_array_equal(project(clusters, "tsne", seed=1).points, found.points)
    middles = found.points.reshape(3, 6, 2).mean(1)
    nearest = np.linalg.norm(found.points[:, None] - middles, axis=2).argmin(1)
    np.testing.assert_array_equal(nearest, np.repeat(np.arange(3), 6))


def test_residuals_by_element_are_means_of_absolute_errors():
    figure = residuals_by_element(
        np.array([0.1, -0.3, np.nan]), [["O", "Ti"], ["O"], ["Fe"]], "eV/atom"
    )
    texts = [t.get_text() for t in figure.axes[0].texts]
    assert {"0.2", "0.1"} <= set(texts)
    assert figure.axes[1].get_ylabel() == "mean absolute error (eV/atom)"
    residuals_by_element(np.array([0.0, 5.0]), [["O"], ["Ti"]])
    with pytest.raises(InputError, match="got none"):
        residuals_by_element(np.array([np.nan]), [["O"]])


def test_residuals_by_sites_by_hand():
    residuals = np.array([-1.0, 0.0, 1.0, 4.0, np.nan])
    figure = residuals_by_sites(residuals, np.array([2, 2, 2, 8, 8]), "eV", "gaps")
    axes = figure.axes[0]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["2\n(3)", "8\n(1)"]
    marks = axes.get_lines()[-1]
    np.testing.assert_allclose(marks.get_ydata(), [2 / 3, 4])
    assert axes.get_ylabel() == "prediction - target (eV)"
    with pytest.raises(InputError, match="got none"):
        residuals_by_sites(np.array([np.nan]), np.array([1]))
    with pytest.raises(InputError, match="sites of 1 crystals, got 2"):
        residuals_by_sites(np.array([1.0]), np.array([1, 2]))


def test_sizes_share_boxes_where_there_are_many():
    sizes = np.repeat(np.arange(1, 101), 3)
    groups = size_groups(sizes)
    assert len(groups) == 12
    assert groups[0][0] == 1
    assert groups[-1][1] == 100
    assert all(a[1] + 1 == b[0] for a, b in itertools.pairwise(groups))
    skewed = size_groups(np.concatenate([np.full(10_000, 5), np.arange(1, 40)]))
    assert skewed[0][0] == 1
    assert skewed[-1][1] == 39
