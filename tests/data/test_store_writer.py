"""Stores of existing rows; after a full disk no partial store looks complete."""

import errno
import os
import stat
import subprocess
import sys

import numpy as np
import pytest
from benchmarks.repeated_store import repeat_store

from cgatjax.config import GraphConfig
from cgatjax.data import build
from cgatjax.data.build import build_store
from cgatjax.data.shard_reader import GRAPH_FIELDS
from cgatjax.data.store import open_store
from cgatjax.data.store_writer import store_rows
from cgatjax.errors import InputError, RunExistsError, StorageError

SHARE = GraphConfig.recommended()


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch):
    monkeypatch.setattr(build, "CHUNK", 4)
    monkeypatch.setattr("cgatjax.data.shard_writer.SHARD", 10)


def full_after(calls: int, call):
    """`call`, until the disk is full."""
    left = [calls]

    def checked(*args):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return call(*args)

    return checked


def test_rows_become_a_store(ionic_store, tmp_path):
    batches = [shard.table for shard in ionic_store.shards]
    again = store_rows(batches, tmp_path / "s", ionic_store.graph_config)
    assert again.ids == ionic_store.ids
    assert again.manifest["sites"] == ionic_store.manifest["sites"]
    assert [s["n"] for s in again.manifest["shards"]] == [10] * 12
    every = np.arange(120)
    np.testing.assert_array_equal(again.take(every).edge_shell, ionic_store.take(every).edge_shell)
    with pytest.raises(RunExistsError, match="exists"):
        store_rows(batches, tmp_path / "s", ionic_store.graph_config)
    with pytest.raises(InputError, match="at least one"):
        store_rows([], tmp_path / "none", ionic_store.graph_config)
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


def test_a_store_is_repeated_under_new_ids(ionic_store, tmp_path):
    store = repeat_store(ionic_store, tmp_path / "s", 250)
    assert len(store) == len(set(store.ids)) == 250
    assert store.ids[:2] == [f"{i}/0" for i in ionic_store.ids[:2]]
    assert store.ids[-1] == f"{ionic_store.ids[9]}/2"
    assert store.units == ionic_store.units
    assert store.sizes.tolist() == np.resize(ionic_store.sizes, (250, 4)).tolist()
    with pytest.raises(InputError, match="at least one"):
        repeat_store(ionic_store, tmp_path / "none", 0)


def test_a_shard_s_columns_do_not_depend_on_how_rows_were_grouped(faulty_crystals, tmp_path):
    store = build_store(faulty_crystals, tmp_path / "s", SHARE, on_error="skip")
    graph = list(GRAPH_FIELDS)
    usual = ["cell_volume", "e-form@high", "e-form@low", "volume@high", "volume@low"]
    columns = [shard.table.schema.names for shard in store.shards]
    with_heat = [*graph, *usual[:3], "heat", *usual[3:]]
    assert columns == [with_heat if shard == 3 else [*graph, *usual] for shard in range(6)]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_build_resumes_after_a_full_disk(faulty_crystals, tmp_path, monkeypatch, call):
    crystals = faulty_crystals[:34]
    whole = build_store(crystals, tmp_path / "whole", SHARE, on_error="skip")
    failures = 0
    for calls in range(100):
        out = tmp_path / f"out{calls}"
        with monkeypatch.context() as patch:
            patch.setattr(os, call, full_after(calls, getattr(os, call)))
            try:
                build_store(crystals, out, SHARE, on_error="skip")
            except StorageError as error:
                failures += 1
                message = str(error)
            else:
                break
        assert "No space left on device; the disk is full; free some space" in message
        if (out / "store.json").exists():
            assert open_store(out, verify=True).digest == whole.digest
        again = build_store(crystals, out, SHARE, on_error="skip", resume=True)
        assert again.digest == whole.digest
        assert (again.path / "skipped.csv").read_bytes() == (
            whole.path / "skipped.csv"
        ).read_bytes()
    assert failures >= 6


def test_a_full_disk_leaves_no_store_of_rows(ionic_store, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", full_after(3, os.fsync))
    with pytest.raises(StorageError, match="disk is full"):
        store_rows([s.table for s in ionic_store.shards], tmp_path / "s", SHARE)
    assert not list(tmp_path.iterdir())


LIMITED = """
import resource, sys
from cgatjax.config import GraphConfig
from cgatjax.data import shard_writer as shards
from cgatjax.data import build
from cgatjax.synthetic.dataset import ionic_crystals
from cgatjax.errors import StorageError

crystals = ionic_crystals(40, seed=2)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
build.CHUNK, shards.SHARD = 4, 10
try:
    build.build_store(crystals, sys.argv[1], GraphConfig.recommended())
except StorageError as error:
    sys.exit(str(error))
"""


def test_a_limit_on_the_size_of_files_names_the_file(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "s"), "4000"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "00000.arrow: cannot be written: File too large; files may not become" in run.stderr
    assert not (tmp_path / "s").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(tmp_path, faulty_crystals):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(StorageError, match="Permission denied"):
            build_store(faulty_crystals, tmp_path / "s", SHARE)
    finally:
        tmp_path.chmod(stat.S_IRWXU)
    assert not list(tmp_path.iterdir())


def test_a_file_where_the_folder_should_be(tmp_path, faulty_crystals):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="Not a directory"):
        build_store(faulty_crystals, tmp_path / "file" / "s", SHARE)
