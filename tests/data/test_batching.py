from collections import Counter

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgatjax.config import GraphConfig
from cgatjax.data.batching import BatchBudget, CrystalBatch, assemble, collate, snug_budget
from cgatjax.errors import InputError
from cgatjax.graphs.crystal_graph import CrystalGraph, featurize
from cgatjax.graphs.graph_arrays import GraphArrays
from cgatjax.graphs.reduction import reduce_graph
from cgatjax.synthetic.dataset import ionic_crystals


def random_graph(rng: np.random.Generator) -> CrystalGraph:
    n, k = int(rng.integers(1, 9)), int(rng.integers(1, 7))
    numbers = rng.choice(rng.integers(1, 104, 3), n)
    shells = np.sort(rng.integers(1, k + 1, (n, k)))
    graph = CrystalGraph.from_neighbors(numbers, rng.integers(0, n, (n, k)), shells)
    return reduce_graph(graph) if rng.random() < 0.5 else graph


def one_by_one(graphs, budget: BatchBudget) -> dict[str, list]:
    """The crystal part of a batch, made crystal by crystal in plain Python, without padding."""
    flat: dict[str, list] = {name: [] for name in ("element", "sites", "shell", "weight")}
    flat |= {name: [] for name in ("receivers", "senders", "n_node", "n_edge")}
    for graph in graphs:
        first = len(flat["element"])
        flat["element"] += graph.atomic_numbers.tolist()
        flat["sites"] += graph.node_multiplicity.tolist()
        flat["shell"] += graph.edge_shell.tolist()
        flat["weight"] += [
            int(a) / int(b)
            for a, b in zip(graph.weight_numerator, graph.weight_denominator, strict=True)
        ]
        flat["receivers"] += [first + i for i in graph.edge_center.tolist()]
        flat["senders"] += [first + i for i in graph.edge_neighbor.tolist()]
        flat["n_node"].append(graph.n_nodes)
        flat["n_edge"].append(graph.n_edges)
    return flat


def check_crystals(batch: CrystalBatch, graphs, budget: BatchBudget) -> None:
    part, expected = batch.crystal, one_by_one(graphs, budget)
    found = {
        "element": part.nodes["element"],
        "sites": part.nodes["weight"],
        "shell": part.edges["shell"],
        "weight": part.edges["weight"],
        "receivers": part.receivers,
        "senders": part.senders,
        "n_node": part.n_node,
        "n_edge": part.n_edge,
    }
    for name, values in expected.items():
        assert found[name][: len(values)] == pytest.approx(np.array(values, np.float32)), name
    assert len(part.nodes["element"]) == budget.nodes
    assert len(part.receivers) == len(part.senders) == len(part.edges["shell"]) == budget.edges


def check_composition(batch: CrystalBatch, graphs) -> None:
    part = batch.composition
    node, edge = 0, 0
    for index, graph in enumerate(graphs):
        sites = graph.atomic_numbers[graph.site_class].tolist()
        counts = Counter(sites)
        elements = sorted(counts)
        n = len(elements)
        assert part.n_node[index] == n
        assert part.n_edge[index] == n * (n - 1)
        assert part.nodes["element"][node : node + n].tolist() == elements
        shares = [counts[z] / len(sites) for z in elements]
        assert part.nodes["fraction"][node : node + n] == pytest.approx(shares, rel=1e-6)
        span = slice(edge, edge + n * (n - 1))
        pairs = zip(part.receivers[span].tolist(), part.senders[span].tolist(), strict=True)
        ordered = {(node + i, node + j) for i in range(n) for j in range(n) if i != j}
        assert set(pairs) == ordered
        node, edge = node + n, edge + n * (n - 1)


def check_padding(part, n_graphs: int) -> None:
    """jraph's convention: the first padding graph holds all padding nodes and edges."""
    n_node, n_edge = part.n_node, part.n_edge
    first = int(n_node[:n_graphs].sum())
    total = len(jax.tree.leaves(part.nodes)[0])
    assert n_node.sum() == total
    assert n_edge.sum() == len(part.receivers)
    assert n_node[n_graphs] == total - first >= 1
    assert not n_node[n_graphs + 1 :].any()
    assert not n_edge[n_graphs + 1 :].any()
    for index in (part.receivers, part.senders):
        spare = index[int(n_edge[:n_graphs].sum()) :]
        assert ((spare >= first) & (spare < total)).all()
        per_node = np.bincount(spare - first, minlength=total - first)
        assert per_node.max() - per_node.min() <= 1


