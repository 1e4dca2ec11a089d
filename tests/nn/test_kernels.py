"""Pallas kernels, interpreted on the CPU, against the plain path."""

import contextlib
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cgatjax.config import ModelConfig
from cgatjax.data.batching import collate
from cgatjax.graphs.crystal_graph import CrystalGraph
from cgatjax.model.network import Network
from cgatjax.nn import bilinear_kernels, cgat, message_kernels
from cgatjax.nn.bilinear_kernels import fused_bilinear
from cgatjax.nn.edge_network import EdgeNetwork
from cgatjax.nn.hypernetwork import bilinear
from cgatjax.nn.message_kernels import CHUNK, Options, chunked, fused_messages, plain_messages

TILES = bilinear_kernels.Tiling(rows=16)
NODES, EDGES, HEADS, HIDDEN, WIDTH = 30, 200, 2, 64, 16


def normal(seed, *shape, scale=1.0):
    drawn = np.random.default_rng(seed).normal(size=shape) * scale
    return jnp.asarray(drawn, jnp.float32)


def close(found, expected, tolerance):
    """Equal within a tolerance relative to the largest number of all leaves."""
    found, expected = (
        np.concatenate([np.ravel(x) for x in jax.tree.leaves(t)]) for t in (found, expected)
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * abs(expected).max())


@pytest.mark.parametrize("rows", [48, 50])
@pytest.mark.parametrize(("low", "tolerance"), [(False, 1e-6), (True, 1e-2)])
def test_bilinear_form_and_its_gradients(rows, low, tolerance):
    z, x = normal(0, rows, WIDTH), normal(1, rows, WIDTH + 1)
    kernel, along = normal(2, WIDTH, WIDTH + 1, WIDTH, scale=1 / WIDTH), normal(3, rows, WIDTH)

    def both(function):
        total = jax.grad(lambda *a: (function(*a) * along).sum(), (0, 1, 2))
        return jax.jit(function)(z, x, kernel), *jax.jit(total)(z, x, kernel)

    fused = both(lambda *a: fused_bilinear(*a, low, "highest", TILES, True))
    for found, expected in zip(fused, both(lambda *a: bilinear(*a, low)), strict=True):
        close(found, expected, tolerance)


def random_messages(seed=0):
    """Two networks and edges in no order, of which node 3 receives none and node 4 very many."""
    random = np.random.default_rng(seed)
    receivers = random.integers(0, NODES, EDGES).astype(np.int32)
    receivers[receivers == 3] = 4
    receivers[::3] = 4
    indices = (receivers, random.integers(0, 25, EDGES), random.integers(0, NODES, EDGES))
    weights = random.integers(1, 5, EDGES).astype(np.float32)

    def network(seed):
        counts = (NODES, 25, NODES)
        return EdgeNetwork(
            tuple(normal(seed + i, HEADS, n, HIDDEN) for i, n in enumerate(counts)),
            normal(seed + 3, HEADS, HIDDEN),
            normal(seed + 4, HEADS, HIDDEN, WIDTH, scale=HIDDEN**-0.5),
            normal(seed + 5, HEADS, WIDTH),
        )

    return (network(0), network(10)), jax.tree.map(jnp.asarray, (indices, receivers, weights))


