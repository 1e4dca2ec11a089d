"""Training figures: numbers, units and labels."""

import sys

import numpy as np
import pytest

from cgatjax.errors import InputError
from cgatjax.plotting.learning_plots import (
    Bars,
    learning_curves,
    parity,
    transfer_bars,
    transfer_panels,
)

ROWS = [
    {"epoch": 1, "valid_mae:e-form": 0.5},
    {"epoch": 2, "valid_mae:e-form": None},
    {"epoch": 3, "valid_mae:e-form": 0.25},
]


def test_learning_curves_draw_the_measured_epochs_only():
    axes = learning_curves({"full": ROWS, "none": ROWS[:1]}, unit="eV/atom").axes[0]
    full, none = axes.get_lines()
    np.testing.assert_array_equal(full.get_xydata(), [[1, 0.5], [3, 0.25]])
    assert len(none.get_xydata()) == 1
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["full", "none"]
    assert axes.get_ylabel() == "validation MAE (eV/atom)"
    assert axes.get_xlabel() == "epoch"
    assert axes.get_yscale() == "log"
    first = {"epoch": 0, "valid_mae:e-form": 0.75}
    axes = learning_curves({"full": [first, *ROWS]}).axes[0]
    assert axes.get_xlabel() == "epoch (0: before training)"
    assert all(tick == int(tick) for tick in axes.get_xticks())


def test_learning_curves_accept_a_full_column_name():
    rows = [{"epoch": 1, "valid_mae:a": 1.0, "valid_mae:b": 2.0}]
    line = learning_curves({"run": rows}, "valid_mae:b").axes[0].get_lines()[0]
    assert line.get_ydata() == [2.0]


def test_a_missing_column_is_refused():
    with pytest.raises(InputError, match=r"'valid_rmse'.*valid_mae:e-form"):
        learning_curves({"run": ROWS}, "valid_rmse")


def test_parity_shows_equal_axes_the_diagonal_and_the_error_of_known_rows():
    target, prediction = np.array([0.0, 1.0, np.nan]), np.array([0.5, 1.0, 7.0])
    axes = parity(target, prediction, "eV", "gaps").axes[0]
    assert axes.get_xlim() == axes.get_ylim()
    assert axes.get_aspect() == 1.0
    points = axes.collections[0].get_offsets()
    np.testing.assert_array_equal(points, [[0, 0.5], [1, 1]])
    assert "0.25 eV" in axes.texts[0].get_text()
    assert "2 crystals" in axes.texts[0].get_text()
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("target (eV)", "prediction (eV)")


def test_parity_names_the_two_largest_errors():
    target, prediction = np.array([0.0, np.nan, 1.0, 2.0]), np.array([0.5, 9.0, 1.1, 1.0])
    axes = parity(target, prediction, ids=["a", "b", "c", "d"]).axes[0]
    assert [text.get_text() for text in axes.texts[1:]] == ["d", "a"]
    assert len(parity(target, prediction).axes[0].texts) == 1


def test_parity_of_one_value_has_a_margin():
    low, high = parity(np.ones(1), np.ones(1)).axes[0].get_xlim()
    assert low < 1 < high


def test_parity_needs_a_known_row():
    with pytest.raises(InputError, match="at least one crystal"):
        parity(np.array([np.nan]), np.array([1.0]))


def test_bars_are_labeled_with_their_numbers():
    axes = transfer_bars({"none": 24.0, "full": 16.0}, "meV/atom", "SCAN").axes[0]
    assert [bar.get_height() for bar in axes.patches] == [24, 16]
    assert [t.get_text() for t in axes.texts] == ["24", "16"]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["none", "full"]
    assert axes.get_ylabel() == "test MAE (meV/atom)"


def test_bars_of_several_properties_show_means_and_seeds():
    panels = [Bars({"none": [24.0, 26.0], "full": [16.0]}, "meV/atom", "a"), Bars({"none": 1.0})]
    first, second = transfer_panels(panels).axes
    assert [bar.get_height() for bar in first.patches] == [25, 16]
    assert [line.get_ydata().tolist() for line in first.get_lines()] == [[24, 26]]
    assert first.get_title() == "a"
    assert first.get_ylabel() == "test MAE (meV/atom)"
    assert [bar.get_height() for bar in second.patches] == [1]
    assert not second.get_lines()


def test_empty_bars_are_refused():
    for panels in ([], [Bars({})]):
        with pytest.raises(InputError, match="got none"):
            transfer_panels(panels)


def test_long_titles_are_wrapped_and_a_single_epoch_is_marked():
    title = "a title that is much longer than the figure is wide, as titles of targets may be"
    figure = learning_curves({"run": ROWS[:1]}, title=title)
    assert figure.axes[0].get_title().replace("\n", " ") == title
    assert max(map(len, figure.axes[0].get_title().split("\n"))) < 60
    assert figure.axes[0].get_lines()[0].get_marker() == "o"


def test_figures_need_no_display_and_leave_pyplot_alone(tmp_path):
    before = "matplotlib.pyplot" in sys.modules
    figure = transfer_bars({"a": 1.0})
    for name in ("figure.png", "figure.svg", "figure.pdf"):
        figure.savefig(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 1000
    assert ("matplotlib.pyplot" in sys.modules) == before
