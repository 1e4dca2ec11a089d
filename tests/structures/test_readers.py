import bz2
import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgatjax.errors import InputError, TargetError
from cgatjax.structures.crystal import Crystal, Rejected
from cgatjax.structures.readers import read_crystals

core = pytest.importorskip("pymatgen.core")
cif = pytest.importorskip("pymatgen.io.cif")
vasp = pytest.importorskip("pymatgen.io.vasp")

POSCAR = "rock salt\n1.0\n0 2 2\n2 0 2\n2 2 0\nNa Cl\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n"


def dcgat_entry(crystal: Crystal) -> dict:
    numbers = crystal.atomic_numbers.tolist()
    sites = [
        {"species": [{"element": core.Element.from_Z(z).symbol, "occu": 1}], "abc": abc}
        for z, abc in zip(numbers, crystal.frac_coords.tolist(), strict=True)
    ]
    structure = {"lattice": {"matrix": crystal.lattice.tolist()}, "sites": sites}
    return {"entry_id": crystal.id, "structure": structure, "data": dict(crystal.targets)}


def write_dcgat(path: Path, *crystals: Crystal) -> Path:
    text = json.dumps({"entries": [dcgat_entry(crystal) for crystal in crystals]}).encode()
    path.write_bytes(bz2.compress(text) if path.suffix == ".bz2" else text)
    return path


def rock_salt(name: str = "mp-1", **targets: float) -> Crystal:
    return Crystal(
        id=name,
        lattice=2.8 * (1 - np.eye(3)),
        frac_coords=np.array([[0, 0, 0], [0.5, 0.5, 0.5]]),
        atomic_numbers=np.array([11, 17], dtype=np.uint8),
        targets=targets,
    )


def structure_of(crystal: Crystal):
    return core.Structure(crystal.lattice, crystal.atomic_numbers.tolist(), crystal.frac_coords)


def ids(crystals) -> list[str]:
    return [crystal.id for crystal in crystals]


# Round trips through the formats.


@st.composite
def crystals(draw) -> Crystal:
    """One to six sites on distinct points of a quarter grid, a bit off, in a skewed box.

    A fractional vector of length 1 is at least 3.6 A long (Gershgorin): sites are 0.7 A apart.
    """
    n = draw(st.integers(1, 6))
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    grid = random.choice(64, size=n, replace=False)
    coords = np.stack(np.unravel_index(grid, (4, 4, 4)), axis=1) / 4 + 0.05
    return Crystal(
        id="one",
        lattice=np.diag(random.uniform(6, 9, 3)) + random.uniform(-0.8, 0.8, (3, 3)),
        frac_coords=coords + random.uniform(-0.02, 0.02, (n, 3)),
        atomic_numbers=np.sort(random.integers(1, 104, n)).astype(np.uint8),
        targets={"gap": float(random.normal())},
    )


def assert_same(read: Crystal | Rejected, made: Crystal, atol: float) -> None:
    """Equal up to a rotation of the axes (a CIF holds lengths and angles), the order of the sites,
    and lattice vectors added to a site.
    """
    assert isinstance(read, Crystal), read
    assert read.id == made.id
    np.testing.assert_allclose(
        read.lattice @ read.lattice.T, made.lattice @ made.lattice.T, atol=100 * atol
    )
    apart = read.frac_coords[:, None] - made.frac_coords
    near = (np.abs(apart - np.round(apart)) < atol).all(axis=2)
    np.testing.assert_array_equal(near.sum(axis=0), 1)
    np.testing.assert_array_equal(read.atomic_numbers[near.argmax(axis=0)], made.atomic_numbers)


@given(made=crystals())
def test_dcgat_round_trip_exactly(made, tmp_path_factory):
    path = write_dcgat(tmp_path_factory.mktemp("dcgat") / "a.json", made)
    (read,) = read_crystals(path)
    for name in ("lattice", "frac_coords", "atomic_numbers"):
        np.testing.assert_array_equal(getattr(read, name), getattr(made, name))
    assert (read.id, read.targets) == (made.id, made.targets)


