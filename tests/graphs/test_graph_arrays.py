import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgatjax.errors import InputError
from cgatjax.graphs.crystal_graph import CrystalGraph
from cgatjax.graphs.graph_arrays import (
    EDGE_COLUMNS,
    NODE_COLUMNS,
    GraphArrays,
    concatenate,
    ranges,
    reorder,
)


def graphs(seed: int, count: int) -> list[CrystalGraph]:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 6, count)
    return [
        CrystalGraph.from_neighbors(
            rng.integers(1, 104, n), rng.integers(0, n, (n, 3)), rng.integers(1, 4, (n, 3))
        )
        for n in sizes
    ]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 4)), max_size=8))
def test_ranges_equal_those_of_python(pairs):
    starts, lengths = np.array(pairs, np.int64).reshape(-1, 2).T
    expected = [i for start, length in pairs for i in range(start, start + length)]
    assert ranges(starts, lengths).tolist() == expected


@given(seed=st.integers(0, 10**6), count=st.integers(1, 6))
def test_reordering_equals_building_in_that_order(seed, count):
    found = graphs(seed, count)
    values = np.arange(count) + 0.5
    order = np.random.default_rng(seed).permutation(count)
    moved = reorder(GraphArrays.from_graphs(found, {"x": values}), order)
    expected = GraphArrays.from_graphs([found[i] for i in order], {"x": values[order]})
    check_equal(moved, expected)


@given(seed=st.integers(0, 10**6), cut=st.integers(1, 5))
def test_concatenated_pieces_are_the_whole(seed, cut):
    found = graphs(seed, 6)
    values = np.arange(6) + 0.5
    pieces = [
        GraphArrays.from_graphs(found[part], {"x": values[part]})
        for part in (slice(0, cut), slice(cut, 6))
    ]
    check_equal(concatenate(pieces), GraphArrays.from_graphs(found, {"x": values}))


def check_equal(a: GraphArrays, b: GraphArrays) -> None:
    for name in ("n_node", "n_edge", *NODE_COLUMNS, *EDGE_COLUMNS):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    assert a.targets.keys() == b.targets.keys()
    for name in a.targets:
        np.testing.assert_array_equal(a.targets[name], b.targets[name])


def test_no_graphs_and_targets_of_another_length_are_errors():
    with pytest.raises(InputError, match="at least one crystal graph"):
        GraphArrays.from_graphs([])
    with pytest.raises(InputError, match=r"target 'x': expected 2 values, got shape \(3,\)"):
        GraphArrays.from_graphs(graphs(0, 2), {"x": [1.0, 2.0, 3.0]})
