import dataclasses
import errno
import json
import os
import re
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from cgatjax.errors import InputError, MismatchError, RunExistsError, StorageError
from cgatjax.inference.prediction import predict
from cgatjax.model.model_io import check_params, packed, read_model, save_model, unpacked
from cgatjax.model.normalizer import Normalizer
from cgatjax.model.training_record import TrainingRecord
from cgatjax.runtime.files import MANIFEST, new_folder
from cgatjax.structures.elements import ElementTable


@pytest.fixture
def saved(trained_model, tmp_path):
    save_model(tmp_path / "model", trained_model)
    return tmp_path / "model"


def sign(folder):
    """Writes the manifest anew, as if the files had been saved as they are."""
    with new_folder(folder) as part:
        for file in folder.iterdir():
            if file.name != MANIFEST:
                shutil.copy(file, part)


def test_a_model_comes_back_bit_by_bit(saved, trained_model, test_set):
    model, found = trained_model, read_model(saved)
    for field in dataclasses.fields(model):
        if field.name not in ("params", "record"):
            assert getattr(found, field.name) == getattr(model, field.name), field.name
    jax.tree.map(np.testing.assert_array_equal, found.params, model.params)
    for field in dataclasses.fields(model.record):
        ours, theirs = getattr(model.record, field.name), getattr(found.record, field.name)
        if field.name == "stages":
            assert theirs == ours
            continue
        for one, other in zip(np.atleast_2d(ours), np.atleast_2d(theirs), strict=True):
            np.testing.assert_array_equal(other, one, strict=True)
    assert found.record.training.sum() > 0
    assert {x.dtype for x in jax.tree.leaves(found.params)} == {np.dtype("float32")}
    assert np.array_equal(predict(found, test_set).mean, predict(model, test_set).mean)


def test_a_run_folder_stands_for_its_model(trained_model, tmp_path):
    save_model(tmp_path / "run" / "model", trained_model)
    assert read_model(tmp_path / "run").targets == trained_model.targets


def test_models_with_parts_of_a_record(trained_model, saved, tmp_path):
    save_model(tmp_path / "none", trained_model.replace(record=None))
    assert read_model(tmp_path / "none").record is None
    record = dataclasses.replace(trained_model.record, pretraining=None)
    save_model(tmp_path / "part", trained_model.replace(record=record))
    assert read_model(tmp_path / "part").record.pretraining is None
    save_model(tmp_path / "empty", trained_model.replace(record=TrainingRecord()))
    assert read_model(tmp_path / "empty").record.train.graphs.shape == (0,)
    description = json.loads((saved / "config.json").read_text())
    description["record"]["training"]["O"] = -1
    (saved / "config.json").write_text(json.dumps(description))
    sign(saved)
    with pytest.raises(InputError, match="expected the count of 'O', got -1"):
        read_model(saved)


@pytest.mark.parametrize(
    ("numbers", "stored"),
    [
        ([], np.zeros((0, 0))),
        ([0], np.zeros((0, 1))),
        ([1, 3, 260], [[1, 2, 1], [0, 0, 1]]),
        ([2**64 - 1], np.full((8, 1), 255)),
    ],
)
def test_sorted_hashes_are_stored_as_bytes_of_differences(numbers, stored):
    values = np.array(numbers, np.uint64)
    np.testing.assert_array_equal(packed(values), np.array(stored, np.uint8), strict=True)
    np.testing.assert_array_equal(unpacked(packed(values)), values, strict=True)


def test_many_hashes_come_back_in_less_space():
    hashes = np.sort(np.random.default_rng(0).integers(0, 2**64, 10_000, np.uint64))
    assert packed(hashes).nbytes < 0.9 * hashes.nbytes
    np.testing.assert_array_equal(unpacked(packed(hashes)), hashes, strict=True)


@pytest.mark.parametrize(
    "stored",
    [
        np.zeros((9, 1), np.uint8),
        np.zeros((1, 3), np.uint64),
        np.zeros(3, np.uint8),
        np.zeros((0, 10**12), np.uint8),
    ],
)
def test_other_arrays_are_no_hashes(stored):
    with pytest.raises(InputError, match="expected hashes"):
        unpacked(stored)


