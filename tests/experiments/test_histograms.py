"""Histograms of the study's data."""

import numpy as np
import pytest
from experiments.grid.histograms import histograms

from cgatjax.errors import InputError


def test_histograms_share_bins_and_count_all_values():
    values = {"PBE": np.array([0.0, 0.1, 1.0, np.nan]), "SCAN": np.array([2.0])}
    figure = histograms(values, name="gap", unit="eV", bins=4)
    counts, shares = figure.axes
    heights = [p.get_data().values for p in counts.patches[::2]]
    np.testing.assert_array_equal(heights, [[2, 0, 1, 0], [0, 0, 0, 1]])
    assert counts.get_yscale() == "log"
    assert shares.get_lines()[0].get_ydata()[-1] == 1
    assert figure.legends[0].get_texts()[0].get_text() == "PBE (n = 3)"
    assert counts.get_xlabel() == "gap (eV)"
    with pytest.raises(InputError, match=r"\['empty'\]"):
        histograms({"empty": np.array([np.nan])})
