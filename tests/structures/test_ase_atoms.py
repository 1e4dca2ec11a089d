import builtins
import math
from pathlib import Path

import numpy as np
import pytest

from cgatjax.errors import InputError, MissingExtraError
from cgatjax.structures.ase_atoms import read_ase_database, read_extxyz
from cgatjax.structures.crystal import Rejected

ase = pytest.importorskip("ase")
build = pytest.importorskip("ase.build")
io = pytest.importorskip("ase.io")
db = pytest.importorskip("ase.db")


def rock_salt(**info):
    atoms = build.bulk("NaCl", "rocksalt", a=5.6)
    atoms.info.update(info)
    return atoms


def test_frames_with_properties(tmp_path):
    from ase.calculators.singlepoint import SinglePointCalculator

    frames = [rock_salt(material_id="mp-1", gap=5.0), rock_salt(stable=True, label="x")]
    frames[0].calc = SinglePointCalculator(frames[0], energy=-7.0, forces=np.zeros((2, 3)))
    io.write(tmp_path / "a.extxyz", frames)
    first, second = read_extxyz(tmp_path / "a.extxyz", None)
    assert (first.id, second.id) == ("mp-1", "a:2")
    assert first.targets == {"gap": 5.0, "energy": -7.0}
    assert second.targets == {}
    np.testing.assert_allclose(first.lattice, 2.8 * (1 - np.eye(3)), atol=1e-7)
    np.testing.assert_allclose((first.frac_coords[1] - first.frac_coords[0]) % 1, 0.5, atol=1e-7)
    assert first.atomic_numbers.tolist() == [11, 17]


def test_ids_of_frames_are_text(tmp_path):
    frames = [rock_salt(), rock_salt(), rock_salt(), rock_salt()]
    io.write(tmp_path / "a.extxyz", frames)
    text = (tmp_path / "a.extxyz").read_text()
    for name in ("id=007", "id=7", 'mat_id="1e5 x"', "valid=3 jid=T"):
        text = text.replace(' pbc="T T T"\n', f' {name} pbc="T T T" \n', 1)
    (tmp_path / "a.extxyz").write_text(text)
    found = list(read_extxyz(tmp_path / "a.extxyz", None))
    assert [crystal.id for crystal in found] == ["007", "7", "1e5 x", "T"]


def test_unusable_frames(tmp_path):
    slab = rock_salt()
    slab.pbc = (True, True, False)
    io.write(tmp_path / "a.xyz", [build.molecule("H2O"), slab, rock_salt()], format="extxyz")
    molecule, rejected, crystal = read_extxyz(tmp_path / "a.xyz", ["gap"])
    assert "periodic in three directions" in molecule.reason
    assert isinstance(rejected, Rejected)
    assert math.isnan(crystal.targets["gap"])


def test_a_truncated_file_after_a_good_frame(tmp_path):
    path = tmp_path / "a.extxyz"
    io.write(path, [rock_salt(), rock_salt()])
    path.write_text(path.read_text().rsplit("\n", 2)[0])
    frames = read_extxyz(path, None)
    assert next(frames).n_sites == 2
    with pytest.raises(InputError, match="frame 2"):
        next(frames)


@pytest.mark.parametrize("suffix", [".db", ".json-db"])
def test_databases(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    with db.connect(path, type="json" if suffix == ".json-db" else "db") as rows:
        rows.write(rock_salt(), key_value_pairs={"mat_id": "mp-1", "gap": 5.0})
        rows.write(rock_salt(), key_value_pairs={"gap": 6.0, "name": "x"})
        rows.write(build.molecule("H2O"))
    first, second, molecule = read_ase_database(path, None)
    assert (first.id, second.id, molecule.id) == ("mp-1", "a:2", "a:3")
    assert (first.targets, second.targets) == ({"gap": 5.0}, {"gap": 6.0})
    assert isinstance(molecule, Rejected)


@pytest.mark.parametrize("content", [b"", b"no database at all, but text" * 100])
def test_damaged_databases(tmp_path, content):
    (tmp_path / "a.db").write_bytes(content)
    with pytest.raises(InputError, match=r"empty|expected an ASE database"):
        list(read_ase_database(tmp_path / "a.db", None))


@pytest.mark.parametrize("reader", [read_extxyz, read_ase_database])
def test_without_ase_the_extra_is_named(monkeypatch, reader):
    real_import = builtins.__import__

    def no_ase(name, *args, **kwargs):
        if name == "ase" or name.startswith("ase."):
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_ase)
    with pytest.raises(MissingExtraError, match="pip install ase"):
        list(reader(Path("a.extxyz"), None))