def test_another_element_table_travels_along(trained_model, tmp_path):
    vectors = np.array(trained_model.element_table.vectors)
    vectors[11] += 1
    table = ElementTable(name="mine", vectors=vectors, known=trained_model.element_table.known)
    save_model(tmp_path / "m", trained_model.replace(element_table=table))
    assert read_model(tmp_path / "m").element_table == table


def test_an_untrained_model_with_several_heads(fresh_model, tmp_path):
    model = fresh_model.replace(
        normalizers={"e-form@low": Normalizer(mean=-1.0, std=0.3)}, units={"e-form@low": ""}
    )
    save_model(tmp_path / "m", model)
    found = read_model(tmp_path / "m")
    assert found.normalizers == model.normalizers
    assert found.predicts_std == ()


def test_all_differences_of_weights_are_listed_at_once(saved):
    file = saved / "model.safetensors"
    tensors = load_file(file)
    del tensors["params/encoder/shell_embedding"]
    name = "params/heads/e-form@low/out/bias"
    tensors[name] = np.zeros(3, np.float32)
    tensors["params/encoder/extra"] = np.zeros(1, np.float32)
    save_file(tensors, file)
    sign(saved)
    message = (
        r"missing \['encoder/shell_embedding'\], unexpected \['encoder/extra'\], "
        r"misshapen \['heads/e-form@low/out/bias: expected \(2,\), got \(3,\)'\]"
    )
    with pytest.raises(MismatchError, match=message):
        read_model(saved)


def test_weights_of_another_network_are_refused(trained_model):
    model = trained_model
    wider = model.replace(config=model.config.replace(node_dim=9))
    with pytest.raises(MismatchError, match="weights do not fit the network: missing "):
        check_params(model.params, wider)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", MANIFEST])
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "flipped", "other"])
def test_damage_is_an_error_that_names_folder_and_file(saved, name, damage):
    file = saved / name
    data = file.read_bytes()
    middle = len(data) // 2
    flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    changed = {"empty": b"", "truncated": data[:-20], "other": b"[1, 2]", "flipped": flipped}
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(changed[damage])
    # A flip in the manifest may look like damage to what it speaks of.
    blamed = "" if (name, damage) == (MANIFEST, "flipped") else name
    with pytest.raises(InputError, match=rf"{saved}: expected.* found .*{re.escape(blamed)}"):
        read_model(saved)


def test_a_full_disk_leaves_the_earlier_model(saved, trained_model, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    other = trained_model.replace(units={"e-form@low": "meV/atom"})
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match=r"model: cannot be written: No space.*free some"):
            save_model(saved, other)
    assert read_model(saved).units == trained_model.units
    assert [entry.name for entry in saved.parent.iterdir()] == ["model"]
    save_model(saved, other)
    assert read_model(saved).units == other.units


def test_a_crash_in_the_exchange_leaves_the_earlier_model(saved, trained_model, monkeypatch):
    rename = Path.rename

    def killed(self, target):
        if self.name.endswith(".part"):
            raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            save_model(saved, trained_model.replace(units={"e-form@low": "meV/atom"}))
    assert not saved.exists()
    assert read_model(saved).units == read_model(saved.parent).units == trained_model.units
    save_model(saved, trained_model)
    assert [entry.name for entry in saved.parent.iterdir()] == ["model"]


def test_a_model_never_takes_the_place_of_something_else(saved, trained_model):
    (saved / "notes.txt").write_text("mine")
    with pytest.raises(RunExistsError, match=r"holds more than a model \(notes\.txt\)"):
        save_model(saved, trained_model)
    assert (saved / "notes.txt").read_text() == "mine"


def test_a_description_without_a_part_or_of_another_version(saved):
    file = saved / "config.json"
    description = json.loads(file.read_text())
    file.write_text(json.dumps({**description, "format": 7}))
    sign(saved)
    with pytest.raises(InputError, match="model format 7, this version reads 3"):
        read_model(saved)
    del description["normalizers"]
    file.write_text(json.dumps(description))
    sign(saved)
    with pytest.raises(InputError, match=r"cannot be read as a model: KeyError: .normalizers."):
        read_model(saved)


def test_nothing_there(tmp_path):
    with pytest.raises(
        InputError, match=r"none: expected the folder of a run .* there is no such folder"
    ):
        read_model(tmp_path / "none")
