"""`cgatjax select` from end to end."""

import csv
from pathlib import Path

from tests.commands import ok, refused


def test_selected_and_excluded_crystals_are_written(
    dcgat_file: Path, recommended_store: Path, robust_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "next.csv"
    output = ok("select", robust_run, dcgat_file, "--count", 5, "--by", "uncertainty", "--out", out)
    assert "5 of 48 candidates, by uncertainty" in output
    lines = out.read_text().splitlines()
    assert str(robust_run) in lines[0]
    assert "aleatoric" in lines[2]
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4", "5"]
    stds = [float(row["std"]) for row in rows]
    assert stds == sorted(stds, reverse=True)
    assert {row["unit"] for row in rows} == {"eV/atom"}
    assert {row["distance"] for row in rows} == {""}
    assert set(rows[0]["id"].split("-")) & {rows[0]["formula"], rows[0]["id"].split("-")[0]}
    again = ("--count", 1, "--known", recommended_store, "--out", tmp_path / "none.csv")
    line = refused("select", robust_run, recommended_store, *again)
    assert "48 are known or duplicates" in line
    assert "choose another name" in refused(
        "select", robust_run, recommended_store, "--count", 1, "--out", out
    )
