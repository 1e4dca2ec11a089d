from collections import Counter, defaultdict
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.crystals import sound

from cgatjax.config import GraphConfig
from cgatjax.errors import StructureError
from cgatjax.graphs.crystal_graph import CrystalGraph, featurize
from cgatjax.graphs.reduction import reduce_graph
from cgatjax.structures.crystal import Crystal

CUT = GraphConfig.released()
SHARE = GraphConfig.recommended()


def weights(graph: CrystalGraph) -> list[Fraction]:
    return [
        Fraction(int(n), int(d))
        for n, d in zip(graph.weight_numerator, graph.weight_denominator, strict=True)
    ]


def seen(graph: CrystalGraph, label: list) -> tuple[list[Counter], list[Counter]]:
    """What one site of each node sees along outgoing and incoming edges: (shell, label) -> sum."""
    outgoing = [defaultdict(Fraction) for _ in range(graph.n_nodes)]
    incoming = [defaultdict(Fraction) for _ in range(graph.n_nodes)]
    size = graph.node_multiplicity.tolist()
    ends = zip(graph.edge_center.tolist(), graph.edge_neighbor.tolist(), strict=True)
    for (i, j), shell, w in zip(ends, graph.edge_shell.tolist(), weights(graph), strict=True):
        outgoing[i][shell, label[j]] += w
        incoming[j][shell, label[i]] += w * size[i] / size[j]
    return outgoing, incoming


def check_exact(graph: CrystalGraph, small: CrystalGraph) -> None:
    """Every site of the unreduced graph sees what its class sees, in both directions."""
    sound(small)
    of_site = small.site_class.tolist()
    sites = seen(graph, of_site)
    classes = seen(small, list(range(small.n_nodes)))
    for per_site, per_class in zip(sites, classes, strict=True):
        assert per_site == [per_class[c] for c in of_site]
    assert small.atomic_numbers[small.site_class].tolist() == graph.atomic_numbers.tolist()


def coarsest(graph: CrystalGraph) -> int:
    """Number of classes, refined with dictionaries of fractions instead of hashes."""
    color = graph.atomic_numbers.tolist()
    while True:
        around = zip(color, *seen(graph, color), strict=True)
        keys = [(c, frozenset(o.items()), frozenset(i.items())) for c, o, i in around]
        names = {key: number for number, key in enumerate(dict.fromkeys(keys))}
        if len(names) == len(set(color)):
            return len(names)
        color = [names[key] for key in keys]


def fingerprint(graph: CrystalGraph) -> Counter:
    """What does not depend on numbering: a deep color of each class and its share of the sites."""
    color = graph.atomic_numbers.tolist()
    for _ in range(6):
        outgoing, incoming = seen(graph, color)
        around = zip(color, outgoing, incoming, strict=True)
        color = [hash((c, *(frozenset(x.items()) for x in (o, i)))) for c, o, i in around]
    shares = [Fraction(m, graph.n_sites) for m in graph.node_multiplicity.tolist()]
    return Counter(zip(color, shares, strict=True))


def random_graph(seed: int) -> CrystalGraph:
    """A graph with few elements, shells and kinds of edges, so that some sites are alike."""
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(1, 12)), int(rng.integers(1, 5))
    step = rng.integers(0, n, k)  # sites on a ring see the same steps, some see other ones
    neighbors = (np.arange(n)[:, None] + step) % n
    shells = np.tile(np.sort(rng.integers(1, k + 1, k)), (n, 1))
    if rng.random() < 0.5:
        odd = rng.integers(0, n)
        neighbors[odd] = rng.integers(0, n, k)
    numbers = rng.choice([[8], [3, 8], [3, 3, 8]][rng.integers(3)], n) if rng.random() < 0.5 else 3
    return CrystalGraph.from_neighbors(np.broadcast_to(numbers, n), neighbors, shells)


def random_crystal(seed: int) -> Crystal:
    """A few sites, doubled by an inversion, a mirror or a translation, in a cell of any shape."""
    rng = np.random.default_rng(seed)
    half = rng.uniform(0, 1, (int(rng.integers(1, 4)), 3))
    double = [-half, half * [1, 1, -1], half + np.array([0.5, 0.5, 0])][rng.integers(3)]
    lattice = (
        np.diag(rng.uniform(3, 6, 3))
        if rng.random() < 0.5
        else rng.normal(size=(3, 3)) + 5 * np.eye(3)
    )
    numbers = rng.choice([8, 22, 38], len(half))
    return Crystal(
        id=f"random-{seed}",
        lattice=lattice,
        frac_coords=np.concatenate([half, double]),
        atomic_numbers=np.concatenate([numbers, numbers]).astype(np.uint8),
    )


def test_rocksalt_is_two_nodes_and_six_edges(prototypes):
    small = reduce_graph(featurize(prototypes["NaCl"], SHARE))
    assert small.atomic_numbers.tolist() == [11, 17]
    assert small.node_multiplicity.tolist() == [4, 4]
    assert small.site_class.tolist() == [0] * 4 + [1] * 4
    assert small.edge_center.tolist() == [0, 0, 0, 1, 1, 1]
    assert small.edge_neighbor.tolist() == [1, 0, 1, 0, 1, 0]
    assert small.edge_shell.tolist() == [1, 2, 3, 1, 2, 3]
    assert weights(small) == [6, 12, 6] * 2  # the last: 8 neighbors share 6 slots


