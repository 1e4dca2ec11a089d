"""Training checkpoints are restored bit by bit, the previous one after damage."""

import errno
import logging
import os
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cgatjax.errors import InputError, StorageError
from cgatjax.runs.checkpoints import KEPT, CheckpointFolder, checkpoint_name

LIKE = {"a": jnp.zeros(3), "b": [np.zeros((), np.int32), np.zeros((2, 2))]}
PROGRESS = {"best": float("inf"), "rows": [{"x": None, "y": 0.1}]}


def arrays_of(step):
    rng = np.random.default_rng(step)
    values = rng.normal(size=3).astype(np.float32)
    return {"a": jnp.array(values), "b": [np.array(step, np.int32), rng.normal(size=(2, 2))]}


@pytest.fixture
def folder(tmp_path):
    """A folder into which three states were saved."""
    states = CheckpointFolder(tmp_path / "checkpoints")
    for step in (1, 2, 3):
        states.save(checkpoint_name(0, step), arrays_of(step), {**PROGRESS, "step": step})
    states.close()
    return tmp_path / "checkpoints"


def restored(folder):
    states = CheckpointFolder(folder)
    try:
        return states.restore(LIKE)
    finally:
        states.close()


def assert_is_state(found, step):
    arrays, progress = found
    jax.tree.map(np.testing.assert_array_equal, arrays, arrays_of(step))
    assert [x.dtype for x in jax.tree.leaves(arrays)] == ["float32", "int32", "float64"]
    assert progress == {**PROGRESS, "step": step}


def test_the_newest_checkpoint_is_restored_and_two_are_kept(folder):
    assert_is_state(restored(folder), 3)
    names = [checkpoint_name(0, step) for step in (2, 3)]
    assert sorted(f.name for f in folder.iterdir()) == names
    assert len(names) == KEPT


def test_names_sort_by_time():
    times = [(0, 1), (0, 900), (0, 10**6), (1, 0), (1, 2), (9, 0), (10, 0), (390, 5)]
    assert sorted(checkpoint_name(*t) for t in reversed(times)) == [
        checkpoint_name(*t) for t in times
    ]


def test_a_folder_without_checkpoints(tmp_path):
    assert restored(tmp_path / "checkpoints") is None


def test_arrays_may_be_overwritten_while_they_are_written(tmp_path):
    states = CheckpointFolder(tmp_path / "checkpoints")
    values = np.zeros((500, 500))
    states.save(checkpoint_name(0, 1), {"a": values}, {})
    values += 1
    states.wait()
    found = states.restore({"a": np.empty((500, 500))})
    states.close()
    assert (found[0]["a"] == 0).all()


def files_of_newest(folder):
    newest = folder / checkpoint_name(0, 3)
    return sorted(f for f in newest.rglob("*") if f.is_file() and f.stat().st_size)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing"])
def test_after_damage_the_previous_checkpoint_is_restored(folder, damage, caplog):
    for number, file in enumerate(files_of_newest(folder)):
        data = file.read_bytes()
        spot = number % len(data)
        if damage == "truncated":
            file.write_bytes(data[: len(data) // 2])
        elif damage == "flipped":
            file.write_bytes(data[:spot] + bytes([data[spot] ^ 4]) + data[spot + 1 :])
        else:
            file.unlink()
        with caplog.at_level(logging.WARNING, "cgatjax"):
            assert_is_state(restored(folder), 2)
        name = checkpoint_name(0, 3)
        assert f"{folder / name} is damaged (" in caplog.text
        set_aside = folder / f"damaged-{name}"
        assert set_aside.is_dir()
        set_aside.rename(folder / name)
        file.write_bytes(data)
    assert number > 5
    assert_is_state(restored(folder), 3)


def test_repeated_damage_is_set_aside_again(folder):
    name = checkpoint_name(0, 3)
    shutil.copytree(folder / name, folder / f"damaged-{name}")
    (folder / name / "progress.json").write_text("{}")
    assert_is_state(restored(folder), 2)
    assert (folder / f"damaged-{name}" / "progress.json").read_text() == "{}"
    assert not (folder / name).exists()


def test_only_damaged_checkpoints_are_an_error(folder):
    for state in folder.iterdir():
        (state / "progress.json").write_text("{}")
    with pytest.raises(InputError, match=r"all 2 are damaged; restore them from a copy"):
        restored(folder)


def test_a_partial_checkpoint_is_ignored(folder):
    half = folder / f"{checkpoint_name(0, 4)}.part"
    half.mkdir()
    (half / "progress.json").write_text("{")
    assert_is_state(restored(folder), 3)
    assert not half.exists()


def test_a_full_disk_is_an_error_that_leaves_earlier_checkpoints(folder, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    states = CheckpointFolder(folder)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        states.save(checkpoint_name(0, 4), arrays_of(4), {})
        with pytest.raises(StorageError, match=r"step-000000004: cannot be written: No space"):
            states.wait()
    states.close()
    assert_is_state(restored(folder), 3)
