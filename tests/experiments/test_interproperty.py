"""What is said of transfer between properties."""

from experiments.interproperty import comparisons
from experiments.scales import SCALES


def crossed(targets, seed, way, valid, test):
    """A row of `interproperty`; errors are in units in which the tests' numbers are round."""
    plain = {"targets": targets.name, "seed": seed, "way": way}
    return {**plain, "valid_mae": valid, "test_mae": test / targets.factor}


def crossings_of(scratch, moved):
    """The rows of one pair: test errors by seed, from scratch and at the recipe to be chosen."""
    pair = SCALES["smoke"]().crossings[0]
    rows = []
    for seed, (one, other) in enumerate(zip(scratch, moved, strict=True)):
        rows += [
            crossed(pair, seed, "none", 0.5, one),
            crossed(pair, seed, "refit x1", 0.4, other),
            crossed(pair, seed, "refit x0.1", 0.6, 0.1),
            crossed(pair, seed, "refit x0.01", 0.7, 0.1),
            crossed(pair, seed, "refit x1, decay 1e-4", 0.5, 0.2),
            crossed(pair, seed, "refit x1, decay 1e-2", 0.5, 0.2),
        ]
    return [pair], rows


def test_verdicts_are_at_the_recipe_that_validation_chooses():
    spread, found = comparisons(*crossings_of([1.0, 1.01, 1.02], [0.8, 0.81, 0.8]))
    assert spread.freedom == 4
    (one,) = found  # none for the normalizer whose recipes are not done
    text = one.text()
    assert "normalizer refit: 0.803 against 1.01 A^3/atom from scratch (-20%, " in text
    assert text.endswith(": better).")
    _, (one,) = comparisons(*crossings_of([0.8, 0.81], [1.0, 1.01]))
    assert one.change.verdict == "worse"
    _, (one,) = comparisons(*crossings_of([0.8, 1.2], [0.9, 1.0]))
    assert one.change.verdict == "undecided"


def test_one_seed_decides_nothing_and_unfinished_recipes_say_nothing():
    (pair,), rows = crossings_of([1.0], [0.5])
    spread, (one,) = comparisons([pair], rows)
    assert "nothing is known" in spread.text()
    assert "(-50%, one seed decides nothing)" in one.text()
    assert comparisons([pair], rows[:-1])[1] == []
