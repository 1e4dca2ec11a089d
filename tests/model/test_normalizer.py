import numpy as np
import pytest

from cgatjax.errors import TargetError
from cgatjax.model.normalizer import Normalizer


def test_mean_and_sample_deviation_of_the_known_values():
    found = Normalizer.fit(np.array([1.0, np.nan, 2.0, 6.0, np.inf]))
    assert found.mean == 3.0
    assert found.std == pytest.approx(7.0**0.5)  # (4 + 1 + 9) / (3 - 1)


def test_too_few_or_equal_values_are_errors():
    with pytest.raises(TargetError, match=r"'gap': expected at least 2 known values.*got 1"):
        Normalizer.fit(np.array([1.0, np.nan]), "gap")
    with pytest.raises(TargetError, match=r"'gap': all 3 training values are 1\.5; nothing"):
        Normalizer.fit(np.full(3, 1.5), "gap")
