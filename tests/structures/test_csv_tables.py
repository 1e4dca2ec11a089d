import csv
import math
from pathlib import Path

import numpy as np
import pytest

from cgatjax.errors import InputError
from cgatjax.structures.crystal import Crystal, Rejected
from cgatjax.structures.csv_tables import read_csv, read_property_table

POSCAR = "rock salt\n1.0\n0 2 2\n2 0 2\n2 2 0\nNa Cl\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n"
CIF = """data_CsCl
_symmetry_space_group_name_H-M 'P 1'
_cell_length_a 4.1
_cell_length_b 4.1
_cell_length_c 4.1
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_atom_site_type_symbol
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Cs Cs0 0 0 0 1
Cl Cl1 0.5 0.5 0.5 1
"""
HALF = CIF.replace("0.5 0.5 0.5 1", "0.5 0.5 0.5 0.5")


def write(path: Path, *rows) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def test_structures_ids_and_properties(tmp_path):
    path = write(
        tmp_path / "t.csv",
        ["", "mp_id", "formula", "Gap", "nsites", "half", "POSCAR", "cif"],
        ["0", "mp-1", "NaCl", "5.0", "2", "", POSCAR, ""],
        ["1", "mp-2", "CsCl", "nan", "2", "1e-3", "", CIF],
    )
    first, second = read_csv(path, None)
    assert (first.id, second.id) == ("mp-1", "mp-2")
    assert first.atomic_numbers.tolist() == [11, 17]
    assert second.atomic_numbers.tolist() == [55, 17]
    np.testing.assert_allclose(second.lattice, 4.1 * np.eye(3), atol=1e-9)
    assert first.targets == {"Gap": 5.0}
    assert second.targets == {"half": 0.001}
    assert first.source == str(path)


def test_named_targets_are_masked_where_missing(tmp_path):
    path = write(tmp_path / "t.csv", ["poscar", "a", "b"], [POSCAR, "1", "x"], [POSCAR, "", "2"])
    first, second = read_csv(path, ["a", "b", "c"])
    np.testing.assert_equal(list(first.targets.values()), [1.0, math.nan, math.nan])
    np.testing.assert_equal(list(second.targets.values()), [math.nan, 2.0, math.nan])
    assert (first.id, second.id) == ("t:1", "t:2")


def test_a_column_with_words_is_no_property(tmp_path):
    path = write(tmp_path / "t.csv", ["poscar", "split"], [POSCAR, "1"], [POSCAR, "train"])
    assert [crystal.targets for crystal in read_csv(path, None)] == [{}, {}]


def test_bad_rows_are_reported_one_by_one(tmp_path):
    path = write(
        tmp_path / "t.csv",
        ["id", "cif", "poscar"],
        ["good", CIF, POSCAR],
        ["empty", "", " "],
        ["short", CIF],
        ["partial", HALF, ""],
        ["mixed", HALF + "Br Br2 0.5 0.5 0.5 0.5\n", ""],
        ["words", "no crystal", ""],
        ["cut", CIF[:250], ""],
        ["strange", CIF.replace("Cs Cs0", "Qq Qq0"), ""],
        ["flat", CIF.replace("_cell_length_a 4.1", "_cell_length_a 0"), ""],
    )
    good, *bad = read_csv(path, None)
    assert isinstance(good, Crystal)
    assert good.atomic_numbers.tolist() == [55, 17]
    reasons = {rejected.id: rejected.reason for rejected in bad}
    assert all(isinstance(rejected, Rejected) for rejected in bad)
    assert "missing structure" in reasons["empty"]
    assert "expected 3 cells in the row, got 2" in reasons["short"]
    assert "disordered" in reasons["partial"]
    assert "disordered" in reasons["mixed"]
    assert "_cell_length_a" in reasons["words"]
    assert "no sites" in reasons["cut"]
    assert list(reasons) == "empty short partial mixed words cut strange flat".split()


def test_a_cif_with_two_structures(tmp_path):
    other = CIF.replace("data_CsCl", "data_other").replace("Cs Cs0", "Rb Rb0")
    (rejected,) = read_csv(write(tmp_path / "t.csv", ["id", "cif"], ["a", CIF + other]), None)
    assert "expected one structure in the CIF, got 2" in rejected.reason


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,formula\n1,NaCl\n", r"column 'cif' or 'poscar'; the columns are \['id', 'formula'\]"),
        ("id,cif,id\n", "appear twice"),
        ("", "empty"),
        (" \n\n", "empty"),
        ('id,cif\n1,"a\0b"\n', "CSV|_cell"),
    ],
)
def test_files_without_a_table(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        raise_rejected(read_csv(tmp_path / "t.csv", None))


def raise_rejected(crystals):
    for crystal in crystals:
        raise crystal.error()


def test_cells_longer_than_the_csv_limit(tmp_path):
    limit = csv.field_size_limit()
    path = write(tmp_path / "t.csv", ["id", "poscar"], ["a", POSCAR + "0 0 0\n" * limit])
    (crystal,) = read_csv(path, None)
    assert crystal.n_sites == 2
    assert csv.field_size_limit() == limit


def test_property_tables(tmp_path):
    path = write(
        tmp_path / "properties.csv",
        ["name", "material_id", "gap"],
        ["x", "mp-1", "1"],
        ["y", "mp-2", ""],
    )
    np.testing.assert_equal(
        read_property_table(path), {"mp-1": {"gap": 1}, "mp-2": {"gap": math.nan}}
    )
    path = write(tmp_path / "properties.csv", ["file", "gap"], ["a.cif", "1"])
    assert read_property_table(path) == {"a.cif": {"gap": 1.0}}


def test_property_tables_of_cgcnn(tmp_path):
    path = write(tmp_path / "id_prop.csv", ["a", "1.5"], ["b", "2"])
    assert read_property_table(path) == {"a": {"target": 1.5}, "b": {"target": 2.0}}
    path = write(tmp_path / "id_prop.csv", ["a", "1.5", "3"])
    assert read_property_table(path) == {"a": {"target_1": 1.5, "target_2": 3.0}}
    path = write(tmp_path / "id_prop.csv", ["id", "gap"], ["a", "1.5"])
    assert read_property_table(path) == {"a": {"gap": 1.5}}


def test_bad_property_tables(tmp_path):
    path = write(tmp_path / "properties.csv", ["id", "gap"], ["a", "1"], ["a", "2"])
    with pytest.raises(InputError, match="'a' appears twice"):
        read_property_table(path)
    path = write(tmp_path / "properties.csv", ["id", "gap"], ["a", "1", "2"])
    with pytest.raises(InputError, match="expected 2 cells"):
        read_property_table(path)
