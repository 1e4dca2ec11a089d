"""Study of the choice of `cgatjax adapt`: numbers by hand, and a small run."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from experiments.adapt_study import averaged, candidate_lines, line, network_errors, verdict
from experiments.commands import main
from experiments.scales import SCALES

import cgatjax as cg
from cgatjax.adaptation.fold_results import load_result

CANDIDATES = (
    ("mean value", True, 0.9, 0),
    ("trees on composition", True, 0.5, 0),
    ("all of pbe", False, 0.4, 1500),
)


RUNS = ((50, 0, 0.42), (50, 1, 0.396), (200, 0, 0.51))
"""Crystals, seed and error of adaptations."""
SHARES = ("70%", "96%", "65%", "92%")


def finished(mae: float) -> dict[str, Any]:
    """Result of an adaptation with these candidates and this error of the chosen one."""
    listed = [
        {"name": name, "simple": simple, "test_mae": error, "steps": steps}
        for name, simple, error, steps in CANDIDATES
    ]
    test = {"mae": mae, "coverage": {"68": 0.7, "95": 0.96}}
    groups = {
        "period": {"n": 30, "coverage": {"68": 0.6, "95": 0.9}},
        "prototype": {"n": 10, "coverage": {"68": 0.8, "95": 1.0}},
        "element-group": {"n": 10, "coverage": {}},
    }
    own = {"candidates": listed, "unit": "eV", "chosen": "C", "test": test, "seconds": 9.0}
    return {**own, "groups": groups}


def study(results: dict[str, dict[str, Any]]) -> tuple[list[Any], list[Any]]:
    """Rows of the adaptations, and of their candidates."""
    rows = [line(task, result) for task, result in results.items()]
    return rows, [row for task in results for row in candidate_lines(task, results[task])]


def test_the_choice_is_judged_by_single_candidates_and_simple_models() -> None:
    row = line("task", finished(0.42))
    assert row["best single"] == "all of pbe"
    assert row["over best"] == pytest.approx(0.05)
    assert row["over simple"] == pytest.approx(-0.16)
    assert row["full transfers"] == 1.5
    assert row["left out 68 %"] == pytest.approx((30 * 0.6 + 10 * 0.8) / 40)
    text = verdict(*study({f"gap-A-{n}-seed{k}": finished(mae) for n, k, mae in RUNS}))
    # With 50 crystals the mean of the seeds is 2 % over the best candidate, with 200 it is 28 %.
    assert text.startswith("1 of 2 tasks within 3 % of the best candidate in hindsight (1 within")
    assert "at most +2.0% over the best simple model" in text
    assert "coverage 70% and 96%, of groups left out 65% and 93%" in text


def test_seeds_are_averaged() -> None:
    results = {f"gap-A-50-seed{k}-cheap-mp": finished(0.4 + 0.04 * k) for k in range(2)}
    results["gap-A-1000-seed0-mp"] = finished(0.4)
    assert averaged(*study(results)) == [
        ["gap A", "1,000", "1", "0.400 eV", "+0%", "+0%", "-20%", *SHARES],
        ["gap A, cheap value known", "50", "2", "0.420 eV", "+5%", "+5%", "-16%", *SHARES],
    ]


def test_the_best_candidate_is_one_for_all_seeds() -> None:
    results = {f"gap-A-50-seed{k}": finished(0.42) for k in range(2)}
    # With the second seed the trees have 0.36: in the mean 0.43, the network 0.4.
    trees = next(c for c in results["gap-A-50-seed1"]["candidates"] if "trees" in c["name"])
    trees["test_mae"] = 0.36
    [cells] = averaged(*study(results))
    # 0.42 / 0.4; the mean of 0.42 / 0.4 and 0.42 / 0.36; 0.42 / 0.43.
    assert cells[3:7] == ["0.420 eV", "+5%", "+11%", "-2%"]
    # A candidate that one seed lacks is the best of that seed, but not of all.
    extra = {"name": "lucky", "simple": True, "test_mae": 0.3, "steps": 0}
    results["gap-A-50-seed0"]["candidates"].append(extra)
    [cells] = averaged(*study(results))
    assert cells[3:7] == ["0.420 eV", "+5%", "+28%", "-2%"]


def test_sources_are_not_averaged() -> None:
    results = {f"gap-A-50-seed0-{name}": finished(0.4) for name in ("mp", "shuffled-labels")}
    assert [cells[:3] for cells in averaged(*study(results))] == [
        ["gap A from mp", "50", "1"],
        ["gap A from shuffled labels", "50", "1"],
    ]


def test_a_small_study_resumes_and_writes_its_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cgatjax.simple_models.models._TREES", 20)
    words = "adapt --scale smoke --size 24 --minutes 0.001 --steps 2 --out"
    results = [CliRunner().invoke(main, [*words.split(), str(tmp_path)]) for _ in range(2)]
    assert [result.exit_code for result in results] == [0, 0], results[0].output
    assert results[0].output == results[1].output  # the second run reads what the first has done
    assert "of 2 tasks within 3 %" in results[0].output
    with (tmp_path / "smoke" / "adapt" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["task"].split("-seed0")[1] for row in rows] == ["", "-cheap"]
    # There is no time for networks.
    assert (tmp_path / "smoke/adapt/networks.csv").read_text() == "task,candidate,test MAE\n"
    # Who knows the cheap value has a far smaller error: the difference is nearly constant.
    assert float(rows[1]["test MAE"]) < float(rows[0]["test MAE"]) / 2
    # After the first fold the mean value is that of the other folds, as it was for its validation.
    folder = tmp_path / "smoke/adapt" / rows[0]["task"]
    test = SCALES["smoke"]().target_sets[0].high_target
    result = {"target": test, "candidates": [{"name": "mean value", "steps": 1}]}
    [store] = map(cg.open_store, (tmp_path / "smoke" / "stores").glob("high-*/"))
    crystals = store.all()[:5]
    first = load_result(folder, "mean value", 0)
    assert first is not None
    expected = np.abs(crystals.target(test) - first.means[0]).mean()
    assert network_errors(folder, result, crystals) == {"mean value": pytest.approx(expected)}
    # A candidate whose files are gone is left out.
    result["candidates"] = [{"name": "gone", "steps": 1}]
    assert network_errors(folder, result, crystals) == {}


@pytest.mark.long
def test_labels_that_were_shuffled_make_a_source_that_is_not_chosen(tmp_path: Path) -> None:
    words = "adapt --scale smoke --size 48 --minutes 1 --steps 20 --shuffled --out"
    result = CliRunner().invoke(main, [*words.split(), str(tmp_path)])
    assert result.exit_code == 0, result.output
    with (tmp_path / "smoke" / "adapt" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert all("on composition" in row["chosen"] for row in rows)
    assert all(float(row["over simple"]) < 0.1 for row in rows)
