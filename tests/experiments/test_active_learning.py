"""Active learning: order of the rounds, rounds done once, comparison with random choice."""

import dataclasses

import numpy as np
import pytest
from experiments.active_learning import LOOPS, verdict
from experiments.grid.acquisition import ACQUISITIONS, Learned, Study, run_rounds

LOOP = dataclasses.replace(LOOPS["smoke"], start=4, batch=2, rounds=2)


class FakeSet:
    """Training set of twenty crystals with ids a to t."""

    ids = tuple("abcdefghijklmnopqrst")


class FakeLearner:
    """Learner with errors of 1 / n; acquires the last remaining ids of the alphabet."""

    train = FakeSet()

    def __init__(self):
        self.asked = []

    def learn(self, ids):
        self.asked.append(tuple(ids))

        def acquire(by, count):
            return [name for name in reversed(FakeSet.ids) if name not in ids][:count]

        errors = np.array([1.0, 2.0, 3.0]) / len(ids)
        return Learned(means=errors, stds=errors, acquire=acquire)


def study(learner, seed=0):
    return Study(name="fake", seed=seed, base=["fake"], learner=learner, values=np.zeros(3))


def test_all_acquisitions_start_from_the_same_crystals_and_are_tested_after_each_batch(tmp_path):
    learner = FakeLearner()
    rows = list(run_rounds(study(learner), LOOP, tmp_path))
    assert [(r["way"], r["n_train"]) for r in rows] == [
        (by, n) for by in ACQUISITIONS for n in (4, 6, 8)
    ]
    assert all(row["mae"] == pytest.approx(2 / row["n_train"]) for row in rows)
    assert all(row["rank"] == pytest.approx(1) for row in rows)
    start = learner.asked[0]
    assert all(len(set(ids)) == len(ids) and ids[:4] == start for ids in learner.asked)
    chosen = [name for name in reversed(FakeSet.ids) if name not in start][:4]
    assert (*start, *chosen) in learner.asked
    assert len({row["key"] for row in rows}) == len(rows)


def test_rounds_are_done_once_and_seeds_start_from_different_crystals(tmp_path):
    first, again, other = FakeLearner(), FakeLearner(), FakeLearner()
    rows = list(run_rounds(study(first), LOOP, tmp_path))
    assert list(run_rounds(study(again), LOOP, tmp_path)) == rows
    assert again.asked == []
    list(run_rounds(study(other, seed=1), LOOP, tmp_path))
    assert set(other.asked[0]) != set(first.asked[0])


def errors(**differences):
    """Errors of three seeds: 120 at first, then 100 at random; others by their differences."""
    base = {200: dict.fromkeys(range(3), 120.0), 300: dict.fromkeys(range(3), 100.0)}
    found = dict.fromkeys(ACQUISITIONS, base)
    for by, values in differences.items():
        found[by] = {200: base[200], 300: {s: 100 + d for s, d in enumerate(values)}}
    return found


def test_a_verdict_needs_a_difference_beyond_the_spread_of_seeds():
    """Three seeds: 4.303 standard errors of the mean are the 95 % interval."""
    found = errors(uncertainty=[-9, -10, -11], diversity=[5, -6, 7], both=[3, 4, 5])
    words = [verdict(by, found, "meV/atom") for by in ACQUISITIONS[1:]]
    assert "-10.0 %" in words[0]
    assert words[0].endswith("(-10 ± 2.5 meV/atom: better).")
    assert "no difference beyond the seeds" in words[1]
    assert words[2].endswith("worse).")
    found["both"] = {200: {0: 120.0}, 300: {0: 90.0}}
    assert "1 seeds (undecided with one seed)" in verdict("both", found, "meV/atom")
    found["both"] = {}
    assert verdict("both", found, "meV/atom") == ""
