"""Comparison figures: changes in percent, intervals, colors by verdict."""

import math

import pytest

from cgatjax.analysis.seeds import Comparison
from cgatjax.errors import InputError
from cgatjax.plotting.comparison_plots import VERDICT_COLORS, comparison_figure

FOUND = {
    "gain": Comparison(change=-0.2, low=-0.3, high=-0.1),
    "loss": Comparison(change=0.1, low=0.05, high=0.15),
    "one seed": Comparison(change=0.0, low=-1.0, high=math.inf),
}


def test_changes_and_intervals_are_drawn_in_percent_in_their_order():
    axes = comparison_figure({"a": FOUND, "b": FOUND}, "test RMSE").axes
    assert [panel.get_title() for panel in axes] == ["a", "b"]
    assert axes[0].get_xlabel() == "change of the test RMSE, %"
    assert [label.get_text() for label in axes[0].get_yticklabels()] == list(FOUND)
    lines = axes[0].get_lines()[1:]  # the first line marks no change
    assert [list(line.get_xdata()) for line in lines] == [
        pytest.approx(values) for values in ([-30, -10], [-20], [5, 15], [10], [0])
    ]
    verdicts = ("better", "better", "worse", "worse", "undecided")
    assert [line.get_color() for line in lines] == [VERDICT_COLORS[v] for v in verdicts]
    assert axes[0].get_ylim()[0] > axes[0].get_ylim()[1], "the first comparison is at the top"


@pytest.mark.parametrize("panels", [{}, {"a": {}}])
def test_empty_panels_are_refused(panels):
    with pytest.raises(InputError, match="at least one comparison"):
        comparison_figure(panels)
