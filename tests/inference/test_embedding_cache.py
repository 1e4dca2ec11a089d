"""Embeddings are computed once, and never taken for those of another model or data set."""

import jax
import numpy as np
import pytest

from cgatjax.inference import embedding_cache as embeddings
from cgatjax.inference.embedding_cache import cached_embeddings, embedding_key
from cgatjax.inference.prediction import embed


@pytest.fixture(scope="module")
def model(trained_model):
    return trained_model


def test_cached_embeddings_are_read_and_not_computed(model, test_set, tmp_path, monkeypatch):
    test = test_set
    first = cached_embeddings(model, test, tmp_path)
    np.testing.assert_array_equal(first, embed(model, test))
    monkeypatch.setattr(embeddings, "embed", None)
    np.testing.assert_array_equal(cached_embeddings(model, test, tmp_path), first)
    assert len(list(tmp_path.iterdir())) == 1


def test_the_key_tells_encoders_and_crystals_apart_but_not_heads(model, train_set, test_set):
    train, test = train_set, test_set
    key = embedding_key(model, test)
    assert key == embedding_key(model, test)
    encoder = jax.tree.map(np.array, model.params["encoder"])
    encoder["shell_embedding"][3, 2] += 1e-6
    heads = jax.tree.map(lambda x: 2 * x, model.params["heads"])
    changed = model.replace(params={"encoder": encoder, "heads": model.params["heads"]})
    assert embedding_key(changed, test) != key
    assert embedding_key(model, train) != key
    assert embedding_key(model, test.select(np.arange(len(test))[::-1])) != key
    assert embedding_key(model.replace(params={**model.params, "heads": heads}), test) == key


@pytest.mark.parametrize("damage", ["cut", "shape", "text"])
def test_a_damaged_file_is_computed_again(model, test_set, tmp_path, caplog, damage):
    test = test_set
    first = cached_embeddings(model, test, tmp_path)
    (path,) = tmp_path.iterdir()
    if damage == "shape":
        np.save(path, first[1:])
    else:
        path.write_bytes(path.read_bytes()[:40] if damage == "cut" else b"no array")
    again = cached_embeddings(model, test, tmp_path)
    np.testing.assert_array_equal(again, first)
    assert f"{path.name}: damaged, computed again" in caplog.text
