"""`select`, `embed`, `explain` and the pictures of `train` and `evaluate`, from end to end."""

import csv
import json
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import pytest
from tests.cli.test_cli import TINY
from tests.commands import ok, refused

from cgatjax.data.store import open_store
from cgatjax.structures.dcgat import write_dcgat
from cgatjax.synthetic.dataset import ionic_crystals

LOW = "e-form@low"
SALT = """data_salt
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


class Place(NamedTuple):
    """Where the commands of this module have left their results."""

    root: Path
    data: Path
    store: Path
    run: Path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    root = tmp_path_factory.mktemp("explore")
    data = write_dcgat(ionic_crystals(48), root / "ionic.json.gz")
    (root / "tiny.toml").write_text(TINY)
    ok("featurize", data, "--out", root / "store", "--workers", 1, "--recommended")
    output = ok("train", root / "store", "--target", LOW, "--out", root / "run", "--plots",
                "--loss", "robust_l1", "--config", root / "tiny.toml")  # fmt: skip
    assert f"learning: {root / 'run' / 'learning.png'}" in output
    return Place(root, data, root / "store", root / "run")


def is_picture(path: Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG")


def test_learning_curves_stand_in_the_run_folder(place: Place) -> None:
    assert is_picture(place.run / "learning.png")


def test_evaluate_draws_every_kind_of_picture(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    output = ok("evaluate", place.run, place.store, "--subset", "all", "--plots", folder)
    names = {"parity.png", "elements.png", "sites.png", "calibration.png"}
    assert {file.name for file in folder.iterdir()} == names
    assert all(is_picture(file) for file in folder.iterdir())
    assert f"sites: {folder / 'sites.png'}" in output
    assert "choose another name" in refused("evaluate", place.run, place.store, "--plots", folder)


def test_select_writes_the_chosen_and_the_excluded(place: Place, tmp_path: Path) -> None:
    out = tmp_path / "next.csv"
    output = ok("select", place.run, place.data, "--count", 5, "--by", "uncertainty", "--out", out)
    assert "5 of 48 candidates, by uncertainty" in output
    lines = out.read_text().splitlines()
    assert str(place.run) in lines[0]
    assert "aleatoric" in lines[2]
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4", "5"]
    stds = [float(row["std"]) for row in rows]
    assert stds == sorted(stds, reverse=True)
    assert {row["unit"] for row in rows} == {"eV/atom"}
    assert {row["distance"] for row in rows} == {""}
    assert set(rows[0]["id"].split("-")) & {rows[0]["formula"], rows[0]["id"].split("-")[0]}
    again = ("--count", 1, "--known", place.store, "--out", tmp_path / "none.csv")
    line = refused("select", place.run, place.store, *again)
    assert "48 are known or duplicates" in line
    assert "choose another name" in refused(
        "select", place.run, place.store, "--count", 1, "--out", out
    )


def test_embed_writes_rows_for_every_crystal_and_a_map(place: Place, tmp_path: Path) -> None:
    out, picture = tmp_path / "deep" / "points.parquet", tmp_path / "map.png"
    output = ok("embed", place.run, place.store, "--out", out, "--map", picture)
    assert "48 crystals (all crystals), 12 numbers each" in output
    assert "principal components" in output
    table = pq.read_table(out)
    names = ["id", "formula", LOW, f"{LOW}:prediction", f"{LOW}:std", "embedding"]
    assert table.column_names == names
    store = open_store(place.store)
    assert table.column("id").to_pylist() == store.ids
    assert table.column(LOW).to_pylist() == store.target(LOW).tolist()
    assert table.schema.metadata[f"unit of {LOW}".encode()] == b"eV/atom"
    assert is_picture(picture)


def test_explain_writes_json_and_a_picture_for_each_crystal(place: Place, tmp_path: Path) -> None:
    file, out = tmp_path / "rock salt, no. 1.cif", tmp_path / "looks"
    file.write_text(SALT)
    output = ok("explain", place.run, file, "--out", out)
    assert "ClNa, 8 sites" in output
    found = json.loads((out / "rock_salt_no._1.json").read_text())
    assert len(found["sites"]) == 8
    heard = [b["attention"][0][0] for b in found["bonds"] if b["receiver"] == 3]
    assert sum(heard) == pytest.approx(1)
    assert is_picture(out / "rock_salt_no._1.png")
    line = refused("explain", place.run, file, "--out", tmp_path / "new", "--step", 2)
    assert "expected 1..1, got 2" in line
