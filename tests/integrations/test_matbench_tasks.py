"""Matbench tasks: folds, ids, scores and result files."""

import dataclasses
import gzip
import hashlib
import json

import numpy as np
import pytest
from tests.commands import ok, refused

from cgatjax.errors import InputError, MismatchError, StructureError
from cgatjax.integrations.matbench_files import MatbenchTask, scores_of
from cgatjax.integrations.matbench_tasks import run_matbench
from cgatjax.structures.dcgat import write_dcgat
from cgatjax.synthetic.dataset import ionic_crystals

NAME = "matbench_log_kvrh"


class MeanRegressor:
    """Regressor that predicts the mean of the training values plus a shift."""

    fits = 0

    def __init__(self, shift=0.0, **options):
        self.shift, self.options = shift, options

    def get_params(self):
        return {"shift": self.shift, **self.options}

    def fit(self, structures, y):
        assert len(structures) == len(y)
        type(self).fits += 1
        self.mean = y.mean()
        return self

    def predict(self, structures):
        return np.full(len(structures), self.mean + self.shift)


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """Pandas table of twelve crystals as JSON."""
    file = tmp_path_factory.mktemp("entries") / "all.json"
    crystals = ionic_crystals(12)
    entries = json.loads(write_dcgat(crystals, file).read_text())["entries"]
    rows = [
        [e["structure"], c.targets["e-form@low"]] for e, c in zip(entries, crystals, strict=True)
    ]
    return {"index": list(range(12)), "columns": ["structure", "log10(K_VRH)"], "data": rows}


@pytest.fixture
def write(tmp_path):
    def write(content, name=NAME):
        path = tmp_path / f"{name}.json.gz"
        path.write_bytes(gzip.compress(json.dumps(content).encode()))
        return path

    return write


@pytest.fixture
def task(content, write):
    return MatbenchTask.load(write(content))


def test_ids_and_folds_are_those_of_matbench(task):
    """Folds of 12 crystals agree with scikit-learn's KFold."""
    assert task.dataset_name == NAME
    assert [c.id for c in task.crystals[:2]] == ["mb-log-kvrh-01", "mb-log-kvrh-02"]
    tests = [task.splits[f"fold_{k}"][1].tolist() for k in range(5)]
    assert sorted(i for test in tests for i in test) == list(range(12))
    assert [len(test) for test in tests] == [3, 3, 2, 2, 2]
    for train, test in task.splits.values():
        assert sorted([*train, *test]) == list(range(12))
    from sklearn import model_selection as selection

    folds = selection.KFold(5, shuffle=True, random_state=18012019)
    for (train, test), (a, b) in zip(task.splits.values(), folds.split(np.zeros(12)), strict=True):
        np.testing.assert_array_equal(train, a)
        np.testing.assert_array_equal(test, b)


def test_folds_are_read_from_a_validation_file(task, content, write, tmp_path):
    ids = [crystal.id for crystal in task.crystals]
    folds = {"fold_0": {"train": ids[3:], "test": ids[:3]}}
    (tmp_path / "v.json").write_text(json.dumps({"splits": {NAME: folds}}))
    given = MatbenchTask.load(write(content), folds=tmp_path / "v.json")
    assert given.folds == [0]
    assert [c.id for c in given.get_test_data(0)] == ids[:3]
    folds["fold_0"]["test"] = ["mb-log-kvrh-99"]
    (tmp_path / "v.json").write_text(json.dumps({"splits": {NAME: folds}}))
    with pytest.raises(InputError, match=r"as folds of the 12 crystals.*mb-log-kvrh-99"):
        MatbenchTask.load(write(content), folds=tmp_path / "v.json")


def test_scores_by_hand():
    found = scores_of(np.array([1.0, -2.0, 0.0]), np.array([1.5, -2.0, 3.0]))
    assert found == pytest.approx(
        {"mae": 3.5 / 3, "rmse": (9.25 / 3) ** 0.5, "mape": 0.25, "max_error": 3.0}
    )


