"""Table and structures of the best candidates, and structure types of the library as prototypes."""

import csv
import shutil

import numpy as np
import pytest
from tests.screening.conftest import BATCH, ELEMENTS, PEROVSKITE, files

import cgatjax as cg
from cgatjax.errors import InputError
from cgatjax.screening.ranked_parquet import read_rows
from cgatjax.structures.crystal import Crystal
from cgatjax.synthetic.prototypes import find_prototype, prototypes

SIZES = {"batch_size": BATCH}


def rows_of(folder):
    with open(folder / "best.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_the_best_decorations_are_written_as_csv_and_cif(model, tmp_path):
    out = tmp_path / "out"
    found = cg.screen(model, [PEROVSKITE], out, elements=ELEMENTS, structures=3, **SIZES)
    rows = rows_of(out)
    stored = read_rows(found.results).to_pylist()
    assert [row["id"] for row in rows] == [row["id"] for row in stored]
    assert [float(row["mean"]) for row in rows] == [row["mean"] for row in stored]
    assert rows[0]["rank"] == "1"
    assert rows[0]["elements"].startswith("Sr=")
    names = sorted(f.name for f in (out / "structures").iterdir())
    assert names == [f"00{k + 1}-abx3_{rows[k]['id'][5:]}.cif" for k in range(3)]
    again = cg.predict(model, sorted((out / "structures").iterdir()), batch_size=BATCH)
    assert again.mean == pytest.approx([row["mean"] for row in stored[:3]], abs=1e-5)
    # A kill after the results and before these files.
    before = files(out)
    (out / "best.csv").unlink()
    shutil.rmtree(out / "structures")
    cg.screen(model, [PEROVSKITE], out, elements=ELEMENTS, structures=3, resume=True, **SIZES)
    assert files(out) == before


def test_structures_of_a_stream_are_read_again(model, tmp_path):
    crystals = cg.ionic_crystals(12)
    cg.screen(model, crystals, tmp_path / "list", structures=2, **SIZES)
    best = rows_of(tmp_path / "list")[0]["id"]
    assert (tmp_path / "list" / "structures" / f"001-{best}.cif").is_file()
    cg.screen(model, iter(crystals), tmp_path / "iterator", structures=2, **SIZES)
    assert not (tmp_path / "iterator" / "structures").exists()
    assert rows_of(tmp_path / "iterator") == rows_of(tmp_path / "list")


def test_structure_types_of_the_library_by_role(model, tmp_path):
    lists = {"A": ["Ca", "Sr"], "B": ["Ti"], "X": ["O", "S"]}
    out = tmp_path / "out"
    cg.screen(model, [find_prototype("perovskite")], out, elements=lists, **SIZES)
    rows = rows_of(out)
    assert {row["id"] for row in rows} == {
        f"perovskite:{a}-Ti-{x}" for a in ("Ca", "Sr") for x in ("O", "S")
    }
    strontium = next(row for row in rows if row["id"] == "perovskite:Sr-Ti-O")
    assert (strontium["formula"], strontium["elements"]) == ("SrTiO3", "A=Sr B=Ti X=O")
    ideal = Crystal(
        id="x", lattice=4 * np.eye(3), frac_coords=PEROVSKITE.frac_coords,
        atomic_numbers=PEROVSKITE.atomic_numbers,
    )  # fmt: skip
    expected = cg.predict(model, [ideal], batch_size=BATCH).mean[0]
    assert float(strontium["mean"]) == pytest.approx(expected, abs=1e-5)


def test_every_role_of_a_structure_type_needs_elements(model, tmp_path):
    with pytest.raises(InputError, match=r"perovskite: .* A, B, X, got none for B"):
        cg.screen(
            model, [find_prototype("perovskite")], tmp_path / "x", elements={"A": ["Ca"]}, **SIZES
        )
    with pytest.raises(InputError, match=r"one of rocksalt, .*got 'perovskit'"):
        find_prototype("perovskit")


@pytest.mark.parametrize("prototype", prototypes(), ids=lambda p: p.name)
def test_every_structure_type_has_its_roles_as_classes(prototype):
    from cgatjax.screening.templates import template_of

    template = template_of(prototype, cg.GraphConfig.recommended(), "element")
    assert template.classes == prototype.roles
    assert template.counts.tolist() == prototype.role_counts.tolist()
