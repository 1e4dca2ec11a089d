"""One site, two neighbors, one head: a network small enough for pencil and paper."""

import functools
import math

import jax
import numpy as np
import pytest

from cgatjax.config import ModelConfig
from cgatjax.data.batching import collate
from cgatjax.graphs.crystal_graph import CrystalGraph
from cgatjax.nn.cgat import CGAT
from cgatjax.structures.elements import SYMBOLS, ElementTable

# Polonium is (1), chlorine is (2) in this table.
_VECTORS = np.zeros((len(SYMBOLS), 1))
_VECTORS[84], _VECTORS[17] = 1.0, 2.0
TABLE = ElementTable(name="hand", vectors=_VECTORS, known=_VECTORS[:, 0] > 0)
CONFIG = ModelConfig(
    node_dim=2,
    edge_dim=1,
    heads=1,
    steps=1,
    composition_steps=0,
    composition_hidden=1,
    element_dim=1,
    max_shells=2,
    edge_update="none",
    rezero=False,
    head_widths=(2,),
)


LONE = CrystalGraph.from_neighbors(np.array([84]), np.array([[0, 0]]), np.array([[1, 2]]))


def by_hand(graph=LONE, direction="center_to_neighbor"):
    """Outputs and intermediates; all weights zero but those that the numbers below name."""
    net = CGAT(CONFIG.replace(message_direction=direction), TABLE)
    batch = collate([graph])
    shapes = jax.eval_shape(net.init, jax.random.key(0), batch)["params"]
    p = jax.tree.map(lambda leaf: np.zeros(leaf.shape), shapes)
    encoder = p["encoder"]
    encoder["embedding"]["kernel"][:] = [[2.0, -1.0]]
    encoder["shell_embedding"][:, 0] = [9.0, 0.5, 1.5]
    # Rows of [h_receiver | e | h_sender]; the hidden layer has int(5/1.5) = 3 units.
    message, attention = encoder["node_0"]["message"], encoder["node_0"]["attention"]
    message["kernel_in"][[0, 1, 2], [0, 1, 2]] = 1.0  # copies h_1, h_2 and e
    message["kernel_out"][0] = [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]  # (h_1 + e, h_2)
    attention["kernel_in"][2, 0] = 1.0
    attention["kernel_out"][0, 0] = [1.0, 0.0]  # score e in channel 1, 0 in channel 2
    for layer in encoder["node_0"]["update"]["hyper"].values():
        layer["bias_out"][:2] = np.eye(2)  # whatever z is: the identity
    pooling = encoder["pooling"]["message"]
    pooling["kernel_in"][:] = np.eye(2)
    pooling["kernel_out"][0] = [[1.0, 0.0], [0.0, 100.0]]
    encoder["composition"]["embedding"]["kernel"][:] = 3.0
    encoder["composition"]["embedding"]["bias"][:] = 1.0
    encoder["composition"]["pooling"]["power"][...] = 2.0
    head = p["heads"]["target"]
    head["layer_0"]["kernel"][:] = [[1.0, -1.0], [0.0, 0.0]]
    head["out"]["kernel"][:] = [[1.0, 0.0], [0.0, 2.0]]
    head["out"]["bias"][:] = [0.25, 0.5]
    with jax.enable_x64(True):
        network = jax.jit(functools.partial(net.apply, mutable=["intermediates"]))
        out, sown = network({"params": p}, batch)
    encoder = sown["intermediates"]["encoder"]
    sown = {k: np.asarray(v[0]) for k, v in encoder.items() if isinstance(v, tuple)}
    return np.asarray(out), sown


def test_one_step_and_the_readout():
    out, sown = by_hand()
    # h0 = W (1) = (2, -1). Two edges, shells 1 and 2, e = 0.5 and 1.5, so the messages are
    # (2 + 0.5, -0.01) and (2 + 1.5, -0.01): LeakyReLU makes -0.01 of -1. The scores of channel 1
    # are 0.5 and 1.5: shares 1/(1 + exp(1)) = 0.26894142 and 0.73105858, and
    # agg = (2.5 * 0.26894142 + 3.5 * 0.73105858, -0.01) = (3.23105858, -0.01).
    # Hyper is the identity with LayerNorm and tanh between: two numbers a > b become
    # (t, -t) with t = tanh(d / sqrt(d^2 + 1e-5)), d = (a - b)/2.
    d = (3.23105858 + 0.01) / 2
    for _ in range(3):
        d = math.tanh(d / math.sqrt(d * d + 1e-5))
    assert d == pytest.approx(0.761590, abs=1e-6)
    np.testing.assert_allclose(sown["node_update_0"][0], [d, -d], rtol=1e-7)
    # h = (2.761590, -1.761590). One atom: the pooling is its message, (2.761590, -1.761590).
    # The head has no skip layer, for its width stays 2: relu((2.76159, -2.76159)) + itself
    # = (5.523180, -1.761590); then (5.523180 + 0.25, 2 * -1.761590 + 0.5).
    np.testing.assert_allclose(out[0], [5.773180, -3.023180], rtol=1e-6)


def test_composition_vector():
    _, sown = by_hand()
    # Polonium: (3 * 1 + 1 | fraction 1); nothing to attend to, only the floor of 1e-13.
    np.testing.assert_allclose(sown["composition_vector"][0], [4.0, 1.0], rtol=1e-12)
    # Po Cl3: (4 | 0.25) and (7 | 0.75). Scores zero, p = 2: gates 0.0625 and 0.5625, shares
    # 0.1 and 0.9: (0.1 * 4 + 0.9 * 7 | 0.1 * 0.25 + 0.9 * 0.75).
    neighbors = np.array([[1, 2], [0, 2], [0, 3], [0, 1]])
    compound = CrystalGraph.from_neighbors(
        np.array([84, 17, 17, 17]), neighbors, np.ones_like(neighbors)
    )
    _, sown = by_hand(compound)
    np.testing.assert_allclose(sown["composition_vector"][0], [6.7, 0.7], rtol=1e-11)


@pytest.mark.parametrize(
    ("direction", "hears"),
    [("center_to_neighbor", [False, True]), ("neighbor_to_center", [True, True])],
)
def test_messages_run_from_center_to_neighbor_or_back(direction, hears):
    # Site 0 sees site 1 twice, site 1 sees itself. Released messages all arrive at site 1: site 0
    # hears nothing, and Hyper, here without a bias, makes nothing of it.
    graph = CrystalGraph.from_neighbors(
        np.array([84, 17]), np.array([[1, 1], [1, 1]]), np.array([[1, 1], [1, 1]])
    )
    _, sown = by_hand(graph, direction)
    assert sown["node_update_0"][:2].any(axis=1).tolist() == hears
