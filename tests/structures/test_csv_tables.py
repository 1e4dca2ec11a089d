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
    path = write(tmp_path / "t.csv", ["poscar", "a", "b"], [POSCAR, "1", "NA"], [POSCAR, "", "2"])
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
    np.testing.assert_equal(values_in(path), {"mp-1": {"gap": 1}, "mp-2": {"gap": math.nan}})
    path = write(tmp_path / "properties.csv", ["file", "gap"], ["a.cif", "1"])
    assert values_in(path) == {"a.cif": {"gap": 1.0}}


def values_in(path: Path) -> dict[str, dict[str, float]]:
    return {name: dict(row.values) for name, row in read_property_table(path).rows.items()}


def test_ids_in_columns_of_other_names(tmp_path):
    for column in ("jid", "mat_id", "entry_id", "JID"):
        path = write(tmp_path / "t.csv", ["formula", column, "poscar"], ["NaCl", "J-1", POSCAR])
        assert [crystal.id for crystal in read_csv(path, None)] == ["J-1"]


@pytest.mark.parametrize("word", ["", "na", "NA", "N/A", "NaN", "null", "None", "-", "?", "#N/A"])
def test_words_for_missing_values_concern_their_row_alone(tmp_path, word):
    path = write(tmp_path / "p.csv", ["id", "gap"], ["a", "1"], ["b", word], ["c", "3"])
    table = read_property_table(path)
    np.testing.assert_equal([row.values["gap"] for row in table.rows.values()], [1, math.nan, 3])
    assert [row.problem for row in table.rows.values()] == [None, None, None]


def test_text_among_numbers_names_row_column_and_text(tmp_path):
    rows = [["a", "1", "x"], ["b", "2 eV", "y"], ["c", "3", "z"]]
    path = write(tmp_path / "p.csv", ["id", "gap", "note"], *rows)
    problems = [row.problem for row in read_property_table(path).rows.values()]
    assert problems[0] is None
    assert problems[1].startswith("row 2, column 'gap': expected a number, got '2 eV'")
    assert "'gap [eV]'" in problems[1]
    named = read_property_table(path, ["note"])
    assert "row 1, column 'note': expected a number, got 'x'" in named.rows["a"].problem
    crystals = [["id", "poscar", "gap"], *([name, POSCAR, gap] for name, gap, _ in rows)]
    first, second, third = read_csv(write(tmp_path / "t.csv", *crystals), None)
    assert (first.targets, third.targets) == ({"gap": 1.0}, {"gap": 3.0})
    assert (second.id, second.reason) == ("b", problems[1])


def test_numbers_that_all_carry_a_unit_are_no_words(tmp_path):
    path = write(tmp_path / "p.csv", ["id", "gap"], ["a", "1.5 eV"], ["b", "2 eV"])
    assert all("'gap [eV]'" in row.problem for row in read_property_table(path).rows.values())


@pytest.mark.parametrize(
    "text",
    [
        "id,gap\na,-1.5\nb,2\n",
        "id;gap\na;-1.5\nb;2\n",
        "id\tgap\na\t-1.5\nb\t2\n",
        "id;gap\na;-1,5\nb;2\n",
        "id\tgap\na\t-1,5\nb\t2,0\n",
        'id,gap\na,"-1,5"\nb,"2"\n',
        "# from DFT, 2024\n# second line\nid,gap\na,-1.5\n# b was recomputed\nb,2\n",
        "# id,gap\na,-1.5\nb,2\n",
        "\ufeffid,gap\r\na,-1.5\r\nb,2\r\n",
        "id,gap,\na,-1.5,\nb,2,\n",
    ],
)
def test_separators_comments_and_decimal_signs(tmp_path, text):
    path = tmp_path / "p.csv"
    path.write_text(text, newline="")
    assert values_in(path) == {"a": {"gap": -1.5}, "b": {"gap": 2.0}}
    path.write_bytes(text.removeprefix("\ufeff").encode("utf-16"))
    assert values_in(path) == {"a": {"gap": -1.5}, "b": {"gap": 2.0}}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('id,k\na,"1,234"\nb,"5,678"\n', "column 'k': '1,234' may be a decimal comma"),
        ("id gap\na 1\n", "separated by comma, semicolon or tab, got the header 'id gap'"),
        ("id\na\n", "a column of ids and columns of values"),
        ("# nothing\n", "the table is empty"),
        ("id,gap,gap [eV]\na,1,2\n", r"\['gap'\] appear twice"),
    ],
)
def test_tables_that_cannot_be_understood_are_refused(tmp_path, text, reason):
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(InputError, match=reason):
        read_property_table(tmp_path / "p.csv")


