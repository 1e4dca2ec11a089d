"""Periodic tables of values."""

import numpy as np
import pytest

from cgatjax.errors import InputError, StructureError
from cgatjax.plotting.periodic_table import cell_of, element_means, periodic_table


@pytest.mark.parametrize(
    ("number", "cell"),
    [(1, (1, 1)), (2, (1, 18)), (5, (2, 13)), (12, (3, 2)), (21, (4, 3)), (36, (4, 18)),
     (57, (9, 4)), (70, (9, 17)), (71, (6, 3)), (72, (6, 4)), (86, (6, 18)), (90, (10, 5)),
     (103, (7, 3)), (118, (7, 18))],
)  # fmt: skip
def test_positions_of_elements(number, cell):
    assert cell_of(number) == cell


def test_no_two_elements_share_a_cell():
    assert len({cell_of(z) for z in range(1, 119)}) == 118


def test_periodic_table_shows_the_given_values():
    figure = periodic_table({"O": 1000, "Ti": 10}, label="crystals", log=True)
    texts = [t.get_text() for t in figure.axes[0].texts]
    assert {"1e+03", "10", "Fe"} <= set(texts)
    assert figure.axes[1].get_ylabel() == "crystals"
    assert len(figure.axes[0].patches) == 103


def test_invalid_values_are_refused():
    with pytest.raises(InputError, match="positive"):
        periodic_table({"O": 0.0}, log=True)
    with pytest.raises(InputError, match="none"):
        periodic_table({})
    with pytest.raises(StructureError, match="Xx"):
        periodic_table({"Xx": 1.0})


def test_means_by_element_by_hand():
    means = element_means(np.array([1.0, 3.0, np.nan]), [["O", "Ti"], ["O"], ["Fe"]])
    assert means == {"O": 2.0, "Ti": 1.0}
    with pytest.raises(InputError, match="elements of 1"):
        element_means(np.ones(1), [])
