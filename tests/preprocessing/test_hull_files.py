"""Hull distances for files of crystals, which `featurize` reads."""

import csv
import dataclasses

import numpy as np
import pytest

from cgatjax.data.build import build_store
from cgatjax.errors import ConfigError, RunExistsError, StructureError, TargetError
from cgatjax.preprocessing.hull_files import add_hull
from cgatjax.structures.crystal import Crystal
from cgatjax.structures.dcgat import write_dcgat
from cgatjax.structures.readers import read_crystals


def crystal(name: str, numbers: list[int], energy: float) -> Crystal:
    """Sites in a row; the energy is that of the whole cell."""
    n = len(numbers)
    return Crystal(
        id=name,
        lattice=np.diag([3.0 * n, 3.0, 3.0]),
        frac_coords=np.stack([np.arange(n) / n, np.zeros(n), np.zeros(n)], 1),
        atomic_numbers=np.array(numbers, np.uint8),
        targets={"total": energy, "gap": 1.0},
    )


@pytest.fixture
def crystals() -> list[Crystal]:
    """Na and Cl at -1 and -2 eV/atom; NaCl at -2.5 in two cells, and at -2.3."""
    return [
        crystal("Na", [11, 11], -2.0),
        crystal("NaCl", [11, 17], -5.0),
        crystal("Cl", [17], -2.0),
        crystal("double", [17, 11, 17, 11], -10.0),
        crystal("other", [11, 17], -4.6),
    ]


def labels(folder) -> dict[str, tuple[float, float]]:
    names = ("e-form", "e_above_hull_new")
    return {c.id: tuple(c.targets.get(name, np.nan) for name in names) for c in folder}


def test_energies_of_cells_become_targets(crystals, tmp_path, monkeypatch):
    monkeypatch.setattr("cgatjax.preprocessing.hull_files.ENTRIES", 2)
    path = write_dcgat(crystals, tmp_path / "in.json")
    done = add_hull(path, tmp_path / "out", energy="total", kind="cell")
    assert (done.n_crystals, done.n_labeled, done.n_stable) == (5, 5, 4)
    assert (done.skipped, done.skipped_path) == ([], None)
    files = [f"0000{k}.json.gz" for k in range(3)]
    assert sorted(p.name for p in tmp_path.rglob("*.gz")) == files
    written = list(read_crystals(tmp_path / "out"))
    assert [c.id for c in written] == [c.id for c in crystals]
    expected = {
        "Na": (0.0, 0.0),
        "NaCl": (-1.0, 0.0),  # the same energy per atom as "double"
        "Cl": (0.0, 0.0),
        "double": (-1.0, 0.0),
        "other": (-0.8, 0.2),
    }
    for name, values in labels(written).items():
        np.testing.assert_allclose(values, expected[name], atol=1e-9, err_msg=name)
    assert all(c.targets["gap"] == 1.0 for c in written)
    for ours, theirs in zip(written, crystals, strict=True):
        np.testing.assert_array_equal(ours.frac_coords, theirs.frac_coords)


def test_the_energy_may_be_given_per_atom_or_from_the_elements(crystals, tmp_path):
    per_atom = [
        dataclasses.replace(c, targets={"total": c.targets["total"] / c.n_sites}) for c in crystals
    ]
    path = write_dcgat(per_atom, tmp_path / "atom.json")
    add_hull(path, tmp_path / "atom", energy="total", kind="atom", polymorphs="ignore")
    formation = list(read_crystals(tmp_path / "atom"))
    found = labels(formation)
    np.testing.assert_allclose(found["NaCl"], (-1.0, -1.0), atol=1e-9)
    np.testing.assert_allclose(found["other"], (-0.8, -0.8), atol=1e-9)
    again = tmp_path / "again"
    path = tmp_path / "atom"
    options = {"kind": "formation", "polymorphs": "ignore", "suffix": "@SCAN"}
    add_hull(path, again, energy="e-form", **options)
    for crystal in read_crystals(again):
        for name in ("e-form", "e_above_hull_new"):
            value = crystal.targets[name + "@SCAN"]
            assert value == pytest.approx(crystal.targets[name], abs=1e-9)


def test_crystals_without_a_hull_are_kept_and_listed(crystals, tmp_path):
    crystals += [crystal("KCl", [19, 17], -7.0), crystal("none", [11, 17], np.nan)]
    path = write_dcgat(crystals, tmp_path / "in.json")
    with pytest.raises(StructureError, match=r"'KCl' in .*no reference entry of .* K"):
        add_hull(path, tmp_path / "out", energy="total", kind="cell")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.json"]
    (tmp_path / "broken.json").write_text("{")
    inputs = [path, tmp_path / "broken.json"]
    done = add_hull(inputs, tmp_path / "out", energy="total", kind="cell", on_error="skip")
    assert (done.n_crystals, done.n_labeled) == (7, 5)
    rows = list(csv.DictReader((tmp_path / "out.skipped.csv").read_text().splitlines()))
    assert [row["id"] for row in rows] == ["", "KCl", "none"]
    assert "pure element K" in rows[1]["reason"]
    store = build_store([tmp_path / "out"], tmp_path / "store")
    known = np.isfinite(store.target("e_above_hull_new"))
    assert dict(zip(store.ids, known.tolist(), strict=True))["KCl"] is False
    assert known.sum() == 5


def test_invalid_input_is_refused(crystals, tmp_path):
    path, out = write_dcgat(crystals, tmp_path / "in.json"), tmp_path / "out"
    with pytest.raises(TargetError, match="no crystal among 5 has a value for 'e-total'"):
        add_hull(path, out, energy="e-total", kind="cell", on_error="skip")
    with pytest.raises(TargetError, match=r"0\.0 for all crystals, a placeholder"):
        add_hull(path, out, energy="energy", kind="cell")
    with pytest.raises(ConfigError, match=r"kind 'cell', 'atom' or 'formation'.*got 'mole'"):
        add_hull(path, out, energy="total", kind="mole")
    add_hull(path, out, energy="total", kind="cell")
    with pytest.raises(RunExistsError, match="out exists"):
        add_hull(path, out, energy="total", kind="cell")
    with pytest.raises(TargetError, match=r"has \['e-form', 'e_above_hull_new'\] already"):
        add_hull(out, tmp_path / "again", energy="total", kind="cell")
    assert not (tmp_path / "again").exists()
    assert not (tmp_path / "again.part").exists()
