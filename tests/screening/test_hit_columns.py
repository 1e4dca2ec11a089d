"""Interval, hull distance and doubtful elements of hits."""

import numpy as np
import pytest
from scipy.stats import norm

from cgatjax.inference.predictor import Predictor
from cgatjax.model.training_record import TrainingRecord
from cgatjax.preprocessing.hull import KnownHull
from cgatjax.screening.hit_columns import LEVEL, RARE, HitJudge

SALT = ((11, 1), (17, 1))


def test_the_interval_holds_its_level() -> None:
    found = HitJudge(None, None)(["NaCl"], np.array([1.0]), np.array([2.0]))
    inside = norm.cdf(found.upper, 1, 2) - norm.cdf(found.lower, 1, 2)
    assert inside == pytest.approx(LEVEL, abs=1e-12)
    none = HitJudge(None, None)(["NaCl"], np.array([1.0]), np.array([np.nan]))
    assert np.isnan(none.lower).all()


def test_distances_to_the_hull_of_known_phases() -> None:
    judge = HitJudge(None, KnownHull([SALT], [-2.0]))
    means = np.array([-1.0, -2.5, 0.3, 0.25])
    found = judge(["Na3Cl", "NaCl", "KBr", "Na"], means, means * np.nan)
    # Na3Cl against half NaCl and sodium at -1; nothing but the elements competes with KBr.
    np.testing.assert_allclose(found.hull_distance, [0.0, -0.5, 0.3, 0.25], atol=1e-9)
    assert np.isnan(HitJudge(None, None)(["NaCl"], means[:1], means[:1]).hull_distance).all()


def test_unseen_and_rare_elements(model) -> None:
    training, pretraining = np.full(104, 3), np.full(104, RARE - 3)
    training[[8, 38]], pretraining[[8, 22]] = 0, 0
    record = TrainingRecord(training=training, pretraining=pretraining)
    many = model.replace(record=TrainingRecord(training=np.full(104, 99)))
    predictor = Predictor.of([many, model.replace(record=record)])  # the fewest of any member
    found = HitJudge.of(predictor, None, predictor.targets[0])(
        ["SrTiO3", "NaCl"], np.zeros(2), np.ones(2)
    )
    assert found.recorded
    assert found.unseen == [["O"], []]
    assert found.rare == [["O", "Ti", "Sr"], []]


def test_without_a_record_nothing_is_called_rare(model) -> None:
    predictor = Predictor.of(model.replace(record=None))
    judge = HitJudge.of(predictor, None, predictor.targets[0])
    found = judge(["SrTiO3"], np.zeros(1), np.ones(1))
    assert not found.recorded
    assert (found.unseen, found.rare) == ([[]], [[]])
