"""Figures of residuals by element and by number of sites."""

import itertools

import numpy as np
import pytest

from cgatjax.errors import InputError
from cgatjax.plotting.residual_plots import residuals_by_element, residuals_by_sites, size_groups


def test_residuals_by_element_are_means_of_absolute_errors():
    figure = residuals_by_element(
        np.array([0.1, -0.3, np.nan]), [["O", "Ti"], ["O"], ["Fe"]], "eV/atom"
    )
    texts = [t.get_text() for t in figure.axes[0].texts]
    assert {"0.2", "0.1"} <= set(texts)
    counts = {t.get_text() for t in figure.axes[0].texts if t.get_ha() == "right"}
    assert counts == {"2", "1", ""}
    assert figure.axes[1].get_ylabel() == "mean absolute error (eV/atom)"
    residuals_by_element(np.array([0.0, 5.0]), [["O"], ["Ti"]])
    with pytest.raises(InputError, match="got none"):
        residuals_by_element(np.array([np.nan]), [["O"]])


def test_residuals_by_sites_by_hand():
    residuals = np.array([-1.0, 0.0, 1.0, 4.0, np.nan])
    figure = residuals_by_sites(residuals, np.array([2, 2, 2, 8, 8]), "eV", "gaps")
    axes = figure.axes[0]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["2\n(3)\n0.67", "8\n(1)\n4"]
    assert axes.get_xlabel().endswith("mean |error| (eV)")
    assert axes.get_ylabel() == "prediction - target (eV)"
    with pytest.raises(InputError, match="got none"):
        residuals_by_sites(np.array([np.nan]), np.array([1]))
    with pytest.raises(InputError, match="sites of 1 crystals, got 2"):
        residuals_by_sites(np.array([1.0]), np.array([1, 2]))


def test_many_sizes_share_boxes():
    sizes = np.repeat(np.arange(1, 101), 3)
    groups = size_groups(sizes)
    assert len(groups) == 12
    assert groups[0][0] == 1
    assert groups[-1][1] == 100
    assert all(a[1] + 1 == b[0] for a, b in itertools.pairwise(groups))
    skewed = size_groups(np.concatenate([np.full(10_000, 5), np.arange(1, 40)]))
    assert skewed[0][0] == 1
    assert skewed[-1][1] == 39