def test_perovskite_weights_worked_out_by_hand(prototypes):
    small = reduce_graph(featurize(prototypes["SrTiO3"], SHARE))
    assert small.atomic_numbers.tolist() == [38, 22, 8]
    assert small.node_multiplicity.tolist() == [1, 1, 3]
    sr, ti, o = range(3)
    edges = zip(
        small.edge_center, small.edge_shell, small.edge_neighbor, weights(small), strict=True
    )
    assert [tuple(map(Fraction, edge)) for edge in edges] == [
        *[(sr, 1, o, 12), (sr, 2, ti, 8), (sr, 3, sr, 4)],
        *[(ti, 1, o, 6), (ti, 2, sr, 8), (ti, 3, ti, 6), (ti, 4, o, 4)],
        *[(o, 1, ti, 2), (o, 2, sr, 4), (o, 2, o, 8), (o, 3, o, 6), (o, 4, ti, 4)],
    ]


def test_sums_of_fractions_are_recognized():
    # Site 0 sees 1/3 + 1/3 + 1/3 of a kind, site 1 sees it once: they are of one class.
    graph = CrystalGraph(
        atomic_numbers=np.array([3, 3], np.uint8),
        node_multiplicity=np.ones(2, np.uint32),
        site_class=np.arange(2, dtype=np.uint16),
        edge_center=np.array([0, 0, 0, 1], np.uint16),
        edge_neighbor=np.array([1, 1, 1, 0], np.uint16),
        edge_shell=np.ones(4, np.uint8),
        weight_numerator=np.ones(4, np.uint16),
        weight_denominator=np.array([3, 3, 3, 1], np.uint16),
        max_neighbors=1,
    )
    small = reduce_graph(graph)
    assert small.n_nodes == small.n_edges == 1
    assert weights(small) == [1]


def test_incoming_edges_split_classes():
    # Outgoing, all three sites look alike; but nobody sees site 0.
    graph = CrystalGraph.from_neighbors(
        np.full(3, 6), np.array([[1], [2], [1]]), np.ones((3, 1), int)
    )
    small = reduce_graph(graph)
    assert small.site_class.tolist() == [0, 1, 2]
    check_exact(graph, small)


@given(st.integers(0, 10**6))
def test_random_graphs_reduce_exactly_and_as_far_as_possible(seed):
    graph = random_graph(seed)
    small = reduce_graph(graph)
    check_exact(graph, small)
    assert small.n_nodes == coarsest(graph)


@pytest.mark.parametrize("config", [CUT, SHARE], ids=["cut", "share"])
@given(seed=st.integers(0, 10**6))
def test_random_crystals_reduce_exactly_and_as_far_as_possible(config, seed):
    graph = featurize(random_crystal(seed), config)
    small = reduce_graph(graph)
    check_exact(graph, small)
    assert small.n_nodes == coarsest(graph)


@given(st.integers(0, 10**6))
def test_reducing_twice_changes_nothing(seed):
    once = reduce_graph(featurize(random_crystal(seed), SHARE))
    twice = reduce_graph(once)
    for name in (
        "atomic_numbers",
        "node_multiplicity",
        "site_class",
        "edge_neighbor",
        "edge_shell",
    ):
        assert np.array_equal(getattr(once, name), getattr(twice, name))
    assert weights(once) == weights(twice)


def test_a_partly_reduced_graph_is_reduced_further_and_its_site_classes_are_composed():
    # Three alike sites that all see each other: two of them are merged already.
    half = sound(
        CrystalGraph(
            atomic_numbers=np.array([55, 55], np.uint8),
            node_multiplicity=np.array([2, 1], np.uint32),
            site_class=np.array([0, 1, 0], np.uint16),
            edge_center=np.array([0, 0, 1, 1], np.uint16),
            edge_neighbor=np.array([0, 1, 0, 1], np.uint16),
            edge_shell=np.ones(4, np.uint8),
            weight_numerator=np.array([2, 1, 2, 1], np.uint16),
            weight_denominator=np.ones(4, np.uint16),
            max_neighbors=3,
        )
    )
    small = reduce_graph(half)
    assert small.node_multiplicity.tolist() == [3]
    assert small.site_class.tolist() == [0, 0, 0]
    assert weights(small) == [3]


def test_weights_that_do_not_fit_are_an_error():
    graph = CrystalGraph(
        id="odd",
        atomic_numbers=np.array([3], np.uint8),
        node_multiplicity=np.ones(1, np.uint32),
        site_class=np.zeros(1, np.uint16),
        edge_center=np.zeros(2, np.uint16),
        edge_neighbor=np.zeros(2, np.uint16),
        edge_shell=np.ones(2, np.uint8),
        weight_numerator=np.ones(2, np.uint16),
        weight_denominator=np.array([65535, 65534], np.uint16),
        max_neighbors=1,
    )
    with pytest.raises(StructureError, match=r"'odd': the merged weight 131069/4294770690"):
        reduce_graph(graph)


