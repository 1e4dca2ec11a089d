"""`cgatjax screen` from end to end, and killed at random moments."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests.commands import ok, refused

import cgatjax as cg
from cgatjax.screening.ranked_parquet import read_rows

ROOT = Path(__file__).resolve().parents[2]
PEROVSKITE = """SrTiO3
4.0
1 0 0
0 1 0
0 0 1
Sr Ti O
1 1 3
direct
0.0 0.0 0.0
0.5 0.5 0.5
0.5 0.5 0.0
0.5 0.0 0.5
0.0 0.5 0.5
"""
DISORDERED = """data_x
_cell_length_a 4
_cell_length_b 4
_cell_length_c 4
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Fe1 Fe 0 0 0 0.5
"""


@pytest.fixture(scope="module")
def folder(trained_model, tmp_path_factory) -> Path:
    """Folder with a model, a prototype as a POSCAR file and a function that filters."""
    folder = tmp_path_factory.mktemp("screen")
    cg.save_model(folder / "model", trained_model)
    (folder / "srtio3.poscar").write_text(PEROVSKITE)
    (folder / "disordered.cif").write_text(DISORDERED)
    (folder / "rules.py").write_text(
        "def no_sulfur(symbols, amounts):\n    return symbols[2] != 'S'\n"
    )
    return folder


def arguments(folder: Path, out: str) -> list[str]:
    return [
        *(
            "screen",
            str(folder / "model"),
            str(folder / "srtio3.poscar"),
            "--out",
            str(folder / out),
        ),
        *("--elements", "Sr=Ca,Sr,Ba,Na", "--elements", "2=Ti,Zr,Nb,Al", "--elements", "*=O,S,F"),
        *("--batch-size", "16"),
    ]


def test_the_best_neutral_compositions_are_kept(folder, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    said = ok(
        *arguments(folder, "out"),
        *("--best", 4, "--electronegativity", "--function", "rules:no_sulfur", "--distinct"),
    )
    report = json.loads((folder / "out" / "report.json").read_text())
    rows = read_rows(folder / "out" / "results").to_pylist()
    assert report["seen"] == 48
    assert report["predicted"] + sum(report["left_out"].values()) == 48
    assert len(rows) == report["rows"] == 4
    assert rows[0]["id"] in said
    assert "refused by the function" in said
    assert "std: aleatoric" in said
    assert all("S" not in dict(row["elements"]).values() for row in rows)
    again = ok(*arguments(folder, "out"), "--resume", "--best", 4, "--electronegativity",
               "--function", "rules:no_sulfur", "--distinct")  # fmt: skip
    assert rows[0]["id"] in again


def test_mistakes_get_one_line(folder) -> None:
    base = arguments(folder, "none")
    assert "CLASS=LIST" in refused(*base, "--elements", "Sr")
    assert "given twice" in refused(*base, "--elements", "Sr=Ca")
    assert "--all goes with none" in refused(*base, "--all", "--best", 3)
    assert "MODULE:FUNCTION" in refused(*base, "--function", "absent:f")
    assert "allowed" in refused(*base, "--allowed", "Zz")
    cif = [*base[:2], folder / "disordered.cif", *base[3:]]
    assert "expected an ordered crystal" in refused(*cif)
    assert "unknown element" in refused(*base[:5], "--elements", "Sr=Q")
    assert not (folder / "none").exists()


@pytest.mark.long
def test_results_are_the_same_after_many_kills(folder) -> None:
    """Thousands of candidates in small chunks, SIGKILL and SIGTERM at random moments."""
    elements = "H,Li,Be,B,C,N,O,F,Na,Mg,Al,Si,P,S,Cl,K,Ca,Sc,Ti,V,Cr,Mn,Fe,Co,Ni,Cu,Zn".split(",")
    lists = f"*={','.join(elements)}"
    prototype, sizes = str(folder / "srtio3.poscar"), ("--chunk-rows", "64", "--batch-size", "64")

    def command(out: str) -> list[str]:
        start = "from cgatjax.cli import main; main()"
        model = str(folder / "model")
        out_folder = str(folder / out)
        options = ["--elements", lists, "--keep-unseen", "--all", "--out", out_folder, *sizes]
        return [sys.executable, "-c", start, "screen", model, prototype, *options, "--resume"]

    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    subprocess.run(command("whole"), env=environment, check=True, capture_output=True)
    moments, journal, kills = random.Random(0), folder / "broken" / "screening.jsonl", 0
    for _ in range(40):
        process = subprocess.Popen(
            command("broken"), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        before = journal.read_text().count("\n") if journal.exists() else 0
        while process.poll() is None and not (
            journal.exists() and journal.read_text().count("\n") > before
        ):
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.05))
        process.send_signal(moments.choice([signal.SIGKILL, signal.SIGTERM]))
        process.communicate(timeout=300)
        kills += process.returncode != 0
        if process.returncode == 0 or kills == 12:
            break
    subprocess.run(command("broken"), env=environment, check=True, capture_output=True)
    assert kills >= 10
    for name in sorted((folder / "whole" / "results").iterdir()):
        assert name.read_bytes() == (folder / "broken" / "results" / name.name).read_bytes()
    ids = read_rows(folder / "broken" / "results")["id"].to_pylist()
    assert len(ids) == len(set(ids)) == len(elements) ** 3


def test_a_structure_type_of_the_library_is_a_prototype(folder) -> None:
    out = folder / "named"
    base = ("screen", folder / "model", "--out", out)
    assert "INPUT or --prototype" in refused(*base)
    assert "--elements CLASS=LIST" in refused(*base, "--prototype", "rocksalt")
    assert "rocksalt" in refused(*base, "--prototype", "rock", "--elements", "A=Na")
    lists = ("--elements", "A=Na,K", "--elements", "X=F,Cl")
    phase = cg.Crystal(
        id="salt",
        lattice=4 * np.eye(3),
        frac_coords=np.array([[0, 0, 0], [0.5, 0.5, 0.5]]),
        atomic_numbers=np.array([11, 17], np.uint8),
        targets={"e-form": -2.0},
    )
    cg.write_dcgat([phase], folder / "phases.json.gz")
    output = ok(*base, "--prototype", "rocksalt", *lists, "--structures", 1, "--batch-size", 16,
                "--hull", folder / "phases.json.gz")  # fmt: skip
    assert "NaCl" in output
    assert "above hull" in output
    rows = {row["formula"]: row for row in read_rows(out / "results").to_pylist()}
    assert rows["NaCl"]["hull_distance"] == pytest.approx(rows["NaCl"]["mean"] + 2.0)
    assert (out / "best.csv").is_file()
    assert len(list((out / "structures").iterdir())) == 1
