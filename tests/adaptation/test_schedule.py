"""Schedule of an adaptation: which candidates run on which folds."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from cgatjax.adaptation import schedule as schedule_module
from cgatjax.adaptation.candidates import Fitted
from cgatjax.adaptation.schedule import Schedule

N, FOLDS = 80, 4


@dataclass(frozen=True)
class Known:
    """Candidate of which the errors are known."""

    name: str
    error: float
    cost: str = "minutes"
    is_simple: bool = False
    is_required: bool = False
    start: str = ""

    def seconds(self, crystals):
        return 1e-3

    def fit(self, data, seed):
        return Fitted(part=None, steps=100)

    def hidden_std(self, means):
        return 0.0

    def predict(self, part, data):
        errors = np.random.default_rng(len(self.name)).uniform(0.5, 1.5, N)
        return self.error * errors[data.rows], np.full(len(data.rows), np.nan)


class Rows(SimpleNamespace):
    """Crystals that are numbers of rows alone."""

    def __len__(self):
        return len(self.rows)

    def select(self, rows):
        return Rows(rows=self.rows[rows])


@pytest.fixture
def schedule(tmp_path, monkeypatch):
    """Schedule of crystals whose values are zero; results are kept in memory."""
    kept = {}
    monkeypatch.setattr(
        schedule_module,
        "save_result",
        lambda out, result, part: kept.update({(result.candidate, result.fold): result}),
    )
    monkeypatch.setattr(
        schedule_module, "load_result", lambda out, candidate, fold: kept.get((candidate, fold))
    )
    folds = tuple(np.arange(N).reshape(FOLDS, -1))
    task = SimpleNamespace(
        pool=Rows(rows=np.arange(N)),
        values=np.zeros(N),
        folds=folds,
        seed=0,
        training=lambda fold: np.delete(np.arange(N), folds[fold]),
    )
    return Schedule(task=task, out=tmp_path, seconds=1e6, note=lambda text: None)


def test_networks_that_are_no_worse_run_on_all_folds_in_their_order(schedule):
    found = schedule.run([
        Known("trees", 1.2, cost="seconds", is_simple=True),
        Known("third", 1.4),
        Known("first", 0.7),
        Known("second", 0.7),
        Known("another", 0.69),
    ])  # fmt: skip
    assert {c.name: c.folds for c in found if c.folds < 4} == {"third": 1, "another": 1}
    assert schedule.left_out == {
        "third": "worse than first on the first fold",
        "another": "first and second come first",
    }


def test_no_third_network_runs_on_all_folds(schedule):
    found = schedule.run([Known(f"network {i}", 1.0) for i in range(4)])
    assert [c.folds for c in found] == [4, 4, 1, 1]
    reason = "network 0 and network 1 come first"
    assert schedule.left_out == {"network 2": reason, "network 3": reason}
    assert sum(c.steps for c in found) == 100 * 10


def test_networks_behind_a_cheap_candidate_stop(schedule):
    found = schedule.run([Known("head", 0.5, cost="seconds"), Known("all", 1.0)])
    assert {c.name: c.folds for c in found} == {"head": 4, "all": 1}
    assert schedule.left_out == {"all": "worse than head on the first fold"}


def test_whole_networks_start_from_one_source(schedule):
    """From the first whose cheap candidates are as good as any, and from scratch, at the end."""
    candidates = [
        Known("a head of a", 1.0, cost="seconds", start="a"),
        Known("head of b", 0.98, cost="seconds", start="b"),
        Known("from scratch", 5.0),
        Known("all of a", 0.9, start="a"),
        Known("all of b", 0.9, start="b"),
    ]
    assert {c.name: c.folds for c in schedule.run(candidates)} == {
        "a head of a": 4,
        "head of b": 4,
        "from scratch": 1,
        "all of a": 4,
    }
    assert schedule.left_out["all of b"] == "whole networks start from a"


def test_whole_networks_start_from_the_better_source(schedule):
    found = schedule.run([
        Known("head of a", 2.0, cost="seconds", start="a"),
        Known("trees on the rest of b", 1.0, cost="seconds", start="b"),
        Known("process on b", 3.0, cost="seconds", start="b"),
        Known("all of a", 0.9, start="a"),
        Known("all of b", 0.9, start="b"),
    ])  # fmt: skip
    assert "all of a" not in {c.name for c in found}
    assert schedule.left_out == {"all of a": "whole networks start from b"}


def test_what_starts_from_nothing_comes_last(schedule):
    ran = []
    schedule.note = ran.append
    schedule.run([Known("scratch", 1.0), Known("all", 1.0, start="a")])
    assert [text.split(",")[0] for text in ran[:2]] == ["all", "scratch"]
