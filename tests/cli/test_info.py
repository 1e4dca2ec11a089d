"""`cgatjax info` of stores and runs."""

import re
import shutil
from pathlib import Path

from tests.commands import ok, refused

LOW = "e-form@low"


def test_info_of_a_store_and_of_a_run(folder: Path, store: Path, trained_run: Path) -> None:
    described = ok("info", store)
    for word in ("48 crystals kept", "nodes", "max_neighbors", LOW, "eV/atom", "A^3/atom"):
        assert word in described
    trained = ok("info", trained_run)
    assert re.search(r"precision +float32", trained)
    for word in ("parameters", "node_dim", "max_neighbors", LOW, "valid MAE", "best of 2 epochs"):
        assert word in trained
    assert "error: " in refused("info", folder)


def test_verify_finds_a_changed_shard(store: Path, trained_run: Path, tmp_path: Path) -> None:
    assert "all shards are as they were written" in ok("info", store, "--verify")
    assert "has no self_check" in refused("info", trained_run, "--verify")
    copy = shutil.copytree(store, tmp_path / "copy")
    shard = copy / "shards" / "00000.arrow"
    data = bytearray(shard.read_bytes())
    data[-300] ^= 1
    shard.write_bytes(data)
    assert "00000.arrow: " in refused("info", copy, "--verify")
