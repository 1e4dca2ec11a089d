"""The models that come with the package: files, cards, memory, and their self-checks."""

import zlib

import numpy as np
import pytest

from cgatjax.model.model_io import read_model
from cgatjax.pretrained.cards import ModelCard
from cgatjax.pretrained.locations import FILES, shipped
from cgatjax.pretrained.self_check import verify
from cgatjax.runtime.files import MANIFEST, damage

NAMES = sorted(shipped())


def test_the_named_models_are_there():
    assert {"mp-small", "mp-medium"} <= set(NAMES)


def test_they_take_at_most_15_megabytes_of_the_wheel():
    files = [file for folder in shipped().values() for file in folder.iterdir()]
    assert sum(len(zlib.compress(file.read_bytes())) for file in files) < 15e6


@pytest.mark.parametrize("name", NAMES)
def test_files_card_and_memory_agree(name):
    folder = shipped()[name]
    assert {file.name for file in folder.iterdir()} == {*FILES, MANIFEST}
    assert damage(folder) is None
    model, card = read_model(folder), ModelCard.read(folder)
    assert (card.name, tuple(card.targets)) == (name, model.targets)
    assert card.parameters == model.n_params
    assert model.record.name == name
    train, valid, test = model.record.train, model.record.valid, model.record.test
    assert all(len(hashes) and (np.diff(hashes) > 0).all() for hashes in (*train, *valid, *test))
    # Split by formula: no held-out crystal has a formula of the training.
    for held_out in (valid, test):
        assert not np.isin(held_out.graphs, train.graphs).any()
    assert not np.isin(test.formulas, train.formulas).any()
    assert sum(source.crystals for source in card.data) >= len(train.graphs)
    assert set(model.predicts_std) == set(model.targets)
    assert not any("/" in word and "tmp" in word for word in card.made_by["command"].split())


@pytest.mark.parametrize(
    "name",
    [n if n == "mp-small" else pytest.param(n, marks=pytest.mark.long) for n in NAMES],
)
def test_the_predictions_are_those_of_the_authors(name):
    assert verify(shipped()[name]).difference < 1e-4
