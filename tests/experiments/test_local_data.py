"""Folders of the scale `local`, made from small files in the layout of the public ones."""

import csv
import gzip
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from experiments.grid.folders import missing_data, needed_properties
from experiments.grid.training import trainings_of
from experiments.local_data import by_formula, main, reduced
from experiments.scales import SCALES
from experiments.table1 import TABLE1

import cgatjax as cg
from cgatjax.structures.cif_writer import cif_text


@pytest.fixture
def public_files(tmp_path: Path) -> list[str]:
    """Options of the script, with files of eight crystals: two of one formula."""
    crystals = [replace(c, id=f"mp-{k}") for k, c in enumerate(cg.ionic_crystals(7))]
    crystals.append(replace(crystals[0], id="mp-7", lattice=crystals[0].lattice * 1.1))
    for name, factor in (("pbe", 1.0), ("r2scan", 0.99)):
        (tmp_path / name).mkdir()
        for c in crystals:
            (tmp_path / name / f"{c.id}.cif").write_text(
                cif_text(replace(c, lattice=c.lattice * factor))
            )
    energies = {c.id: str(-1.0 - k) for k, c in enumerate(crystals)}
    with zipfile.ZipFile(tmp_path / "megnet_e_form.json.zip", "w") as archive:
        parts = {"train": energies, "val": {"mp-99": "-1.0"}, "test": {}}
        archive.writestr("megnet_e_form.json", json.dumps(parts))
    gaps = {"pbe": {c.id: 0.5 for c in crystals}, "hse": {c.id: 1.5 for c in crystals[:3]}}
    (tmp_path / "gaps.json.gz").write_bytes(gzip.compress(json.dumps(gaps).encode()))
    formulas = [reduced_of(c) for c in crystals]
    for name, column in (
        ("deltae", "formation_energy_peratom"),
        ("optb88vdw_bandgap", "optb88vdw_bandgap"),
    ):
        folder = tmp_path / "jarvis" / name
        folder.mkdir(parents=True)
        rows = [f"{k},{formula},{-2.0 - k}" for k, formula in enumerate(formulas[:5])]
        (folder / f"{name}_test_set.csv").write_text("\n".join([f",pretty_comp,{column}", *rows]))
    values = [{298.15: -8.0}, {298.15: -7.0}]
    later = {"hf_r2scan": values, "hf_gga_gga_u": values}
    energies_of = {"hf_r2scan": [-9.0, float("nan")], "hf_gga_gga_u": [-8.5, -7.5]}
    for name, columns, ids in (
        ("18.11.24", later, ["mp-3", "mp-6"]),
        ("20.03.24", energies_of, ["mp-3", "mp-4"]),
        ("other", {"enthalpy": [1.0]}, ["mp-5"]),
    ):
        folder = tmp_path / "rxnnet" / name / "datasets"
        folder.mkdir(parents=True)
        frame = pd.DataFrame(columns, index=pd.Index(ids, dtype=object))
        frame.columns = frame.columns.astype(object)
        frame.to_pickle(folder / "main.pkl.gz")
    first = replace(crystals[5], lattice=crystals[5].lattice * 1.05)
    with open(tmp_path / "first.csv", "w", newline="") as lines:
        csv.writer(lines).writerows([["material_id", "cif"], [first.id, cif_text(first)]])
    options = {
        "structures": "first.csv pbe",
        "energies": "megnet_e_form.json.zip",
        "gaps": "gaps.json.gz",
        "jarvis": "jarvis",
        "relaxed": "r2scan",
        "reactions": "rxnnet",
    }
    pairs = [[f"--{o}", str(tmp_path / n)] for o, names in options.items() for n in names.split()]
    return [*(word for pair in pairs for word in pair), "--out", str(tmp_path / "data")]


def reduced_of(crystal: cg.Crystal) -> str:
    from cgatjax.structures.elements import reduced_formula

    return reduced_formula(crystal.atomic_numbers)


def test_the_folders_have_what_the_trainings_need(public_files: list[str], tmp_path: Path) -> None:
    result = CliRunner().invoke(main, public_files)
    assert result.exit_code == 0, result.output
    data = tmp_path / "data"
    found = {p.name: list(cg.read_crystals(p)) for p in data.iterdir()}
    sizes = {name: len(crystals) for name, crystals in found.items()}
    assert sizes == {"pbe": 8, "hse": 3, "optb88vdw": 4, "r2scan_volume": 7, "r2scan_eform": 2}
    scale = SCALES["local"]()
    assert (
        missing_data(needed_properties(scale.sources, trainings_of(TABLE1.rows(scale))), data) == []
    )
    energies = {c.id: (c.targets["e-form"], c.targets["e-form_pbe"]) for c in found["r2scan_eform"]}
    assert energies == {"mp-3": (-9.0, -8.5), "mp-6": (-7.0, -7.0)}
    assert "mp-5" not in {c.id for c in found["r2scan_volume"]}, "changed by more than 12 %"
    for crystal in found["r2scan_volume"]:
        ratio = crystal.targets["volume"] / crystal.targets["volume_pbe"]
        assert ratio == pytest.approx(0.99**3, rel=1e-4)
    for crystal in found["optb88vdw"]:
        number = int(crystal.id.split("-")[1])
        assert crystal.targets["e-form"] == -2.0 - number
        assert crystal.targets["e-form_pbe"] == -1.0 - number
        assert number not in (0, 7), "two crystals of one formula"
    again = CliRunner().invoke(main, public_files)
    assert "exists" in str(again.exception)


def test_formulas_given_twice_or_of_unknown_elements_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(",pretty_comp,v\n0,Na2Ca2(CO3)3,1\n1,NaCl,2\n2,ClNa,3\n3,Xx,4\n")
    assert by_formula([path], "v") == {"C3Ca2Na2O9": 1.0}
    assert reduced("Ca(OH)2") == "CaH2O2"