def permuted(crystal: Crystal, rng: np.random.Generator) -> Crystal:
    order = rng.permutation(crystal.n_sites)
    return changed(
        crystal, crystal.lattice, crystal.frac_coords[order], crystal.atomic_numbers[order]
    )


def rotated(crystal: Crystal, rng: np.random.Generator) -> Crystal:
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return changed(crystal, crystal.lattice @ rotation, crystal.frac_coords, crystal.atomic_numbers)


def translated(crystal: Crystal, rng: np.random.Generator) -> Crystal:
    coords = crystal.frac_coords + rng.uniform(-1, 1, 3) + rng.integers(-2, 2, (crystal.n_sites, 3))
    return changed(crystal, crystal.lattice, coords, crystal.atomic_numbers)


def scaled(crystal: Crystal, rng: np.random.Generator) -> Crystal:
    factor = rng.uniform(0.8, 1.2)
    return changed(crystal, factor * crystal.lattice, crystal.frac_coords, crystal.atomic_numbers)


def other_cell(crystal: Crystal, rng: np.random.Generator) -> Crystal:
    change = np.eye(3, dtype=int)
    change[0, 1], change[1, 2], change[2, 0] = rng.integers(-1, 2, 3)
    if abs(round(np.linalg.det(change))) != 1:
        change = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1]])
    coords = crystal.frac_coords @ np.linalg.inv(change)
    return changed(crystal, change @ crystal.lattice, coords, crystal.atomic_numbers)


def supercell(crystal: Crystal, rng: np.random.Generator) -> Crystal:
    times = np.array([2, 1, 1 + rng.integers(2)])
    cells = np.stack(np.meshgrid(*map(np.arange, times)), -1).reshape(-1, 3)
    coords = (crystal.frac_coords[None] + cells[:, None]).reshape(-1, 3) / times
    numbers = np.tile(crystal.atomic_numbers, len(cells))
    return changed(crystal, times[:, None] * crystal.lattice, coords, numbers)


def changed(crystal: Crystal, lattice, frac_coords, atomic_numbers) -> Crystal:
    return Crystal(
        id=crystal.id, lattice=lattice, frac_coords=frac_coords, atomic_numbers=atomic_numbers
    )


CHANGES = [permuted, rotated, translated, scaled, other_cell, supercell]


@pytest.mark.parametrize("change", CHANGES)
def test_prototypes_keep_their_reduced_graph(prototypes, change):
    rng = np.random.default_rng(7)
    for crystal in prototypes.values():
        small = reduce_graph(featurize(crystal, SHARE))
        again = reduce_graph(featurize(change(crystal, rng), SHARE))
        assert again.n_nodes == small.n_nodes
        assert fingerprint(again) == fingerprint(small)


@pytest.mark.parametrize("change", CHANGES)
@given(seed=st.integers(0, 10**6))
def test_random_crystals_keep_their_reduced_graph(change, seed):
    crystal = random_crystal(seed)
    other = change(crystal, np.random.default_rng(seed + 1))
    small = reduce_graph(featurize(crystal, SHARE))
    assert fingerprint(reduce_graph(featurize(other, SHARE))) == fingerprint(small)


@pytest.mark.parametrize("change", CHANGES)
def test_real_crystals_keep_their_reduced_graph(golden_crystals, change):
    rng = np.random.default_rng(5)
    for crystal in golden_crystals[::12]:
        small = reduce_graph(featurize(crystal, SHARE))
        again = reduce_graph(featurize(change(crystal, rng), SHARE))
        assert fingerprint(again) == fingerprint(small), crystal.id


def test_prototypes_reduce_to_few_nodes(prototypes):
    for config, nodes, edges in ((CUT, 0.9, 0.45), (SHARE, 0.45, 0.07)):
        graphs = [featurize(crystal, config) for crystal in prototypes.values()]
        small = [reduce_graph(graph) for graph in graphs]
        for graph, reduced in zip(graphs, small, strict=True):
            check_exact(graph, reduced)
        assert sum(g.n_nodes for g in small) <= nodes * sum(g.n_nodes for g in graphs)
        assert sum(g.n_edges for g in small) <= edges * sum(g.n_edges for g in graphs)


def test_real_crystals_reduce_as_far_as_documented(golden_crystals):
    graphs = [featurize(crystal, CUT) for crystal in golden_crystals]
    small = [reduce_graph(graph) for graph in graphs]
    assert sum(g.n_nodes for g in small) <= 0.66 * sum(g.n_nodes for g in graphs)
    assert sum(g.n_edges for g in small) <= 0.41 * sum(g.n_edges for g in graphs)
    for graph, reduced in zip(graphs[:120], small[:120], strict=True):
        check_exact(graph, reduced)


def test_real_crystals_reduce_exactly_where_shells_are_shared(golden_crystals):
    for crystal in golden_crystals[::6]:
        graph = featurize(crystal, SHARE)
        check_exact(graph, reduce_graph(graph))
