"""Files for leaderboards: the schema's rules, contents, and both commands."""

import copy
import csv
import datetime
import gzip
import hashlib
import io
import json
import zipfile
from pathlib import Path

import pytest
import tomli_w
from tests.commands import ok, refused

import cgatjax as cg
from cgatjax.integrations.jarvis_leaderboard import write_contribution
from cgatjax.integrations.matbench_discovery import (
    metadata_of_run,
    schema_faults,
    write_discovery,
    yaml_text,
)

ABOUT = {
    "model_name": "CGAT",
    "model_key": "cgat-small-0.1",
    "model_version": "0.1",
    "dates": {"benchmark_added": "2026-11-26", "paper_published": None},
    "authors": [{"name": "Ada", "email": "ada@uni.edu"}, {"name": "Bo"}],
    "repo": "https://github.com/x/y",
    "doi": None,
    "paper": None,
    "pr_url": None,
    "checkpoint_url": None,
    "license": {"code": "MIT", "checkpoint": "unreleased"},
    "openness": "OSOD",
    "training_sets": ["MP 2022"],
    "lifecycle": "active",
    "model_params": 3,
    "architecture_types": ["gnn"],
    "targets": "E",
    "train_task": "RS2RE",
    "test_task": "IS2E",
    "environment": {"dependencies": ["cgatjax"], "python_version": "3.11"},
}


def changed(**changes: object) -> dict:
    return {**copy.deepcopy(ABOUT), **changes}


def test_valid_metadata_have_no_faults() -> None:
    assert schema_faults(ABOUT) == []
    cost = {"entries": [{"hardware": "NVIDIA H100", "count": 1, "hours_per_device": 2.5}]}
    assert schema_faults(changed(training_cost=cost, notes={"description": "x"})) == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"colour": "red"}, "colour: unknown key"),
        ({"model_key": "CGAT_small"}, "model_key: expected lower-case"),
        ({"authors": [{"name": "Ada"}]}, "the first author needs an email"),
        ({"authors": [{"email": "a@b"}]}, "name is missing"),
        ({"authors": [{"name": "A", "email": "a@b", "age": 3}]}, "unknown key 'age'"),
        ({"dates": {"benchmark_added": "today", "paper_published": None}}, "yyyy-mm-dd"),
        ({"dates": {"benchmark_added": "2026-11-26"}}, "expected the keys"),
        ({"license": {"code": "WTFPL", "checkpoint": "MIT"}}, "license: expected one of"),
        ({"license": {"code": "MIT"}}, "license: expected code and checkpoint"),
        ({"repo": "github"}, "repo: expected an address"),
        ({"openness": "open"}, "openness: expected one of"),
        ({"train_task": "X"}, "train_task: expected one of"),
        ({"architecture_types": ["cnn"]}, "architecture_types: expected one of"),
        ({"training_sets": []}, "training_sets: expected a list"),
        ({"model_params": 1.5}, "model_params: expected a whole number"),
        ({"environment": {"dependencies": ["x"], "python_version": "3"}}, "python_version: got"),
        ({"training_cost": {"hours": 3}}, "training_cost: expected entries"),
        ({"lifecycle": "superseded"}, "superseded_by: missing"),
    ],
)
def test_each_rule_of_the_schema_finds_its_fault(changes: dict, fault: str) -> None:
    [found] = schema_faults(changed(**changes))
    assert fault in found


def test_all_faults_are_listed_at_once(tmp_path: Path) -> None:
    faulty = changed(openness="open", colour="red")
    del faulty["authors"]
    with pytest.raises(cg.InputError, match=r"5 faults.*authors: missing.*colour.*openness.*date"):
        write_discovery({"wbm-1-1": 0.0}, faulty, tmp_path, family="A B", date="now")
    assert list(tmp_path.iterdir()) == []
    for bad in ({"mp-1": 1.0}, {"wbm-1-1": float("nan")}):
        with pytest.raises(cg.InputError, match="wbm-1-17"):
            write_discovery(bad, ABOUT, tmp_path, family="cgatjax", date="2026-11-26")


def test_predictions_and_metadata_are_written(tmp_path: Path) -> None:
    values = {"wbm-1-1": -1.25, "wbm-1-2": float("nan"), "wbm-2-30": 0.1}
    path = write_discovery(values, ABOUT, tmp_path, family="cgatjax", date="2026-11-26")
    assert path == tmp_path / "models" / "cgatjax" / "cgat-small-0.1.yml"
    name = "models/cgatjax/cgat-small-0.1/2026-11-26-discovery.csv.gz"
    data = (tmp_path / name).read_bytes()
    rows = list(csv.reader(io.StringIO(gzip.decompress(data).decode())))
    assert rows == [["material_id", "e_form_per_atom"], ["wbm-1-1", "-1.25"], ["wbm-2-30", "0.1"]]
    text = path.read_text()
    assert f'      name: "{name}"\n      size: {len(data)}\n' in text
    assert hashlib.md5(data).hexdigest() in text
    assert 'authors:\n  -\n    name: "Ada"\n    email: "ada@uni.edu"\n' in text
    yaml = pytest.importorskip("yaml")
    read = yaml.safe_load(text)
    assert {k: v for k, v in read.items() if k != "metrics"} == ABOUT
    assert read["metrics"]["discovery"]["pred_file"]["size"] == len(data)


