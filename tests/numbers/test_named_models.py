"""Models that come with the package predict what their authors stored."""

import pytest

import cgatjax as cg
from cgatjax.pretrained.locations import shipped
from cgatjax.pretrained.self_check import verify

BOUND = 1e-4
"""Largest difference, in standard deviations of the target; sums in another order make 1e-5."""


@pytest.mark.parametrize("name", sorted(cg.models()))
def test_named_models_predict_what_their_authors_stored(name):
    assert verify(shipped()[name]).difference < BOUND