def test_a_run_records_all_folds_and_writes_results(task, tmp_path):
    run_matbench(task, MeanRegressor(0.5))
    for k, (train, test) in enumerate(task.splits.values()):
        fold = task.results[f"fold_{k}"]
        mean = task.values[train].mean() + 0.5
        assert fold["data"] == {task.crystals[i].id: pytest.approx(mean) for i in test}
        assert fold["scores"]["mae"] == pytest.approx(np.abs(task.values[test] - mean).mean())
        assert fold["parameters"] == {"shift": 0.5}
    maes = [fold["scores"]["mae"] for fold in task.results.values()]
    expected = {"mean": np.mean(maes), "max": max(maes), "min": min(maes), "std": np.std(maes)}
    assert task.scores()["mae"] == pytest.approx(expected)
    task.save(tmp_path / "results.json", {"algorithm": "mean"})
    written = json.loads((tmp_path / "results.json").read_text())
    digest = written.pop("hash")
    assert digest == hashlib.sha256(json.dumps(written, sort_keys=True).encode()).hexdigest()
    assert written.keys() == {
        *("@module", "@class", "version", "tasks", "user_metadata", "benchmark_name", "datestamp")
    }
    assert written["tasks"][NAME] == {
        "@module": "matbench.task",
        "@class": "MatbenchTask",
        "benchmark_name": "matbench_v0.1",
        "dataset_name": NAME,
        "results": task.results,
    }


def test_an_interrupted_run_is_resumed(task, tmp_path):
    fits = MeanRegressor.fits
    run_matbench(dataclasses.replace(task, results={}), MeanRegressor(), tmp_path)
    assert MeanRegressor.fits == fits + 5
    (tmp_path / "fold_3.json").unlink()
    again = dataclasses.replace(task, results={})
    run_matbench(again, MeanRegressor(), tmp_path)
    assert MeanRegressor.fits == fits + 6
    assert all(again.is_recorded.values())
    with pytest.raises(
        MismatchError, match=r"fold_0\.json: expected .*got .*'shift': 0.0.*another folder"
    ):
        run_matbench(dataclasses.replace(task, results={}), MeanRegressor(1.0), tmp_path)
    (tmp_path / "fold_0.json").write_text("{")
    with pytest.raises(InputError, match=r"fold_0\.json: cannot be read as predictions.*remove"):
        run_matbench(dataclasses.replace(task, results={}), MeanRegressor(), tmp_path)


def test_sites_on_each_other_are_refused_as_by_the_readers(content, write):
    structure = json.loads(json.dumps(content["data"][0][0]))
    structure["sites"][1]["abc"] = structure["sites"][0]["abc"]
    rows = [[structure, 1.0], *content["data"][1:]]
    with pytest.raises(StructureError, match=r"'mb-log-kvrh-01'.* apart"):
        MatbenchTask.load(write({**content, "data": rows}))


def test_incomplete_or_wrong_predictions_are_refused(task, tmp_path):
    with pytest.raises(InputError, match=r"got no record of \['fold_0'"):
        task.save(tmp_path / "results.json")
    for wrong in ([1.0], [1.0, np.nan, 2.0]):
        with pytest.raises(InputError, match="fold 0: expected 3 finite predictions"):
            task.record(0, wrong)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"columns": ["composition", "gap"]}, StructureError, 'the key "structure"'),
        ({"columns": ["structure"]}, StructureError, r"a value for each column of \['structure'\]"),
        ({"index": [0]}, StructureError, "expected 1 rows"),
        ({"data": 3}, StructureError, "expected a list of rows, got 3"),
        ({"data": [[{}, 1.0]] * 12}, StructureError, "'mb-log-kvrh-01'.*has no 'lattice'"),
    ],
)
def test_other_files_are_refused(content, write, change, error, message):
    with pytest.raises(error, match=message):
        MatbenchTask.load(write({**content, **change}))


def test_classification_tasks_are_refused(content, write):
    rows = [[structure, value > 0] for structure, value in content["data"]]
    with pytest.raises(InputError, match="finite numbers of one property, got 12 with classes"):
        MatbenchTask.load(write({**content, "data": rows}))


def test_the_command_runs_and_resumes_a_task(content, write, tmp_path, monkeypatch):
    monkeypatch.setattr("cgatjax.CGATRegressor", MeanRegressor)
    command = ("matbench", write(content), "--out", tmp_path / "out")
    options = ("--from", "runs/pbe", "--mode", "head", "--epochs", 7)
    output = ok(*command, *options)
    written = json.loads((tmp_path / "out" / "results.json").read_text())
    results = written["tasks"][NAME]["results"]
    assert sum(len(fold["data"]) for fold in results.values()) == 12
    parameters = results["fold_0"]["parameters"]
    assert parameters["start_from"] == "runs/pbe"
    assert (parameters["mode"], parameters["epochs"]) == ("head", 7)
    assert "verbose" not in parameters
    mean = np.mean([fold["scores"]["mae"] for fold in results.values()])
    assert f"mean    {mean:.5g}" in output
    fits = MeanRegressor.fits
    assert ok(*command, *options).splitlines()[-7:] == output.splitlines()[-7:]
    assert MeanRegressor.fits == fits
    assert "choose another folder" in refused(*command, *options, "--seed", 1)