def test_a_missing_header(tmp_path):
    (tmp_path / "p.csv").write_text("0012;-2,21\n0034;-2,05\n")
    assert values_in(tmp_path / "p.csv") == {"0012": {"target": -2.21}, "0034": {"target": -2.05}}
    write(tmp_path / "t.csv", ["a", POSCAR, "1"], ["b", POSCAR, "2"])
    with pytest.raises(InputError, match="the first row holds numbers"):
        list(read_csv(tmp_path / "t.csv", None))


def test_units_in_the_header(tmp_path):
    path = write(tmp_path / "p.csv", ["id", "gap [meV]", "e-form (eV)", "x"], ["a", "1", "2", "3"])
    table = read_property_table(path)
    assert table.rows["a"].values == {"gap": 1.0, "e-form": 2.0, "x": 3.0}
    assert table.units == {"gap": "meV", "e-form": "eV"}
    assert read_property_table(path, ["gap"]).rows["a"].values == {"gap": 1.0}
    assert read_property_table(path, ["gap [meV]"]).rows["a"].values == {"gap [meV]": 1.0}
    (crystal,) = read_csv(write(tmp_path / "t.csv", ["poscar", "gap [meV]"], [POSCAR, "1"]), None)
    assert (crystal.targets, crystal.units) == ({"gap": 1.0}, {"gap": "meV"})


def test_a_summary_says_what_a_table_contains(tmp_path, caplog):
    path = write(
        tmp_path / "t.csv",
        ["poscar", "gap", "heat [K]"],
        [POSCAR, "1.5", "1"],
        [POSCAR, "na", "2"],
        [POSCAR, "-2", "x"],
    )
    with caplog.at_level("INFO", logger="cgatjax"):
        list(read_csv(path, None))
    (message,) = caplog.messages
    assert message == (
        f"{path}: 3 rows, 3 with a structure; gap (eV): 2 values, 1 missing, -2 to 1.5; "
        "heat (K): 2 values, 0 missing, 1 no numbers, 1 to 2; no column of ids, rows are numbered"
    )


def test_property_tables_of_cgcnn(tmp_path):
    path = write(tmp_path / "id_prop.csv", ["a", "1.5"], ["b", "2"])
    assert values_in(path) == {"a": {"target": 1.5}, "b": {"target": 2.0}}
    path = write(tmp_path / "id_prop.csv", ["a", "1.5", "3"])
    assert values_in(path) == {"a": {"target_1": 1.5, "target_2": 3.0}}
    path = write(tmp_path / "id_prop.csv", ["id", "gap"], ["a", "1.5"])
    assert values_in(path) == {"a": {"gap": 1.5}}


def test_bad_property_tables(tmp_path):
    path = write(tmp_path / "properties.csv", ["id", "gap"], ["a", "1"], ["a", "2"])
    with pytest.raises(InputError, match="'a' appears twice"):
        read_property_table(path)
    path = write(tmp_path / "properties.csv", ["id", "gap"], ["a", "1", "2"])
    with pytest.raises(InputError, match="expected 2 cells"):
        read_property_table(path)
