"""`cgatjax predict` from end to end."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from tests.commands import ok, read_csv, refused

import cgatjax as cg
from cgatjax.structures.dcgat import write_dcgat

LOW = "e-form@low"


def test_the_csv_has_units_and_the_reason_for_missing_stds(
    dcgat_file: Path, store: Path, trained_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "predictions.csv"
    assert "48 crystals, 0 skipped" in ok("predict", trained_run, dcgat_file, "--out", out)
    header = [line for line in out.read_text().splitlines() if line.startswith("#")]
    assert str(trained_run) in header[0]
    assert "robust" in header[1]
    rows = read_csv(out)
    assert [*rows[0]] == ["id", "property", "prediction", "std", "unit", "unseen_elements"]
    assert {(r["property"], r["std"], r["unit"]) for r in rows} == {(LOW, "", "eV/atom")}
    assert "choose another name" in refused("predict", trained_run, dcgat_file, "--out", out)
    from_store = tmp_path / "store.csv"
    ok("predict", trained_run, store, "--out", from_store)
    old = {r["id"]: float(r["prediction"]) for r in rows}
    new = {r["id"]: float(r["prediction"]) for r in read_csv(from_store)}
    assert new == pytest.approx(old, abs=1e-4)


def test_skipped_files_are_listed(dcgat_file: Path, trained_run: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.cif").write_text("no structure in here")
    out = tmp_path / "out.csv"
    inputs = (dcgat_file, tmp_path / "broken.cif")
    several = refused("predict", trained_run, *inputs, "--out", out)
    assert "'broken'" in several
    assert "--on-error skip" in several
    # Skipping the only structure would leave nothing to predict.
    assert "--on-error" not in refused("predict", trained_run, inputs[1])
    assert not out.exists()
    output = ok("predict", trained_run, *inputs, "--out", out, "--on-error", "skip")
    assert "48 crystals, 1 skipped" in output
    assert [row["id"] for row in read_csv(tmp_path / "out.skipped.csv")] == ["broken"]


def test_without_a_file_a_table_is_printed(
    dcgat_file: Path, trained_run: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.cif").write_text("no structure in here")
    output = ok("predict", trained_run, dcgat_file, tmp_path, "--on-error", "skip")
    assert "Predictions of 48 crystals, 1 skipped" in output
    assert f"{LOW} (eV/atom)" in output
    assert "... 28 more" in output
    assert f"cgatjax model: {trained_run}" in output
    assert "skipped broken" in output


def test_unseen_elements_have_a_column_and_a_line(trained_run: Path, tmp_path: Path) -> None:
    crystals = cg.ionic_crystals(3)
    numbers = crystals[1].atomic_numbers
    strange = np.where(numbers == numbers[0], 96, numbers).astype(np.uint8)
    crystals[1] = dataclasses.replace(crystals[1], atomic_numbers=strange)
    file = write_dcgat(crystals, tmp_path / "strange.json.gz")
    output = ok("predict", trained_run, file, "--out", tmp_path / "out.csv")
    message = "1 of 3 structures contains elements never seen in training: Cm"
    assert f"warning: {message}" in output
    assert [row["unseen_elements"] for row in read_csv(tmp_path / "out.csv")] == ["", "Cm", ""]
    assert f"# {message}" in (tmp_path / "out.csv").read_text()
