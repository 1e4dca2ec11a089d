"""Choice by cross-validation: scores from differences, averages, and the guard against harm."""

import numpy as np
import pytest

from cgatjax.adaptation.selection import Contender, choose, score, standard_error
from cgatjax.errors import InputError

N = 40
RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=N)
FORMULAS = [f"A{k}" for k in range(N)]
FOLDS = np.split(np.arange(N), 4)


def contender(name, errors, *, is_simple=False, known=slice(None)):
    means = np.full(N, np.nan)
    means[known] = (VALUES + errors)[known]
    return Contender(
        names=(name,),
        is_simple=is_simple,
        means=means,
        stds=np.full(N, np.nan),
        seconds=1.0,
        steps=0,
        folds=4,
        cheap=True,
    )


def alternating(size):
    """Errors of one size, with both signs, so that averages of equal ones gain nothing."""
    return size * np.resize([1.0, -1.0], N)


TREES = contender("trees", alternating(1.0), is_simple=True)


def test_the_best_candidate_is_chosen():
    choice = choose([TREES, contender("network", alternating(0.5))], VALUES, FORMULAS, FOLDS)
    assert choice.chosen.name == "network"
    assert choice.scores["network"].mae == pytest.approx(0.5)
    assert choice.scores["network"].gap == pytest.approx(-0.5)
    assert "50% (± 0%) better than trees" in choice.reason


def test_a_harmful_transfer_is_not_chosen():
    choice = choose([TREES, contender("network", alternating(1.5))], VALUES, FORMULAS, FOLDS)
    assert choice.chosen is TREES
    assert choice.reason.startswith("No network is better than trees")


def test_within_the_noise_the_simple_one_or_the_mean_is_chosen():
    network = contender("network", alternating(1.0) * np.resize([0.1, 1.5, 1.0, 0.9], N))
    gap = score(network, TREES, TREES, VALUES, np.arange(N))
    assert gap.gap_error < -gap.gap < 2 * gap.gap_error
    choice = choose([TREES, network], VALUES, FORMULAS, FOLDS)
    assert "trees" in choice.chosen.names
    assert "beyond the noise" in choice.reason


def test_opposite_errors_are_averaged():
    pair = [contender(name, s * alternating(0.5)) for name, s in (("one", 1), ("other", -1))]
    choice = choose([TREES, *pair], VALUES, FORMULAS, FOLDS)
    assert choice.chosen.name == "mean of one + other"
    assert choice.scores[choice.chosen.name].mae == pytest.approx(0, abs=1e-12)


def test_a_candidate_on_some_folds_is_placed_by_its_difference():
    """A fold of hard crystals must not make the candidate that ran on it alone look bad."""
    hard = np.where(np.arange(N) < 10, 4.0, 1.0)
    trees = contender("trees", alternating(1.0) * hard, is_simple=True)
    network = contender("network", alternating(0.9) * hard, known=slice(10))
    found = score(network, trees, trees, VALUES, np.arange(N))
    assert found.mae == pytest.approx(np.mean(hard) - 0.4)
    choice = choose([trees, network], VALUES, FORMULAS, FOLDS)
    assert choice.chosen is trees  # what did not run on all folds cannot be calibrated


def test_a_fold_is_predicted_by_the_choice_of_the_others():
    """The errors that calibrate a choice must not be those that it was made by."""
    lucky = np.where(np.arange(N) < 10, 0.0, 1.1)  # without the first fold it is the worse one
    two = [contender("steady", alternating(0.9)), contender("lucky", alternating(1.0) * lucky)]
    choice = choose([TREES, *two], VALUES, FORMULAS, FOLDS)
    assert "lucky" in choice.chosen.names
    error = np.abs(choice.means - VALUES)
    assert error[:10] == pytest.approx(0.9)
    assert error.mean() > choice.scores[choice.chosen.name].mae


def test_polymorphs_count_once():
    values = np.array([1.0, 1.0, 3.0, 3.0])
    once = standard_error(np.array([1.0, 3.0]), np.arange(2))
    assert standard_error(values, np.array([0, 0, 1, 1])) == pytest.approx(once)
    assert standard_error(values, np.zeros(4, int)) == np.inf


def test_without_a_simple_candidate_there_is_no_choice():
    with pytest.raises(InputError, match="expected a simple candidate"):
        choose([contender("network", alternating(1.0))], VALUES, FORMULAS, FOLDS)
