"""Interval, hull distance and doubtful elements of hits."""

import numpy as np
import pytest
from scipy.stats import norm

from cgatjax.inference.predictor import Predictor
from cgatjax.model.training_record import TrainingRecord
from cgatjax.preprocessing.hull import KnownHull
from cgatjax.screening.hit_rows import LEVEL, RARE, HitRows

SALT = ((11, 1), (17, 1))


UNKNOWN = {"unit": "eV/atom", "std_note": "made up"}


def columns(rows: HitRows, formulas, mean, std) -> dict:
    """Columns of hits that are named by their formulas."""
    return rows(formulas, formulas, np.array(mean), np.array(std)).to_pydict()


def test_the_interval_holds_its_level() -> None:
    found = columns(HitRows(**UNKNOWN), ["NaCl", "KBr"], [1.0, 1.0], [2.0, np.nan])
    inside = norm.cdf(found["upper"][0], 1, 2) - norm.cdf(found["lower"][0], 1, 2)
    assert inside == pytest.approx(LEVEL, abs=1e-12)
    assert (found["std"][1], found["lower"][1], found["upper"][1]) == (None, None, None)


def test_distances_to_the_hull_of_known_phases() -> None:
    rows = HitRows(**UNKNOWN, hull=KnownHull([SALT], [-2.0]))
    formulas, means = ["Na3Cl", "NaCl", "KBr", "Na"], [-1.0, -2.5, 0.3, 0.25]
    found = columns(rows, formulas, means, [np.nan] * 4)
    # Na3Cl against half NaCl and sodium at -1; nothing but the elements competes with KBr.
    np.testing.assert_allclose(found["hull_distance"], [0.0, -0.5, 0.3, 0.25], atol=1e-9)
    assert columns(HitRows(**UNKNOWN), ["NaCl"], [0.0], [1.0])["hull_distance"] == [None]


def test_unseen_and_rare_elements(model) -> None:
    training, pretraining = np.full(104, 3), np.full(104, RARE - 3)
    training[[8, 38]], pretraining[[8, 22]] = 0, 0
    record = TrainingRecord(training=training, pretraining=pretraining)
    many = model.replace(record=TrainingRecord(training=np.full(104, 99)))
    predictor = Predictor.of([many, model.replace(record=record)])  # the fewest of any member
    rows = HitRows.of(predictor, None, predictor.targets[0])
    found = columns(rows, ["SrTiO3", "NaCl"], [0.0, 0.0], [1.0, 1.0])
    assert found["unseen_elements"] == ["O", None]
    assert found["rare_elements"] == ["O Ti Sr", None]
    assert found["out_of_distribution"] == [True, False]


def test_without_a_record_nothing_is_called_rare(model) -> None:
    predictor = Predictor.of(model.replace(record=None))
    rows = HitRows.of(predictor, None, predictor.targets[0])
    found = columns(rows, ["SrTiO3"], [0.0], [1.0])
    for name in ("unseen_elements", "rare_elements", "out_of_distribution"):
        assert found[name] == [None]