@pytest.mark.parametrize("seed", range(10))
def test_100_random_graphs_are_batched_as_one_by_one(seed):
    rng = np.random.default_rng(seed)
    graphs = [random_graph(rng) for _ in range(10)]
    targets = {"x": rng.normal(size=10), "y": np.where(rng.random(10) < 0.5, np.nan, 1.0)}
    arrays = GraphArrays.from_graphs(graphs, targets)
    snug = snug_budget(arrays)
    larger = BatchBudget(
        *(size + int(extra) for size, extra in zip(snug[:5], rng.integers(0, 99, 5), strict=True))
    )
    for budget in (snug, larger):
        batch = collate(graphs, targets, budget)
        check_crystals(batch, graphs, budget)
        check_composition(batch, graphs)
        check_padding(batch.crystal, 10)
        check_padding(batch.composition, 10)
        assert batch.graph_mask.tolist() == [True] * 10 + [False] * (budget.graphs - 10)
        for name, values in targets.items():
            known = np.isfinite(values)
            assert batch.target_mask[name].tolist() == [*known, *[False] * (budget.graphs - 10)]
            assert batch.targets[name][:10] == pytest.approx(np.where(known, values, 0), rel=1e-6)
            assert not batch.targets[name][10:].any()


def test_featurized_crystals_are_batched_as_one_by_one():
    for config in (GraphConfig.released(), GraphConfig.recommended()):
        graphs = [featurize(c, config) for c in ionic_crystals(8, seed=3)]
        for chosen in (graphs, [reduce_graph(g) for g in graphs]):
            budget = snug_budget(GraphArrays.from_graphs(chosen))
            batch = collate(chosen)
            check_crystals(batch, chosen, budget)
            check_composition(batch, chosen)


def test_the_smallest_budget_is_enough():
    graphs = [random_graph(np.random.default_rng(i)) for i in range(4)]
    arrays = GraphArrays.from_graphs(graphs)
    composition = collate(graphs).composition
    budget = BatchBudget(
        graphs=5,
        nodes=int(arrays.n_node.sum()) + 1,
        edges=int(arrays.n_edge.sum()),
        composition_nodes=int(composition.n_node[:4].sum()) + 1,
        composition_edges=int(composition.n_edge[:4].sum()),
    )
    batch = assemble(arrays, budget)
    check_crystals(batch, graphs, budget)
    check_padding(batch.crystal, 4)
    for name in BatchBudget._fields[:5]:
        less = budget._replace(**{name: getattr(budget, name) - 1})
        with pytest.raises(InputError, match="expected a batch of at most BatchBudget"):
            assemble(arrays, less)


def test_elements_alone_have_no_composition_edges():
    graph = CrystalGraph.from_neighbors(
        np.array([8, 8]), np.array([[1], [0]]), np.ones((2, 1), int)
    )
    batch = collate([graph])
    assert batch.composition.n_edge[0] == 0
    assert batch.composition.nodes["fraction"][0] == 1.0


@given(st.integers(0, 10**6))
def test_every_graph_is_kept_beside_its_neighbors(seed):
    rng = np.random.default_rng(seed)
    graphs = [random_graph(rng) for _ in range(5)]
    batch = collate(graphs)
    owner = np.repeat(np.arange(len(batch.crystal.n_node)), batch.crystal.n_node)
    edge_owner = np.repeat(np.arange(len(batch.crystal.n_edge)), batch.crystal.n_edge)
    assert np.array_equal(owner[batch.crystal.receivers], edge_owner)
    assert np.array_equal(owner[batch.crystal.senders], edge_owner)


def test_no_graphs_are_an_error():
    with pytest.raises(InputError, match="at least one crystal graph"):
        collate([])


def test_dtypes_are_those_of_the_session():
    graphs = [random_graph(np.random.default_rng(0))]
    assert collate(graphs).crystal.edges["weight"].dtype == np.float32
    with jax.enable_x64(True):
        batch = collate(graphs, {"x": [0.1]})
    assert batch.crystal.edges["weight"].dtype == np.float64
    assert batch.targets["x"][0] == 0.1
