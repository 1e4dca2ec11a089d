"""Transfer between properties: recipe chosen by validation error, and verdicts."""

from experiments.interproperty import comparisons
from experiments.scales import SCALES


def finished_row(targets, seed, way, valid, test):
    """Row of the results; `test` is in the unit shown."""
    plain = {"targets": targets.name, "seed": seed, "way": way}
    return {**plain, "valid_mae": valid, "test_mae": test / targets.factor}


def pair_and_rows(scratch, moved):
    """One pair and its rows, from test errors by seed: from scratch, and at the best recipe."""
    pair = SCALES["smoke"]().property_pairs[0]
    rows = []
    for seed, (one, other) in enumerate(zip(scratch, moved, strict=True)):
        rows += [
            finished_row(pair, seed, "none", 0.5, one),
            finished_row(pair, seed, "refit x1", 0.4, other),
            finished_row(pair, seed, "refit x0.1", 0.6, 0.1),
            finished_row(pair, seed, "refit x0.01", 0.7, 0.1),
            finished_row(pair, seed, "refit x1, decay 1e-4", 0.5, 0.2),
            finished_row(pair, seed, "refit x1, decay 1e-2", 0.5, 0.2),
        ]
    return [pair], rows


def test_verdicts_use_the_recipe_with_the_lowest_validation_error():
    spread, found = comparisons(*pair_and_rows([1.0, 1.01, 1.02], [0.8, 0.81, 0.8]))
    assert spread.freedom == 4
    (one,) = found  # none for "keep", whose recipes are not finished
    text = one.text()
    assert "normalizer refit: 0.803 against 1.01 A^3/atom from scratch (-20%, " in text
    assert text.endswith(": better).")
    _, (one,) = comparisons(*pair_and_rows([0.8, 0.81], [1.0, 1.01]))
    assert one.change.verdict == "worse"
    _, (one,) = comparisons(*pair_and_rows([0.8, 1.2], [0.9, 1.0]))
    assert one.change.verdict == "undecided"


def test_one_seed_is_undecided_and_unfinished_recipes_have_no_verdict():
    (pair,), rows = pair_and_rows([1.0], [0.5])
    spread, (one,) = comparisons([pair], rows)
    assert "spread over seeds is unknown" in spread.text()
    assert "(-50%, one seed decides nothing)" in one.text()
    assert comparisons([pair], rows[:-1])[1] == []
