"""Experiments from end to end on a synthetic data set: numbers, files, and the report."""

import csv
import json
import re

import pytest
from click.testing import CliRunner
from experiments.commands import EXPERIMENTS, main
from experiments.grid.datasets import Datasets
from experiments.grid.pool import TrainingPool
from experiments.scales import SCALES


def run(*arguments):
    result = CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiments")
    for name in ("table1", "learning_curves"):
        run("run", name, "--out", folder)
    run("report", "--out", folder)
    return folder / "smoke"


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_table_1_has_every_mode_on_the_same_crystals(out):
    rows = {row["way"]: row for row in read(out / "table1" / "results.csv")}
    differences = ["difference", "difference to the source"]
    assert list(rows) == ["pre-training", "none", "head", "full", "joint", *differences]
    modes = [rows[mode] for mode in ("none", "head", "full", "joint")]
    assert {row["n_train"] for row in modes} == {"64"}
    assert len({row["n_test"] for row in modes}) == 1
    assert all(float(row["test_mae"]) > 0 for row in rows.values())
    assert {row["unit"] for row in rows.values()} == {"eV/atom"}


def test_experiments_share_their_trainings(out):
    """Table 1 has seven trainings; the learning curves are of the same ones."""
    assert len(list((out / "trainings").glob("*/record.json"))) == 7
    assert len(read(out / "learning_curves" / "results.csv")) == 3


def test_pre_training_excludes_the_held_out_formulas_of_the_transfer(out):
    scale = SCALES["smoke"]()
    datasets = Datasets(scale.sources, None, out)
    start = scale.pretraining(scale.target_sets[0], seed=0)
    train, valid, _ = datasets.subsets(start)
    seen = {*train.formulas, *valid.formulas}
    assert len(train) > 100
    assert not seen & datasets.held_out_formulas("high")
    assert seen & set(datasets.store("high").formulas)


def test_subsets_are_nested_and_differ_by_seed(out):
    scale = SCALES["smoke"]()
    datasets = Datasets(scale.sources, None, out)
    start = scale.pretraining(scale.target_sets[0], seed=0)
    ids = {
        (size, seed): set(datasets.subsets(start.replace(size=size, seed=seed))[0].ids)
        for size in (16, 32)
        for seed in (0, 1)
    }
    assert len(ids[16, 0]) == 16
    assert ids[16, 0] < ids[32, 0]
    assert ids[16, 0] != ids[16, 1]


def test_a_second_run_trains_nothing_and_a_lost_record_is_written_again(out, caplog):
    before = (out / "table1" / "results.csv").read_bytes()
    record = min((out / "trainings").glob("*/record.json"))
    content = json.loads(record.read_text())
    record.unlink()
    scale = SCALES["smoke"]()
    pool = TrainingPool(Datasets(scale.sources, None, out), out)
    rows = EXPERIMENTS["table1"].rows(scale)
    lost = [t for row in rows for t in row.candidates if pool.record(t) is None]
    assert pool.train(lost[0])
    again = pool.record(lost[0])
    assert again["valid_mae"] == content["valid_mae"]
    assert again["steps"] == content["steps"]
    run("run", "table1", "--out", out.parent)
    assert (out / "table1" / "results.csv").read_bytes() == before


def test_figures_and_report_are_written(out):
    for name in ("table1/errors", "learning_curves/curves_0"):
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (out / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    assert not re.search(r"src='(?!data:)", page)
    for text in (
        "Table 1",
        "et al. 2023",
        "24",
        "16 (-33%)",
        "first validation",
        "Differences from the paper",
        "experiments without results: data_report, ",
        "0.93 eV for the gap",
    ):
        assert text in page
    text = (out / "report.md").read_text()
    assert "| property | functional | pre-training | none |" in text
    for figure in re.findall(r"!\[.*\]\((.*)\)", text):
        assert (out / figure).is_file()
    assert (out / "table1" / "table_0.csv").read_text().startswith("property,functional,")


def test_show_makes_figures_without_training(out):
    figure = out / "table1" / "errors.png"
    figure.unlink()
    folders = sorted((out / "trainings").iterdir())
    assert "7 of 7 rows" in run("show", "table1", "--out", out.parent)
    assert figure.is_file()
    assert sorted((out / "trainings").iterdir()) == folders


def test_a_folder_without_results_makes_no_report(tmp_path):
    result = CliRunner().invoke(main, ["report", "--out", str(tmp_path)])
    assert "found none; run one first" in str(result.exception)


def test_real_data_sets_need_a_folder(tmp_path):
    result = CliRunner().invoke(main, ["run", "table1", "--scale", "local", "--out", str(tmp_path)])
    assert "give one with --data" in str(result.exception)


def test_a_dry_run_of_the_paper_reads_no_data(tmp_path):
    text = run("run", "table1", "--scale", "paper", "--dry-run", "--out", tmp_path)
    assert "about 1,440,000 crystals" in text
    assert "36 rows, 64 trainings" in text
    assert "missing: no data folder" in text.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_the_other_experiments_run_too(out):
    for name in EXPERIMENTS:
        text = run("run", name, "--out", out.parent)
        assert (out / name / "section.json").is_file()
        done, total = re.search(r"(\d+) of (\d+) rows", text).groups()
        assert done == total
    answer = json.loads((out / "budget" / "section.json").read_text())["paragraphs"][0]
    assert re.match(r"The next [\d,]+ calculations: (low|high|neither) ", answer)
    run("report", "--out", out.parent)