@pytest.mark.filterwarnings("ignore:No Pauling electronegativity:UserWarning")  # of the writer
@given(made=crystals(), direct=st.booleans())
def test_poscar_round_trip(made, direct, tmp_path_factory):
    folder = tmp_path_factory.mktemp("poscar")
    text = vasp.Poscar(structure_of(made)).get_str(direct=direct, significant_figures=12)
    (folder / "one.vasp").write_text(text)
    with (folder / "properties.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "gap"], ["one", made.targets["gap"]]])
    (read,) = read_crystals(folder)
    assert_same(read, made, 1e-9)
    assert read.targets == made.targets


@pytest.mark.filterwarnings("ignore:No Pauling electronegativity:UserWarning")  # of the writer
@given(made=crystals())
def test_cif_round_trip(made, tmp_path_factory):
    path = tmp_path_factory.mktemp("cif") / "one.cif"
    path.write_text(str(cif.CifWriter(structure_of(made))))
    (read,) = read_crystals(path)
    assert_same(read, made, 1e-4)  # pymatgen rounds coordinates within 1e-4 of 1/3, 1/6, ...


@given(made=crystals())
def test_extended_xyz_round_trip(made, tmp_path_factory):
    ase = pytest.importorskip("ase")
    io = pytest.importorskip("ase.io")
    path = tmp_path_factory.mktemp("xyz") / "one.extxyz"
    atoms = ase.Atoms(
        made.atomic_numbers, scaled_positions=made.frac_coords, cell=made.lattice, pbc=True
    )
    atoms.info.update(id="one", **made.targets)
    io.write(path, atoms)
    (from_file,) = read_crystals(path)
    (from_object,) = read_crystals(atoms)
    assert_same(from_file, made, 1e-7)
    assert_same(from_object, made, 1e-12)
    assert from_object.targets == made.targets
    assert from_file.targets == pytest.approx(made.targets)


@given(made=crystals())
def test_structure_round_trip(made):
    structure = structure_of(made)
    structure.properties = {"material_id": "one", **made.targets}
    (read,) = read_crystals(structure)
    np.testing.assert_allclose(read.frac_coords, made.frac_coords, atol=1e-12)
    np.testing.assert_array_equal(read.lattice, made.lattice)
    assert (read.id, read.targets) == (made.id, made.targets)
    structure.translate_sites([0], [0.1, 0, 0])
    np.testing.assert_allclose(read.frac_coords, made.frac_coords, atol=1e-12)


# Inputs.


def test_a_folder_is_read_in_order_of_its_files(tmp_path):
    write_dcgat(tmp_path / "b.json.bz2", rock_salt("b"))
    write_dcgat(tmp_path / "a.json", rock_salt("a1"), rock_salt("a2"))
    (tmp_path / "c").mkdir()
    write_dcgat(tmp_path / "c" / "c.json", rock_salt("c"))
    write_dcgat(tmp_path / ".hidden.json", rock_salt("hidden"))
    (tmp_path / "README.md").write_text("no crystals")
    assert ids(read_crystals(tmp_path)) == ["a1", "a2", "b", "c"]
    assert ids(read_crystals(str(tmp_path / "*.json*"))) == ["a1", "a2", "b"]
    assert ids(read_crystals(str(tmp_path / "**" / "c.json"))) == ["c"]
    assert ids(read_crystals([str(tmp_path / "c"), tmp_path / "a.json"])) == ["c", "a1", "a2"]


def test_a_mix_of_objects_and_files(tmp_path):
    mix = [
        structure_of(rock_salt()),
        write_dcgat(tmp_path / "a.json", rock_salt("a")),
        rock_salt("mine", gap=1.0),
        structure_of(rock_salt()),
    ]
    assert ids(read_crystals(mix)) == ["structure-0", "a", "mine", "structure-3"]
    assert ids(read_crystals(iter(mix))) == ["structure-0", "a", "mine", "structure-3"]
    assert ids(read_crystals([])) == []
    *_, mine, _ = read_crystals(mix, targets=["gap", "other"])
    np.testing.assert_equal(mine.targets, {"gap": 1.0, "other": math.nan})


def test_an_iterator_is_consumed_lazily():
    def endless():
        while True:
            yield structure_of(rock_salt())

    crystals = read_crystals(endless())
    assert [next(crystals).id, next(crystals).id] == ["structure-0", "structure-1"]


def test_structure_files_are_named_by_stem_or_path(tmp_path):
    for name in ("a/POSCAR", "b/POSCAR", "mp-1.5.vasp", "POSCAR.mp-2", "CONTCAR_3", "4.poscar"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(POSCAR)
    found = ids(read_crystals(tmp_path))
    assert sorted(found) == ["4", "CONTCAR_3", "POSCAR.mp-2", "a/POSCAR", "b/POSCAR", "mp-1.5"]
    twins = [tmp_path / "a" / "POSCAR", tmp_path / "b" / "POSCAR"]
    assert ids(read_crystals(twins)) == [path.as_posix() for path in twins]
    assert ids(read_crystals(twins[0])) == ["POSCAR"]


def test_properties_beside_structure_files(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.vasp").write_text(POSCAR)
    (tmp_path / "id_prop.csv").write_text("a,1.5\nlost,2\n")
    lost, a, b = read_crystals(tmp_path, targets=["target"])
    assert a.targets == {"target": 1.5}
    assert math.isnan(b.targets["target"])
    assert lost.id == "lost"
    assert "missing structure" in lost.reason
    assert "1 of 2 rows have none, the 2 files are called 'a', 'b'" in lost.reason
    (alone,) = read_crystals(tmp_path / "a.vasp")
    assert alone.targets == {"target": 1.5}
    (tmp_path / "id_prop.csv").write_text("a,1\na,2\n")
    table, *rest = read_crystals(tmp_path)
    assert (table.id, table.source) == ("", str(tmp_path / "id_prop.csv"))
    assert [crystal.targets for crystal in rest] == [{}, {}]


def test_a_named_table_serves_all_structure_files(tmp_path):
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / f"{name}.vasp").write_text(POSCAR)
    table = tmp_path / "a" / "energies.csv"
    table.write_text("material_id,e-form\nb.vasp,2\na,1.5\n")
    found = list(read_crystals([tmp_path / "a", tmp_path / "b"], properties=table))
    assert [crystal.targets for crystal in found] == [{"e-form": 1.5}, {"e-form": 2.0}]
    unused, a = read_crystals([tmp_path / "a"], properties=str(table))
    assert (a.id, unused.id, unused.source) == ("a", "b.vasp", str(table))
    lazily = iter([tmp_path / "b" / "b.vasp"])
    assert [c.targets for c in read_crystals(lazily, properties=table)] == [{"e-form": 2.0}]
    with pytest.raises(InputError, match=r"none\.csv: no such file"):
        read_crystals(tmp_path, properties=tmp_path / "none.csv")
    table.write_text("id,gap\na,1\na,2\n")
    with pytest.raises(InputError, match=r"energies\.csv: the id 'a' appears twice"):
        read_crystals(tmp_path, properties=table)


def test_a_table_of_other_files_is_refused_before_anything_is_read(tmp_path):
    for k in range(5):
        (tmp_path / f"{k}.vasp").write_text("no crystal")
    table = tmp_path / "p.csv"
    table.write_text("id,gap\nmp-1,1\nmp-2,2\n")
    with pytest.raises(InputError, match="none of its 2 ids") as caught:
        read_crystals(tmp_path, properties=table)
    assert "('mp-1', 'mp-2')" in str(caught.value)
    assert "the 5 CIF and POSCAR files ('0', '1', '2', ...)" in str(caught.value)
    table.rename(tmp_path / "properties.csv")
    first = next(iter(read_crystals(tmp_path)))
    assert "none of its 2 ids" in first.reason


def test_a_target_without_a_column_is_refused_before_anything_is_read(tmp_path):
    (tmp_path / "a.vasp").write_text("no crystal")
    table = tmp_path / "p.csv"
    table.write_text("id,e-form\na,-1\n")
    with pytest.raises(TargetError, match=r"target\(s\) \['eform'\]; it has \['id', 'e-form'\]"):
        read_crystals(tmp_path, targets=["eform"], properties=table)
    read_crystals(tmp_path, targets=["e-form", "cell_volume"], properties=table)
    # An archive may have what the table lacks.
    other = write_dcgat(tmp_path / "b.json", rock_salt())
    read_crystals([tmp_path / "a.vasp", other], targets=["eform"], properties=table)


def test_matched_rows_are_counted(tmp_path, caplog):
    (tmp_path / "a.vasp").write_text(POSCAR)
    (tmp_path / "properties.csv").write_text("id,gap\na,1\nb,2\n")
    with caplog.at_level("INFO", logger="cgatjax"):
        list(read_crystals(tmp_path))
    assert "2 rows, 1 with a structure; gap (eV): 2 values, 0 missing, 1 to 2" in caplog.text


def test_a_bad_row_concerns_its_crystal_alone(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.vasp").write_text(POSCAR)
    (tmp_path / "properties.csv").write_text("id,gap [eV]\na,1\nb,2.5 x\nc,na\n")
    a, b, c = read_crystals(tmp_path, targets=["gap"])
    assert (a.targets, a.units) == ({"gap": 1.0}, {"gap": "eV"})
    assert (b.id, b.source) == ("b", str(tmp_path / "properties.csv"))
    assert "row 2, column 'gap'" in b.reason
    assert math.isnan(c.targets["gap"])


@pytest.mark.parametrize("comment", ["25 \xb0C", "M\xfcller"])
def test_other_encodings_in_comments(tmp_path, comment):
    text = POSCAR.replace("rock salt", comment)
    (tmp_path / "a.vasp").write_bytes(text.encode("latin-1"))
    (tmp_path / "b.vasp").write_bytes(text.encode("utf-16"))
    assert [crystal.n_sites for crystal in read_crystals(tmp_path)] == [2, 2]


def test_a_table_under_another_name_says_where_it_is_expected(tmp_path):
    (tmp_path / "energies.csv").write_text("id,e-form\na,1\n")
    (rejected,) = read_crystals(tmp_path / "energies.csv")
    assert "properties.csv" in rejected.reason


def test_a_property_table_without_structure_files_is_an_ordinary_one(tmp_path):
    (tmp_path / "properties.csv").write_text(f'id,poscar,gap\na,"{POSCAR}",1\n')
    (crystal,) = read_crystals(tmp_path)
    assert crystal.targets == {"gap": 1.0}


# Unreadable inputs.


@pytest.mark.parametrize("name", ["absent", "absent.json", "*.json", "notes.txt", "folder", "n*"])
def test_missing_inputs_raise_at_once(tmp_path, name):
    (tmp_path / "notes.txt").write_text("no crystals")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("no crystals")
    with pytest.raises(InputError, match=name.replace("*", r"\*")):
        read_crystals(str(tmp_path / name))


@pytest.mark.parametrize("inputs", [7, [7], [None], {"a": 1}.values(), ["a.json", 7]])
def test_objects_of_another_type(inputs):
    with pytest.raises(InputError, match=r"expected|no such file"):
        list(read_crystals(inputs))


def test_targets_must_be_a_list():
    with pytest.raises(InputError, match="targets"):
        read_crystals(rock_salt(), targets="gap")


def test_damaged_files_are_reported_and_the_rest_is_read(tmp_path):
    whole = write_dcgat(tmp_path / "9.json.bz2", rock_salt("good"))
    (tmp_path / "1.json").write_bytes(b"")
    (tmp_path / "2.json.bz2").write_bytes(whole.read_bytes()[:60])
    (tmp_path / "3.json").write_text('{"not": "dcgat"}')
    (tmp_path / "4.json.gz").write_bytes(b"not gzip")
    (tmp_path / "5.csv").write_text("id,formula\n1,NaCl\n")
    (tmp_path / "6.csv").write_bytes("id,cif\n1,\xe9\n".encode("latin-1"))
    (tmp_path / "7.cif").write_text("")
    *rejected, good = read_crystals(tmp_path)
    assert good.id == "good"
    assert all(isinstance(r, Rejected) and r.id == "" for r in rejected)
    assert [Path(r.source).name[0] for r in rejected] == list("1234567")
    for r, word in zip(
        rejected, ["empty", "damaged", "DCGAT", "damaged", "poscar", "UTF-8", "empty"], strict=True
    ):
        assert word in r.reason


def test_malformed_structure_files_keep_their_name(tmp_path):
    (tmp_path / "a.cif").write_text("no crystal")
    (tmp_path / "b.vasp").write_text(POSCAR.replace("Na Cl\n", ""))
    a, b = read_crystals(tmp_path)
    assert (a.id, b.id) == ("a", "b")
    assert "VASP 4" in b.reason


def test_unusable_structures():
    lattice = core.Lattice.cubic(4.0)
    half = core.Structure(lattice, [{"Na": 0.5, "K": 0.5}], [[0, 0, 0]])
    dummy = core.Structure(lattice, ["Xa"], [[0, 0, 0]])
    slab = core.Structure(core.Lattice(4 * np.eye(3), pbc=(True, True, False)), ["Na"], [[0, 0, 0]])
    reasons = [rejected.reason for rejected in read_crystals([half, dummy, slab])]
    assert "disordered" in reasons[0]
    assert "unknown element 'Xa'" in reasons[1]
    assert "periodic" in reasons[2]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"lattice": np.ones((3, 3))}, "singular"),
        ({"atomic_numbers": np.array([0, 1])}, "unknown element"),
        ({"frac_coords": np.zeros((1, 3))}, "expected"),
    ],
)
def test_bad_crystals_are_rejected(changes, reason):
    made = rock_salt()
    fields = {n: getattr(made, n) for n in ("lattice", "frac_coords", "atomic_numbers")}
    (rejected,) = read_crystals(Crystal(id="x", **{**fields, **changes}))
    assert rejected.id == "x"
    assert reason in rejected.reason


