"""`cgatjax explain` from end to end."""

import json
from pathlib import Path

import pytest
from tests.commands import is_png, ok, refused

SALT = """data_salt
_space_group_name_H-M_alt 'P 1'
_cell_length_a 5.64
_cell_length_b 5.64
_cell_length_c 5.64
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Na 0 0 0
Na 0.5 0.5 0
Na 0.5 0 0.5
Na 0 0.5 0.5
Cl 0.5 0.5 0.5
Cl 0 0 0.5
Cl 0 0.5 0
Cl 0.5 0 0
"""


def test_each_crystal_gets_a_json_file_and_a_figure(robust_run: Path, tmp_path: Path) -> None:
    file, out = tmp_path / "rock salt, no. 1.cif", tmp_path / "attention"
    file.write_text(SALT)
    output = ok("explain", robust_run, file, "--out", out)
    assert "NaCl, 8 sites" in output
    found = json.loads((out / "rock_salt_no._1.json").read_text())
    assert len(found["sites"]) == 8
    heard = [b["attention"][0][0] for b in found["bonds"] if b["receiver"] == 3]
    assert sum(heard) == pytest.approx(1)
    assert is_png(out / "rock_salt_no._1.png")
    line = refused("explain", robust_run, file, "--out", tmp_path / "new", "--step", 2)
    assert "expected 1..1, got 2" in line
