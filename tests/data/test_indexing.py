"""Representation, indexing and data frames of data sets."""

import numpy as np
import pytest

from cgatjax.data.datasets import ConcatDataset
from cgatjax.data.graph_list import GraphList
from cgatjax.errors import InputError

LOW = "e-form@low"


def test_a_position_or_an_id_is_a_graph(train_set):
    ids = train_set.ids
    assert train_set[3].id == train_set[ids[3]].id == train_set[np.int64(3)].id == ids[3]
    assert train_set[-1].id == ids[-1]
    assert [graph.id for graph in train_set[:4]] == ids[:4]
    with pytest.raises(IndexError):
        train_set[len(train_set)]
    with pytest.raises(InputError, match="no crystal has the id 'mp-1'"):
        train_set["mp-1"]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (slice(2, 5), [2, 3, 4]),
        ([4, -1], [4, -1]),
        (np.array([7, 7]), [7, 7]),
        ([], []),
    ],
)
def test_several_crystals_are_a_data_set(train_set, key, expected):
    found = train_set[key]
    assert found.ids == [train_set.ids[k] for k in expected]
    assert np.array_equal(found.target(LOW), train_set.target(LOW)[expected])


def test_a_mask_and_a_list_of_ids(train_set):
    mask = train_set.target(LOW) < -2
    assert train_set[mask].ids == [i for i, kept in zip(train_set.ids, mask, strict=True) if kept]
    chosen = train_set.ids[5:2:-1]
    assert train_set[chosen].ids == chosen


@pytest.mark.parametrize("key", [1.5, np.zeros(3, bool), np.zeros((2, 2), int), None, {}])
def test_another_key_is_one_line(train_set, key):
    with pytest.raises(InputError, match="expected a position, an id, a slice, a mask of length"):
        train_set[key]


def test_a_data_set_is_shown_as_a_small_table(train_set):
    lines = repr(train_set[:7]).splitlines()
    assert lines[0].startswith("Dataset of 7 crystals, targets: e-form@")
    assert f"{LOW} (eV/atom)" in lines[0]
    assert len(lines) == 1 + 1 + 5 + 1
    assert lines[2].split()[0] == train_set.ids[0]
    assert lines[-1] == "... 2 more"
    assert repr(train_set[:0]).splitlines() == [lines[0].replace(" 7 ", " 0 ")]
    joint = ConcatDataset(train_set.restrict_targets(LOW), train_set[:2].restrict_targets())
    assert "targets: e-form@low (eV/atom)\n" in repr(joint)
    assert "targets: none\n" in repr(joint)


def test_graphs_are_shown_as_one_line(train_set, prototypes):
    from cgatjax.config import GraphConfig
    from cgatjax.graphs.crystal_graph import featurize

    config = GraphConfig.recommended(max_neighbors=12)
    graph = featurize(prototypes["NaCl"], config, id="salt")
    assert repr(graph).startswith("CrystalGraph('salt': NaCl, 8 sites in 8 classes, ")
    assert repr(GraphList([graph], config, {LOW: np.zeros(1)})) == (
        f"GraphList of 1 graphs, targets ['{LOW}']"
    )


def test_a_data_set_as_a_data_frame(train_set):
    frame = train_set[:3].to_frame()
    assert list(frame.columns[:2]) == ["id", "formula"]
    assert frame["id"].tolist() == train_set.ids[:3]
    assert frame[LOW].tolist() == train_set.target(LOW)[:3].tolist()
    assert frame.attrs["units"][LOW] == "eV/atom"
    assert list(train_set.restrict_targets(LOW).to_frame().columns) == ["id", "formula", LOW]


def test_a_store_is_used_like_its_whole_data_set(ionic_store):
    whole = ionic_store.all()
    assert ionic_store[3].id == ionic_store[whole.ids[3]].id == whole.ids[3]
    assert ionic_store[2:4].ids == whole.ids[2:4]
    assert set(ionic_store.targets) == set(whole.units)
    assert ionic_store.to_frame().equals(whole.to_frame())


def test_crystals_splits_and_element_tables_are_shown_as_one_line(ionic_store, prototypes):
    from cgatjax.structures.elements import ElementTable

    assert repr(prototypes["NaCl"]) == "Crystal('NaCl': NaCl, 8 sites, {})"
    assert repr(ionic_store.make_split()) == "Split(96 train, 12 valid, 12 test)"
    table = repr(ElementTable.matscholar())
    assert table == "ElementTable('matscholar', 103 elements, 200 numbers each)"
