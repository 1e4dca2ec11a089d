import json

import jax
import numpy as np
import pytest

from cgatjax.model.model import inputs_of, versions, weights_digest
from cgatjax.runs.run_folder import differences


@pytest.fixture(scope="module")
def inputs(trained_model, train_set, valid_set):
    return inputs_of(trained_model, train_set, valid_set)


def changed(inputs, model, train, valid):
    return [change.name for change in differences(inputs, inputs_of(model, train, valid))]


def test_the_record_is_plain_and_the_same_again(inputs, trained_model, train_set, valid_set):
    assert json.loads(json.dumps(inputs)) == inputs
    assert changed(inputs, trained_model, train_set, valid_set) == []
    assert inputs["train"]["crystals"] == len(train_set)


def test_each_change_shows_where_it_is(inputs, trained_model, train_set, valid_set, test_set):
    model, train, valid, test = trained_model, train_set, valid_set, test_set
    assert changed(inputs, model, train.select(np.arange(96)[::-1]), valid) == ["train.digest"]
    assert "valid.digest" in changed(inputs, model, train, test)
    assert changed(inputs, model, train.restrict_targets("volume@low"), valid) == ["train.digest"]
    scales = {t: n.__class__(mean=n.mean, std=2 * n.std) for t, n in model.normalizers.items()}
    names = changed(inputs, model.replace(normalizers=scales), train, valid)
    assert names == ["normalizers.e-form@low"]
    other = jax.tree.map(lambda x: np.nextafter(x, np.float32(9)), model.params)
    assert changed(inputs, model.replace(params=other), train, valid) == ["weights"]


def test_weights_are_told_apart_by_name_shape_and_value():
    a, b = np.zeros(4, np.float32), np.ones(4, np.float32)
    trees = [{"a": a, "b": b}, {"a": b, "b": a}, {"a": a, "c": b}, {"a": a.reshape(2, 2), "b": b}]
    assert len({weights_digest(tree) for tree in trees}) == 4
    assert weights_digest(trees[0]) == weights_digest(dict(reversed(trees[0].items())))


def test_versions_name_the_libraries_that_compute():
    found = versions()
    assert {"cgatjax", "jax", "jaxlib", "numpy", "optax", "backend"} == set(found)
    assert found["backend"] == "cpu"
