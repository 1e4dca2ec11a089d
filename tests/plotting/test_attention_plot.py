"""Figures of attention: numbers, labels, extreme data."""

import dataclasses

import numpy as np
import pytest

from cgatjax.config import GraphConfig
from cgatjax.errors import InputError
from cgatjax.graphs.bond_vectors import bond_vectors
from cgatjax.graphs.crystal_graph import featurize
from cgatjax.graphs.reduction import reduce_graph
from cgatjax.inference.interpretation import Explanation, shares
from cgatjax.inference.prediction_table import Predictions
from cgatjax.plotting import attention_plot
from cgatjax.plotting.attention_plot import attention_figure
from cgatjax.structures.crystal import Crystal

CONFIG = GraphConfig.recommended(max_neighbors=12)
SALT = Crystal(
    id="NaCl",
    lattice=np.array([[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]]),
    frac_coords=np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]]),
    atomic_numbers=np.array([11, 17], np.uint8),
)


def explanation(crystal=SALT, steps=2, heads=3):
    """Interpretation made of random scores instead of a network."""
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


def test_figure_shows_bonds_shells_and_atoms():
    found = explanation()
    figure = attention_figure(found, step=2)
    cell, shells, atoms = figure.axes[:3]
    assert figure.get_suptitle() == "NaCl: e-form -1.5 eV/atom"
    strong = (found.bond_attention[1].mean(0) > found.even_share).sum()
    assert f"{strong} bonds above uniform (of {found.graph.n_edges})" in cell.get_title()
    assert len(cell.collections[1].get_segments()) == strong
    table = shells.images[0].get_array()
    labels = [t.get_text() for t in shells.get_yticklabels()]
    for symbol in ("Na", "Cl"):  # the attention of one site sums to one
        rows = [row for row, label in enumerate(labels) if label.startswith(symbol)]
        assert table[rows].sum() == pytest.approx(1)
    heights = sorted(bar.get_height() for bar in atoms.patches)
    assert heights == pytest.approx(sorted(found.atom_weights.mean(0)))


def test_figure_of_extreme_crystals(tmp_path, monkeypatch):
    monkeypatch.setattr(attention_plot, "MAX_BONDS", 50)
    rng = np.random.default_rng(1)
    big = Crystal(
        id="a crystal with a very long name " * 5,
        lattice=np.diag([30.0, 6.0, 4.0]),
        frac_coords=rng.random((24, 3)),
        atomic_numbers=np.arange(1, 25).astype(np.uint8),
    )
    figure = attention_figure(explanation(big), step=1)
    assert len(figure.get_suptitle()) < 120
    assert "8 kinds of lowest weight left out" in figure.axes[2].get_xlabel()
    assert "50 strongest of" in figure.axes[0].get_title()
    figure.savefig(tmp_path / "big.png")
    bare = dataclasses.replace(explanation(), crystal=None, vectors=None)
    assert attention_figure(bare, step=1).axes[0].texts[0].get_text() == "no coordinates"
    with pytest.raises(InputError, match=r"1\.\.2, got 3"):
        attention_figure(bare, step=3)
