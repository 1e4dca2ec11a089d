"""`cgatjax info` of structure files, stores and runs."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import pytest
from tests.commands import ok, refused
from tests.structures.archives import samples

import cgatjax as cg

LOW = "e-form@low"


def test_info_of_a_store_and_of_a_run(store: Path, trained_run: Path, tmp_path: Path) -> None:
    described = ok("info", store)
    for word in ("48 crystals kept", "nodes", "max_neighbors", LOW, "eV/atom", "A^3/atom"):
        assert word in described
    trained = ok("info", trained_run)
    assert re.search(r"precision +float32", trained)
    for word in ("parameters", "node_dim", "max_neighbors", LOW, "valid MAE", "best of 2 epochs"):
        assert word in trained
    assert "no file that can be read" in refused("info", tmp_path)
    assert "no such file" in refused("info", tmp_path / "x.json")
    assert "expected one store or run" in refused("info", store, trained_run)


def test_info_of_files(tmp_path: Path) -> None:
    rows = [samples.lemat(str(k), {"energy": -4.0 - k}) for k in range(3)]
    rows += [{**samples.lemat("3", {"energy": None}), "functional": "scan"}]
    rows += [{**samples.lemat("4", {}), "lattice_vectors": None}]
    for row in rows:
        row["species"] = json.loads(row["species"])
    (tmp_path / "x").write_text(json.dumps(rows))
    lines = ok("info", tmp_path / "x").splitlines()
    assert "4 crystals, 1 unusable" in lines
    assert any(line.startswith("LeMat-Bulk (1 files); functional: ") for line in lines)
    assert "functional: PBEsol 3, SCAN 1" in lines
    [row] = [line.split() for line in lines if line.startswith("energy@PBEsol")]
    assert row == ["energy@PBEsol", "eV/cell", "3", "25.0%", "-5", "0.8165", "-6", "-4"]
    assert "sites per cell: 2 to 2, median 2, 95 % at most 2" in lines
    assert sorted(lines[-1].split(": ")[1].split(", ")) == ["Cl 4", "Na 4"]
    chosen = ok("info", tmp_path / "x", "--where", "functional=scan")
    assert "1 crystals, 1 unusable" in chosen
    assert "none" in chosen.split("properties")[-1]
    assert "LABEL=VALUE" in refused("info", tmp_path / "x", "--where", "functional")


@pytest.mark.parametrize("per_cell", [True, False])
def test_totals_among_values_per_atom_are_suspicious(tmp_path: Path, per_cell: bool) -> None:
    crystals = []
    for crystal in cg.ionic_crystals(60):
        n = crystal.n_sites if per_cell else 1
        volume = crystal.volume / crystal.n_sites * n
        values = {"e-form": (crystal.targets[LOW] - 3) * 0.2 * n, "volume": volume, "e_form": -50.0}
        crystals.append(dataclasses.replace(crystal, targets=values))
    out = ok("info", cg.write_dcgat(crystals, tmp_path / "x.json"))
    assert "suspicious: e_form (eV/atom): a mean of -50 eV/atom" in out
    assert ("suspicious: e-form (eV/atom): grows with the number of sites" in out) == per_cell
    assert ("suspicious: volume (A^3/atom): equal to the volumes" in out) == per_cell


def test_verify_finds_a_changed_shard(store: Path, trained_run: Path, tmp_path: Path) -> None:
    assert "all shards are as they were written" in ok("info", store, "--verify")
    assert "has no self_check" in refused("info", trained_run, "--verify")
    copy = shutil.copytree(store, tmp_path / "copy")
    shard = copy / "shards" / "00000.arrow"
    data = bytearray(shard.read_bytes())
    data[-300] ^= 1
    shard.write_bytes(data)
    assert "00000.arrow: " in refused("info", copy, "--verify")
