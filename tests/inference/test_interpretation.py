"""Attention and atom weights: sums, the equations as NumPy loops, reduced graphs, no cost."""

import dataclasses
import json
import re

import flax.linen as nn
import jax
import numpy as np
import pytest
from tests.nn import test_equations as equations

import cgatjax as cg
from cgatjax.data.batching import collate
from cgatjax.data.graph_list import GraphList
from cgatjax.errors import StructureError
from cgatjax.graphs.crystal_graph import featurize
from cgatjax.graphs.reduction import reduce_graph
from cgatjax.inference.interpretation import explain, shares
from cgatjax.model.model import Model
from cgatjax.model.normalizer import Normalizer
from cgatjax.nn.cgat import CGAT
from cgatjax.structures.elements import SYMBOLS

GRAPHS = cg.GraphConfig(
    max_neighbors=equations.K,
    split_shell="share",
    tolerance_kind="relative",
    shell_tolerance=1e-5,
)
PEROVSKITE = equations.crystals()[1]
VARIANTS = [
    {},
    {"message_direction": "neighbor_to_center", "edge_update": "attention", "rematerialize": True},
    {"vector_attention": False, "pooling_vector_attention": False, "pooling": "mean"},
]


def model_of(config):
    whole = [featurize(PEROVSKITE, GRAPHS)]
    return Model(
        config=config,
        params=equations.random_params(config, whole),
        graph_config=GRAPHS,
        element_table=equations.TABLE,
        normalizers={"target": Normalizer(mean=0.0, std=1.0)},
    )


def by_loops(params, config, graph):
    """Attention of every edge (steps, heads, edges), atom weights (heads, sites), by hand."""
    p = params["encoder"]
    z = graph.atomic_numbers
    table = equations.TABLE.vectors
    h = h0 = [equations.dense(p["embedding"], table[i].astype(float)) for i in z]
    e = e0 = [p["shell_embedding"][shell] for shell in graph.edge_shell]
    to_neighbor = config.message_direction == "center_to_neighbor"
    receivers = graph.edge_neighbor if to_neighbor else graph.edge_center
    senders = graph.edge_center if to_neighbor else graph.edge_neighbor
    attention = np.zeros((config.steps, config.heads, graph.n_edges))
    for i in range(config.steps):
        for head in range(config.heads):
            for node in range(graph.n_nodes):
                arriving = np.flatnonzero(receivers == node)
                rows = [np.concatenate([h[node], e[k], h[senders[k]]]) for k in arriving]
                network = p[f"node_{i}"]["attention"]
                scores = np.array([equations.multi_head(network, row, head) for row in rows])
                gates = np.exp(scores) * graph.edge_weight[arriving, None]
                attention[i, head, arriving] = (gates / gates.sum(0)).mean(1)
        new_h = equations.node_updates(p[f"node_{i}"], config, graph, h, h0, e)
        new_e = equations.edge_updates(p.get(f"edge_{i}"), config, graph, h, e, e0)
        h = [a + b for a, b in zip(h, new_h, strict=True)]
        e = [a + b for a, b in zip(e, new_e, strict=True)]
    c = equations.composition_vector(p["composition"], graph, config.composition_steps)
    network, weights = p["pooling"]["attention"], []
    for head in range(config.heads):
        scores = np.array([equations.multi_head(network, np.append(x, c), head) for x in h])
        weights.append((np.exp(scores) / np.exp(scores).sum(0)).mean(1))
    return attention, np.array(weights)


@pytest.fixture(scope="module")
def salt(trained, trained_model):
    """A crystal of more than six sites, and what a trained network saw in it."""
    crystal = next(c for c in cg.ionic_crystals(30, seed=0) if c.n_sites > 6)
    return crystal, explain(trained_model, crystal)