def test_chunks_hold_every_edge_once():
    _, (_, receivers, weights) = random_messages()
    layout = chunked(receivers, weights, NODES, 32)
    used = np.asarray(layout.weight) > 0
    assert np.array_equal(np.sort(np.asarray(layout.edge)[used]), np.arange(EDGES))
    assert np.array_equal(layout.weight[used], weights[layout.edge[used]])
    by_slot = np.repeat(np.asarray(layout.receiver), CHUNK)
    assert np.array_equal(by_slot[used], receivers[layout.edge[used]])
    assert len(layout.edge) % 32 == 0
    assert int(layout.used[0]) > np.flatnonzero(used).max()
    assert (np.asarray(layout.receiver)[int(layout.used[0]) // CHUNK :] == NODES).all()


@pytest.mark.parametrize(("low", "tolerance"), [(False, 1e-6), (True, 1e-2)])
def test_messages_and_their_gradients(low, tolerance):
    networks, edges = random_messages()
    tiling = message_kernels.Tiling(edges=32, hidden=32)
    options = Options(NODES, False, low, "highest", tiling, True)
    layout = chunked(edges[1], edges[2], NODES, tiling.edges)

    def both(function):
        total = jax.grad(lambda networks: (function(networks) ** 2).sum())
        return jax.jit(function)(networks), jax.jit(total)(networks)

    found, gradient = both(lambda networks: fused_messages(networks, edges, layout, options))
    expected, its_gradient = both(lambda networks: plain_messages(networks, edges, options))
    close(found, expected, tolerance)
    close(gradient, its_gradient, tolerance)
    assert not np.any(found[:, 3])


def test_widths_that_no_tile_fits_are_told():
    assert bilinear_kernels.is_supported(np.zeros((128, 129, 128)))
    assert not bilinear_kernels.is_supported(np.zeros((100, 101, 100)))
    assert message_kernels.is_supported(512, 128)
    assert not message_kernels.is_supported(50, 16)
    assert not message_kernels.is_supported(64, 100)


def a_gpu():
    """A context in which JAX takes a GPU to be there; older versions lower without one."""
    if not hasattr(jax.sharding, "AbstractDevice"):
        return contextlib.nullcontext()
    facts = ("NVIDIA H100 80GB HBM3", 132, "gpu")  # older versions take two of them
    taken = len(inspect.signature(jax.sharding.AbstractDevice).parameters)
    device = jax.sharding.AbstractDevice(*facts[:taken])
    mesh = jax.sharding.AbstractMesh((), (), abstract_device=device)
    return jax.sharding.use_abstract_mesh(mesh)


@pytest.mark.filterwarnings("ignore:The Pallas Triton backend is deprecated")
@pytest.mark.parametrize("low", [False, True])
def test_kernels_are_lowered_for_a_gpu(low):
    """Without a GPU at hand: at least the translation to Triton's language succeeds."""

    def step(z, x, kernel):
        return jax.grad(lambda *a: fused_bilinear(*a, low, "tensorfloat32").sum(), (0, 1, 2))(
            z, x, kernel
        )

    shapes = [(64, 32), (64, 33), (32, 33, 32)]
    arrays = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    networks, edges = random_messages()
    options = Options(NODES, False, low, "tensorfloat32")

    def messages(networks, edges):
        layout = chunked(edges[1], edges[2], NODES, options.tiling.edges)
        return fused_messages(networks, edges, layout, options)

    for function, arguments, kernels in ((step, arrays, 2), (messages, (networks, edges), 1)):
        with a_gpu():
            lowered = jax.jit(function).trace(*arguments).lower(lowering_platforms=("cuda",))
        assert lowered.as_text().count("xla.gpu.triton") >= kernels


@pytest.mark.parametrize(("platform", "barriers"), [("cpu", 2), ("cuda", 2), ("tpu", 1)])
def test_on_tpus_nothing_keeps_the_products_from_being_formed_within_a_product(platform, barriers):
    shapes = [(3200, 128), (3200, 129), (128, 129, 128)]
    arrays = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    gradient = jax.jit(jax.grad(lambda *a: bilinear(*a).sum(), (0, 1, 2)))
    lowered = gradient.trace(*arrays).lower(lowering_platforms=(platform,))
    assert lowered.as_text().count("optimization_barrier") == barriers


@pytest.mark.long  # the kernels are off by default, and compared one by one above
def test_a_network_with_kernels_computes_the_same(monkeypatch):
    config = ModelConfig.small(node_dim=16, edge_dim=16, heads=2, steps=2, head_widths=(8,))
    crystals = [random_graph(sites) for sites in (1, 3, 60, 70)]
    batch = collate(crystals, {"target": np.zeros(4)})
    params = Network(config).init(0)
    expected = jax.jit(Network(config).apply)(params, batch)
    monkeypatch.setattr(cgat, "runs_fused_kernels", lambda config: config.kernels == "pallas")
    network = Network(config.replace(kernels="pallas"))
    messages, layers = 2, 2 * 4
    traced = str(jax.make_jaxpr(network.apply)(params, batch))
    assert traced.count("pallas_call[") == messages + layers
    close(jax.jit(network.apply)(params, batch), expected, 1e-5)
    scores = network.attention(params, batch).steps
    assert [s.shape for s in scores] == [(2, len(batch.crystal.senders), 16)] * 2


def random_graph(sites):
    random = np.random.default_rng(sites)
    neighbors = random.integers(0, sites, (sites, 5))
    shells = np.sort(random.integers(1, 6, (sites, 5)), axis=1)
    return CrystalGraph.from_neighbors(random.integers(1, 90, sites), neighbors, shells)
