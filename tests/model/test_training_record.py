"""Element counts and graph hashes of training crystals, counted by hand."""

import numpy as np
import pytest

import cgatjax as cg
from cgatjax.config import GraphConfig, TransferConfig
from cgatjax.data.datasets import Dataset
from cgatjax.data.graph_list import GraphList
from cgatjax.graphs.hashes import graph_hash
from cgatjax.model import training_record
from cgatjax.model.training_record import TrainingRecord, crystal_hashes, unseen_elements
from cgatjax.structures.elements import SYMBOLS
from cgatjax.training.transfer_params import prepare_transfer

LOW = "e-form@low"


def chain(*numbers):
    """Ring of sites, each with both neighbors in one shell."""
    n = len(numbers)
    neighbors = [[(i - 1) % n, (i + 1) % n] for i in range(n)]
    return cg.CrystalGraph.from_neighbors(list(numbers), neighbors, [[1, 1]] * n)


def data_of(*rings, values=None):
    targets = {"x": np.arange(len(rings)) if values is None else np.array(values)}
    graphs = GraphList([chain(*ring) for ring in rings], GraphConfig.recommended(), targets)
    return Dataset(graphs, np.arange(len(rings)))


def counts(record):
    return {SYMBOLS[z]: int(record.training[z]) for z in np.flatnonzero(record.training)}


def test_elements_and_hashes_by_hand():
    train = data_of((11, 17), (11, 11, 17), (12, 8), (96, 8), values=[1.0, 2.0, 3.0, np.nan])
    valid = data_of((11, 17), (19, 9))
    record = TrainingRecord.of(TrainingRecord(), [(train, ["x"])], [(valid, ["x"])])
    # The crystal with curium has no value: the network learns nothing from it.
    assert counts(record) == {"Na": 2, "Cl": 2, "Mg": 1, "O": 1}
    rings = ((11, 17), (11, 11, 17), (12, 8))
    expected = sorted(graph_hash(chain(*ring)) % 2**48 for ring in rings)
    assert record.train.graphs.tolist() == expected
    # Rings of 11, 11, 17 and 17, 11, 11 sites are equal; Na4Cl2 has the formula Na2Cl.
    doubled = crystal_hashes(data_of((11, 11, 17, 11, 11, 17), (17, 11, 11), (11, 17)))
    assert np.isin(doubled.graphs, record.train.graphs).tolist() == [True, True, True]
    assert np.isin(doubled.formulas, record.train.formulas).tolist() == [True, True, True]
    assert len(record.train.formulas) == 3
    assert len(set(doubled.formulas.tolist())) == 2
    assert len(record.valid.graphs) == 2
    assert record.unseen is not None
    assert unseen_elements(data_of((97, 96, 8), (11, 17), (17, 9)), record.unseen) == [
        ("Cm", "Bk"),
        (),
        ("F",),
    ]


def test_a_transfer_adds_to_the_record_of_pre_training():
    first = TrainingRecord.of(TrainingRecord(), [(data_of((11, 17)), ["x"])], [])
    sets = [(data_of((12, 8), (11, 17)), ["x"])]
    joined = TrainingRecord.of(first, sets, [])
    assert counts(joined) == {"Na": 1, "Cl": 1, "Mg": 1, "O": 1}
    assert joined.pretraining is not None
    assert joined.pretraining[11] == joined.pretraining[17] == joined.pretraining.sum() / 2 == 1
    assert len(joined.train.graphs) == 2
    third = TrainingRecord.of(joined, [(data_of((3, 9)), ["x"])], [])
    assert third.pretraining is not None
    assert third.pretraining[11] == 2
    assert len(third.train.graphs) == 3
    tested = TrainingRecord.of(third, [], [], sets, stage={"targets": ["x"]})
    assert len(tested.test.formulas) == 2
    assert tested.with_stage({"name": "mine"}).stages == ({"targets": ["x"]}, {"name": "mine"})
    unknown = TrainingRecord.of(None, sets, [])
    assert (unknown.pretraining, unknown.unseen) == (None, None)
    assert len(unknown.train.graphs) == 2
    assert TrainingRecord().unseen is None


def test_hashes_are_those_of_the_store_and_of_unreduced_graphs(ionic_store, monkeypatch):
    monkeypatch.setattr(training_record, "BLOCK", 7)
    whole = ionic_store.all()
    expected = ionic_store.hashes() & np.uint64(2**48 - 1)
    np.testing.assert_array_equal(crystal_hashes(whole).graphs, expected)
    some = np.array([5, 3])
    np.testing.assert_array_equal(crystal_hashes(whole.select(some)).graphs, expected[some])
    in_memory = GraphList([ionic_store.graph(k) for k in range(9)], ionic_store.graph_config)
    assert (whole.reduced, in_memory.reduced) == (True, False)
    np.testing.assert_array_equal(crystal_hashes(in_memory).graphs, expected[:9])


def test_equal_data_sets_are_hashed_once(monkeypatch):
    calls = []
    inner = training_record.hash_arrays
    monkeypatch.setattr(
        training_record, "hash_arrays", lambda *a, **k: calls.append(1) or inner(*a, **k)
    )
    data = data_of((11, 17))
    for _ in range(3):
        TrainingRecord.of(None, [(data, ["x"])], [(data, ["x"])])
    assert len(calls) == 1


def test_a_training_records_its_sets(trained_model, fresh_model, train_set, valid_set):
    record = trained_model.record
    assert fresh_model.record.training.sum() == 0
    for data, hashes in ((train_set, record.train.graphs), (valid_set, record.valid.graphs)):
        assert hashes.tolist() == sorted(set(crystal_hashes(data).graphs.tolist()))
    arrays = train_set.take(np.arange(len(train_set)))
    assert set(np.flatnonzero(record.training)) == set(arrays.atomic_numbers.tolist())
    assert record.pretraining.sum() == 0
    assert len(set(train_set.formulas)) == len(record.train.formulas)
    (stage,) = record.stages
    assert (stage["targets"], stage["options"]["epochs"]) == ([LOW], 6)
    assert stage["inputs"]["train"]["crystals"] == len(train_set)
    assert {"jax", "cgatjax"} <= set(stage["versions"])


@pytest.mark.parametrize(("mode", "is_kept"), [("full", True), ("head", True), ("none", False)])
def test_fresh_weights_have_no_record(trained_model, train_set, mode, is_kept):
    config = TransferConfig(mode=mode, target="e-form@high")
    prepared = prepare_transfer(trained_model, train_set, config).model
    assert (prepared.record is trained_model.record) == is_kept