@pytest.mark.parametrize("changes", VARIANTS, ids=["released", "paper", "one weight a head"])
def test_weights_are_those_of_the_equations_and_of_reduced_graphs(changes, monkeypatch):
    monkeypatch.setattr(
        "cgatjax.inference.interpretation.predict", lambda *_, **__: None
    )  # tested elsewhere
    with jax.enable_x64(True):
        model = model_of(equations.SMALL.replace(**changes))
        found = explain(model, PEROVSKITE)
        small = explain(model, reduce_graph(found.graph))
    graph = found.graph
    attention, weights = by_loops(model.params, model.config, graph)
    np.testing.assert_allclose(found.bond_attention, attention, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.atom_weights, weights, rtol=1e-9)
    np.testing.assert_allclose(
        found.embedding, equations.crystal_vector(model.params, model.config, graph), rtol=1e-9
    )
    # A merged edge has the attention of all bonds that one site of the receiving class sees.
    np.testing.assert_allclose(small.atom_weights, weights, rtol=1e-9)
    assert small.site_class.tolist() == found.site_class.tolist() == [0, 1, 2, 2, 2]
    nodes, merged = small.graph, {}
    center, neighbor = (found.site_class[a] for a in (graph.edge_center, graph.edge_neighbor))
    one_site = np.isin(found.receivers, [0, 1, 2])
    for k in np.flatnonzero(one_site):
        key = (center[k], neighbor[k], graph.edge_shell[k])
        merged[key] = merged.get(key, 0) + found.bond_attention[..., k]
    assert len(merged) == nodes.n_edges < graph.n_edges
    keys = zip(nodes.edge_center, nodes.edge_neighbor, nodes.edge_shell, strict=True)
    for k, key in enumerate(keys):
        np.testing.assert_allclose(small.bond_attention[..., k], merged[key], rtol=1e-9)


def test_attention_sums_to_one_for_each_receiver_and_follows_the_sites(trained_model, salt):
    crystal, found = salt
    for receiver in range(crystal.n_sites):
        arriving = found.receivers == receiver
        sums = found.bond_attention[..., arriving].sum(-1)
        np.testing.assert_allclose(sums, 1, rtol=1e-12)
        assert found.even_share[arriving].sum() == pytest.approx(1)
    np.testing.assert_allclose(found.atom_weights.sum(1), 1, rtol=1e-6)
    assert [SYMBOLS.index(symbol) for symbol in found.elements] == crystal.atomic_numbers.tolist()
    embedding = cg.embed(trained_model, GraphList([found.graph], trained_model.graph_config))[0]
    np.testing.assert_allclose(found.embedding, embedding, rtol=1e-4, atol=1e-5)


def test_everything_becomes_json(salt):
    crystal, found = salt
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["id"] == crystal.id
    assert plain["predictions"]["e-form@low"]["unit"] == "eV/atom"
    assert len(plain["sites"]) == crystal.n_sites
    assert len(plain["sites"][0]["weight"]) == 2
    bond = plain["bonds"][0]
    assert np.shape(bond["attention"]) == (1, 2)  # steps, heads
    assert len(bond["vector"]) == 3
    assert len(plain["bonds"]) == found.graph.n_edges
    sums = sum(b["attention"][0][0] for b in plain["bonds"] if b["receiver"] == 0)
    assert sums == pytest.approx(1)
    unsure = dataclasses.replace(found.predictions, stds={"e-form@low": np.array([np.nan])})
    bare = dataclasses.replace(found, crystal=None, vectors=None, predictions=unsure).to_dict()
    assert "vector" not in bare["bonds"][0]
    assert bare["predictions"]["e-form@low"]["std"] is None
    json.dumps(bare, allow_nan=False)


def test_shares_by_hand():
    scores = np.log([[[1.0], [3.0], [5.0]]])  # one head, three rows, one channel
    found = shares(scores, np.array([0, 0, 1]), np.array([3.0, 1.0, 2.0]))
    np.testing.assert_allclose(found[0, :, 0], [0.5, 0.5, 1.0])
    far = shares(scores + 1e4, np.array([0, 0, 1]), np.array([3.0, 1.0, 2.0]))
    np.testing.assert_allclose(far, found, rtol=1e-9)


def test_a_crystal_that_cannot_be_used_is_refused(trained_model):
    with pytest.raises(StructureError, match="'point'"):
        explain(
            trained_model,
            cg.Crystal(
                id="point",
                lattice=np.zeros((3, 3)),
                frac_coords=np.zeros((1, 3)),
                atomic_numbers=np.ones(1, np.uint8),
            ),
        )


def test_keeping_scores_costs_nothing_where_nobody_asks(monkeypatch):
    config = equations.SMALL.replace(edge_update="attention")
    batch = collate([featurize(PEROVSKITE, GRAPHS)])
    params = equations.random_params(config, [featurize(PEROVSKITE, GRAPHS)])

    def program():
        net = CGAT(config, equations.TABLE)
        traced = jax.make_jaxpr(lambda p, b: net.apply({"params": p}, b))(params, batch)
        return re.sub(r"0x[0-9a-f]+", "", str(traced))

    asked_never = program()
    monkeypatch.setattr(nn.Module, "sow", lambda *_, **__: False)
    assert program() == asked_never
