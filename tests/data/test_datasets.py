import numpy as np
import pytest

from cgatjax.config import GraphConfig
from cgatjax.data.build import build_store
from cgatjax.data.datasets import ConcatDataset, Dataset
from cgatjax.data.graph_list import GraphList
from cgatjax.errors import MismatchError, TargetError
from cgatjax.graphs.crystal_graph import featurize
from cgatjax.graphs.reduction import reduce_graph
from cgatjax.synthetic.dataset import ionic_crystals

LOW, HIGH = "e-form@low", "e-form@high"


@pytest.fixture
def data(ionic_store) -> Dataset:
    return Dataset(ionic_store, np.array([7, 3, 90]))


def test_a_data_set_is_rows_of_its_store(data, ionic_store):
    assert len(data) == 3
    assert data.ids == [ionic_store.ids[i] for i in (7, 3, 90)]
    assert data.formulas == [ionic_store.formulas[i] for i in (7, 3, 90)]
    assert data.target(LOW).tolist() == ionic_store.target(LOW)[[7, 3, 90]].tolist()
    assert data.sizes.tolist() == ionic_store.sizes[[7, 3, 90]].tolist()
    assert (data.digest, data.unit(LOW)) == (ionic_store.digest, "eV/atom")
    taken = data.take(np.array([2, 0]), [LOW])
    assert taken.n_node.tolist() == ionic_store.sizes[[90, 7], 0].tolist()
    assert taken.targets[LOW].tolist() == ionic_store.target(LOW)[[90, 7]].tolist()


def test_selecting_by_position_and_by_mask(data):
    assert data.select(np.array([2])).rows.tolist() == [90]
    assert data.select(np.array([True, False, True])).rows.tolist() == [7, 90]


def test_a_data_set_shows_only_its_targets(data):
    only = data.restrict_targets(LOW)
    assert np.isnan(only.target(HIGH)).all()
    assert only.target(LOW).tolist() == data.target(LOW).tolist()
    taken = only.take(np.arange(3), [LOW, HIGH])
    assert list(taken.targets) == [LOW, HIGH]
    assert np.isnan(taken.targets[HIGH]).all()
    assert len(only.with_targets(HIGH)) == 0
    assert len(only.with_targets(LOW, HIGH)) == 3


def test_an_unknown_target_is_an_error(data):
    with pytest.raises(TargetError, match="'gap'"):
        data.target("gap")


def test_concatenated_data_sets_keep_order_and_visible_targets(ionic_store):
    parts = (
        Dataset(ionic_store, np.arange(10)).restrict_targets(LOW),
        Dataset(ionic_store, np.arange(50, 54)).restrict_targets(HIGH),
    )
    mixed = ConcatDataset(*parts)
    assert len(mixed) == 14
    assert mixed.ids == parts[0].ids + parts[1].ids
    assert np.flatnonzero(np.isfinite(mixed.target(LOW))).tolist() == list(range(10))
    assert np.flatnonzero(np.isfinite(mixed.target(HIGH))).tolist() == list(range(10, 14))
    order = np.array([12, 0, 13, 9, 1])
    taken = mixed.take(order, [LOW, HIGH])
    rows = np.concatenate([p.rows for p in parts])[order]
    whole = ionic_store.take(rows)
    for name in ("n_node", "atomic_numbers", "edge_center", "edge_neighbor", "edge_shell"):
        np.testing.assert_array_equal(getattr(taken, name), getattr(whole, name))
    np.testing.assert_array_equal(taken.targets[LOW], mixed.target(LOW)[order])
    np.testing.assert_array_equal(taken.targets[HIGH], mixed.target(HIGH)[order])
    assert mixed.sizes.tolist() == ionic_store.sizes[np.r_[0:10, 50:54]].tolist()
    assert mixed.unit(HIGH) == "eV/atom"
    assert mixed.digest == f"{ionic_store.digest}+{ionic_store.digest}"
    assert mixed.graph_config == ionic_store.graph_config


def test_stores_of_different_graph_options_cannot_be_concatenated(ionic_store, tmp_path):
    other = build_store(ionic_crystals(3), tmp_path / "s", GraphConfig.released())
    with pytest.raises(MismatchError, match="equal graph options"):
        ConcatDataset(ionic_store.all(), other.all())


def test_graphs_in_memory_are_like_those_of_a_store(ionic_store):
    crystals = ionic_crystals(120, seed=0)[:6]
    graphs = [reduce_graph(featurize(c, ionic_store.graph_config)) for c in crystals]
    listed = GraphList(graphs, ionic_store.graph_config)
    assert listed.ids == ionic_store.ids[:6]
    assert listed.sizes.tolist() == ionic_store.sizes[:6].tolist()
    positions = np.array([4, 1])
    a, b = listed.take(positions, ["x"]), ionic_store.take(positions)
    np.testing.assert_array_equal(a.edge_neighbor, b.edge_neighbor)
    assert np.isnan(a.targets["x"]).all()
    assert np.isnan(listed.target("x")).all()
    assert (listed.unit("x"), listed.digest, len(listed)) == ("", "", 6)
