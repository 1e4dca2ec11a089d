"""The rounds of active learning: who is asked what, nothing learned twice, fair verdicts."""

import dataclasses

import numpy as np
import pytest
from experiments.active_learning import CHOICES, LOOPS, WAYS, Study, rounds, verdict
from experiments.learners import Learned

LOOP = dataclasses.replace(LOOPS["smoke"], start=4, batch=2, rounds=2)


class FakeSet:
    """Twenty crystals with ids a to t."""

    ids = tuple("abcdefghijklmnopqrst")


class FakeLearner:
    """Knows more crystals, errs less; chooses the last ones of the alphabet that are left."""

    train = FakeSet()

    def __init__(self):
        self.asked = []

    def learn(self, ids):
        self.asked.append(tuple(ids))

        def choose(way, count):
            return [name for name in reversed(FakeSet.ids) if name not in ids][:count]

        errors = np.array([1.0, 2.0, 3.0]) / len(ids)
        return Learned(means=errors, stds=errors, choose=choose)


def study(learner, seed=0):
    return Study(name="fake", seed=seed, base=["fake"], learner=learner, values=np.zeros(3))


def test_every_way_starts_alike_grows_by_batches_and_is_judged_after_each(tmp_path):
    learner = FakeLearner()
    rows = list(rounds(study(learner), LOOP, tmp_path))
    assert [(r["way"], r["n_train"]) for r in rows] == [(w, n) for w in WAYS for n in (4, 6, 8)]
    assert all(row["mae"] == pytest.approx(2 / row["n_train"]) for row in rows)
    assert all(row["rank"] == pytest.approx(1) for row in rows)
    start = learner.asked[0]
    assert all(len(set(ids)) == len(ids) and ids[:4] == start for ids in learner.asked)
    chosen = [name for name in reversed(FakeSet.ids) if name not in start][:4]
    assert (*start, *chosen) in learner.asked
    assert len({row["key"] for row in rows}) == len(rows)


def test_nothing_is_learned_twice_and_seeds_draw_differently(tmp_path):
    first, again, other = FakeLearner(), FakeLearner(), FakeLearner()
    rows = list(rounds(study(first), LOOP, tmp_path))
    assert list(rounds(study(again), LOOP, tmp_path)) == rows
    assert again.asked == []
    list(rounds(study(other, seed=1), LOOP, tmp_path))
    assert set(other.asked[0]) != set(first.asked[0])


def errors(**differences):
    """Random choice errs by 100 after a start of 120, in three seeds; others differ from it."""
    base = {200: dict.fromkeys(range(3), 120.0), 300: dict.fromkeys(range(3), 100.0)}
    found = dict.fromkeys(WAYS, base)
    for way, values in differences.items():
        found[way] = {200: base[200], 300: {s: 100 + d for s, d in enumerate(values)}}
    return found


def test_a_verdict_needs_more_than_the_seeds_leave_open():
    """Three seeds: 4.303 standard errors of the mean are the 95 % interval."""
    found = errors(uncertainty=[-9, -10, -11], diversity=[5, -6, 7], both=[3, 4, 5])
    words = [verdict(way, found, "meV/atom") for way in CHOICES]
    assert "-10.0 %" in words[0]
    assert words[0].endswith("(-10 ± 2.5 meV/atom: better).")
    assert "no difference beyond the seeds" in words[1]
    assert words[2].endswith("worse).")
    found["both"] = {200: {0: 120.0}, 300: {0: 90.0}}
    assert "1 seeds (one seed decides nothing)" in verdict("both", found, "meV/atom")
    found["both"] = {}
    assert verdict("both", found, "meV/atom") == ""