def test_yaml_of_empty_and_nested_values() -> None:
    assert yaml_text({"a": [], "b": {"c": [1, {"d": None}]}, "e": "x: y"}) == (
        'a: []\nb:\n  c:\n    - 1\n    -\n      d: null\ne: "x: y"\n'
    )


def predictions_file(path: Path, values: dict[str, float], name: str = "e-form") -> Path:
    rows = [f"{i},{name},{v},,eV/atom," for i, v in values.items()]
    header = "id,property,prediction,std,unit,unseen_elements"
    path.write_text("\n".join(["# cgatjax model: x", header, *rows]) + "\n")
    return path


def test_the_command_fills_in_what_the_run_knows(tmp_path: Path) -> None:
    store = cg.build_store(cg.ionic_crystals(4), tmp_path / "s", cg.GraphConfig.recommended())
    model = cg.init_model(cg.ModelConfig.small(), store, target="e-form@low")
    cg.save_model(tmp_path / "model", model)
    found = metadata_of_run(tmp_path / "model")
    assert found["model_params"] == model.n_params
    assert found["hyperparams"]["architecture"]["max_neighbors"] == 24
    given = {k: v for k, v in ABOUT.items() if k not in found and v is not None}
    file = predictions_file(tmp_path / "wbm.csv", {"wbm-1-1": -1.0})
    metadata = tmp_path / "me.toml"
    metadata.write_text(tomli_w.dumps({**given, "dates": {"benchmark_added": "2026-11-26"}}))
    command = [
        "submit",
        "matbench-discovery",
        file,
        "--metadata",
        metadata,
        "--out",
        tmp_path / "o",
    ]
    line = refused(*command, "--run", tmp_path / "model")
    for fault in ("doi: missing", "paper: missing", "dates: expected the keys"):
        assert fault in line
    places = dict.fromkeys(("doi", "paper", "pr_url", "checkpoint_url"), "")
    dates = {"benchmark_added": datetime.date(2026, 11, 26), "paper_published": ""}
    metadata.write_text(tomli_w.dumps({**given, **places, "dates": dates}))
    out = ok(*command, "--run", tmp_path / "model", "--date", "2026-11-26")
    assert "1 predictions (0 missing)" in out
    text = (tmp_path / "o" / "models" / "cgatjax" / "cgat-small-0.1.yml").read_text()
    assert 'dates:\n  benchmark_added: "2026-11-26"\n  paper_published: null\n' in text
    assert "doi: null\n" in text


@pytest.fixture
def benchmark(tmp_path: Path) -> Path:
    path = tmp_path / "dft_3d_mbj_bandgap.json.zip"
    with zipfile.ZipFile(path, "w") as archive:
        parts = {"train": {"J-1": 1.0}, "test": {"J-2": 2.0, "J-3": "3.5"}}
        archive.writestr("dft_3d_mbj_bandgap.json", json.dumps(parts))
    return path


AUTHOR = {
    "model_name": "CGAT",
    "project_url": "https://x.org",
    "date_submitted": "11-26-2026",
    "author_email": "ada@uni.edu",
    "team_name": "CGAT",
}


def test_a_contribution_to_jarvis(benchmark: Path, tmp_path: Path) -> None:
    file = predictions_file(tmp_path / "p.csv", {"J-3": 3.0, "J-2": 2.5}, "mbj_bandgap")
    (tmp_path / "me.toml").write_text(tomli_w.dumps(AUTHOR))
    base = ["submit", "jarvis", file, "--metadata", tmp_path / "me.toml", "--out", tmp_path / "o"]
    assert "--benchmark and --property" in refused(*base)
    ok(*base, "--benchmark", benchmark, "--property", "mbj_bandgap")
    name = "AI-SinglePropertyPrediction-mbj_bandgap-dft_3d-test-mae.csv"
    with zipfile.ZipFile(tmp_path / "o" / f"{name}.zip") as archive:
        assert archive.namelist() == [name]
        rows = list(csv.reader(io.StringIO(archive.read(name).decode())))
    assert rows == [["id", "target", "prediction"], ["J-2", "2.0", "2.5"], ["J-3", "3.5", "3.0"]]
    metadata = json.loads((tmp_path / "o" / "metadata.json").read_text())
    assert metadata == {**AUTHOR, "time_taken_seconds": {f"{name}.zip": ""}}


def test_incomplete_contributions_are_refused(benchmark: Path, tmp_path: Path) -> None:
    whole = {"J-2": 1.0, "J-3": 1.0}
    with pytest.raises(cg.InputError, match=r"1 of its 2 test ids .*'J-3'"):
        write_contribution({"J-2": 1.0}, benchmark, "mbj_bandgap", AUTHOR, tmp_path / "o")
    with pytest.raises(cg.InputError, match="team_name"):
        write_contribution(whole, benchmark, "mbj_bandgap", {"model_name": "x"}, tmp_path / "o")
    with pytest.raises(cg.InputError, match="DATASET_ehull"):
        write_contribution(whole, benchmark, "ehull", AUTHOR, tmp_path / "o")
    other = predictions_file(tmp_path / "p.csv", whole)
    (tmp_path / "me.toml").write_text(tomli_w.dumps(AUTHOR))
    command = ["submit", "jarvis", other, "--metadata", tmp_path / "me.toml", "--out", tmp_path]
    assert "it has ['e-form']" in refused(*command, "--target", "gap")