# Real data.


def test_real_tables(shared):
    crystals = list(read_crystals(shared / "data" / "perov5.csv.gz", targets=["heat_all_eV"]))
    assert len(crystals) == 18928
    assert all(isinstance(crystal, Crystal) and crystal.n_sites == 5 for crystal in crystals)
    assert crystals[0].id == "6334"
    assert sum(not math.isnan(crystal.targets["heat_all_eV"]) for crystal in crystals) > 7000


def test_real_dcgat_folders(shared):
    crystals = list(read_crystals(shared / "data" / "hse"))
    assert len(crystals) == 5034
    assert sum("band_gap_ind_pbe" in crystal.targets for crystal in crystals) == 5027
    assert crystals[0].id == "mp-10"
    assert set(crystals[0].targets) == {"band_gap_ind", "band_gap_ind_pbe", "volume"}


CIF_TEXT = """data_salt
_cell_length_a 5.64
_cell_length_b 5.64
_cell_length_c 5.64
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'F m -3 m'
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Na 0 0 0
Cl 0.5 0.5 0.5
"""


def test_the_text_of_a_cif_file_is_read_like_the_file():
    salt, wrong = read_crystals([CIF_TEXT, CIF_TEXT.replace("_loop", "loop").replace("Cl", "Xx")])
    assert isinstance(salt, Crystal)
    assert (salt.id, sorted(salt.atomic_numbers.tolist())) == ("structure-0", [11] * 4 + [17] * 4)
    assert isinstance(wrong, Rejected)
    assert (wrong.id, wrong.source) == ("structure-1", "CIF text")
    assert "Xx" in wrong.reason
    [alone] = read_crystals(CIF_TEXT)
    assert alone.n_sites == 8
