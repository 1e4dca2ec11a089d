"""docs/table1.md, followed literally on small files: from archives to a dry run without faults."""

import dataclasses
import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from experiments.commands import main as experiments
from experiments.grid.folders import missing_data, needed_properties
from experiments.grid.runner import Pace
from experiments.grid.training import trainings_of
from experiments.scales import SCALES
from experiments.table1 import PAPER, TABLE1
from tests.doc_tables import agrees

import cgatjax as cg
from cgatjax.cli import main as cgatjax

PAGE = Path(__file__).resolve().parents[2] / "docs" / "table1.md"


def commands(section: str) -> list[list[str]]:
    """The indented commands of a section, as words."""
    text = PAGE.read_text().split(f"## {section}")[1].split("\n## ")[0].replace("\\\n", " ")
    return [shlex.split(line) for line in re.findall(r"^    (\S.*)$", text, re.MULTILINE)]


def run(words: list[str]) -> Result:
    if words[0] == "cgatjax":
        return CliRunner().invoke(cgatjax, words[1:])
    assert words[:3] == ["python", "-m", "experiments"]
    return CliRunner().invoke(experiments, words[3:])


def archive(folder: Path) -> None:
    """Entries with total energies, as in the archives: compounds, and the elements in them."""
    entries = []
    for crystal in cg.ionic_crystals(12):
        energy = (crystal.targets["e-form@low"] - 3.0) * crystal.n_sites
        entries.append((crystal, energy))
        for number in sorted(set(crystal.atomic_numbers.tolist())):
            first = crystal.atomic_numbers[:1] * 0 + number
            element = dataclasses.replace(
                crystal,
                id=f"element-{number}",
                atomic_numbers=first,
                frac_coords=crystal.frac_coords[:1],
            )
            entries.append((element, -3.0))
    folder.mkdir(parents=True)
    path = cg.write_dcgat({c.id: c for c, _ in entries}.values(), folder / "a_000.json")
    energies = {crystal.id: energy for crystal, energy in entries}
    document = json.loads(path.read_text())
    for entry in document["entries"]:
        entry["energy"] = energies[entry["entry_id"]]
        entry["data"] = {"mat_id": entry["entry_id"], "e_form": 1.0, "band_gap_ind": 0.5}
    path.write_text(json.dumps(document))


def test_the_page_leads_to_a_dry_run_without_faults(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    steps = commands("With the paper's data")
    assert {words[1] for words in steps} == {"download", "info", "hull", "-m"}
    folders = {w[w.index("--out") + 1] for w in steps if w[1] == "download" and "--out" in w}
    assert folders == {"archives/pbe", "archives/pbesol", "archives/scan"}
    for folder in folders:
        archive(tmp_path / folder)
    dry = next(words for words in steps if words[-1] == "--dry-run")
    before = run(dry)
    assert before.exit_code == 1
    assert before.output.count("missing: data/") == 3
    for words in steps:
        if words[1] == "info":
            result = run(words)
            assert result.exit_code == 0, result.output
            assert "checked against: real files" in result.output
        if words[1] == "hull":
            result = run([*words, "--workers", "1"])
            assert result.exit_code == 0, result.output
            assert "0 skipped" in result.output
    after = run(dry)
    assert after.exit_code == 0, after.output[-500:]
    assert "nothing is missing" in after.output
    [crystal, *_] = cg.read_crystals("data/scan")
    suffixed = {"e-form@SCAN", "e_above_hull_new@SCAN", "volume@SCAN"}
    assert suffixed < set(crystal.targets)
    assert crystal.targets["e-form@SCAN"] == pytest.approx(
        cg.ionic_crystals(1)[0].targets["e-form@low"]
    )


def test_all_faults_of_the_folders_are_listed_at_once(tmp_path: Path) -> None:
    scale = SCALES["paper"]()
    needed = needed_properties(scale.sources, trainings_of(TABLE1.rows(scale)))
    assert set(needed) == {"pbe", "scan", "pbesol"}
    [line] = missing_data(needed, None)
    assert "--data" in line
    made = [dataclasses.replace(c, targets={"e-form": 1.0}) for c in cg.ionic_crystals(3)]
    for folder in ("pbe", "scan"):
        (tmp_path / folder).mkdir()
    cg.write_dcgat(made, tmp_path / "pbe" / "a.json")
    lines = missing_data(needed, tmp_path)
    assert len(lines) == 5
    assert sum("a.json" in line or "/pbe: no " in line for line in lines) == 3
    assert any("no file that can be read" in line for line in lines)
    assert any("pbesol: does not exist" in line for line in lines)
    options = ["run", "table1", "--scale", "paper", "--data", str(tmp_path), "--out", "x"]
    refused = CliRunner().invoke(experiments, options)
    assert "5 things are missing" in str(refused.exception)


def test_the_numbers_of_the_page_are_those_of_the_experiment() -> None:
    text = PAGE.read_text()
    for (name, functional), numbers in PAPER.items():
        row = next(
            line
            for line in text.splitlines()
            if line.startswith(f"| {name.split(' (')[0]}") and f"| {functional} |" in line
        )
        cells = [float(cell) for cell in row.split("|")[3:7]]
        assert cells == pytest.approx(numbers)


def test_the_times_of_the_page_are_those_of_the_dry_run() -> None:
    trainings = trainings_of(TABLE1.rows(SCALES["paper"]()))
    assert f"all {len(trainings)} trainings" in PAGE.read_text()
    first = trainings[0]
    assert first.steps == max(training.steps for training in trainings)
    lines = PAGE.read_text().split("| rate, crystals/s |")[1].split("\n\n")[0].splitlines()[2:]
    assert len(lines) == 3
    for line in lines:
        rate, *times = line.strip("|").split("|")
        pace = Pace(crystals_per_second=float(rate.split()[0].replace(",", "")))
        for text, chosen in zip(times, ([first], trainings), strict=True):
            number, unit = text.split()
            seconds = sum(map(pace.expected, chosen))
            assert agrees(number, [seconds / {"days": 86400, "hours": 3600}[unit]]), line
