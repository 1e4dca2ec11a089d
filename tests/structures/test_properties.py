import math

import numpy as np
import pytest

from cgatjax.errors import InputError, StructureError
from cgatjax.structures.properties import (
    check_target_names,
    crystal_id,
    finite_or_nan,
    select_properties,
    unit_of,
)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("e-form", "eV/atom"),
        ("e_form", "eV/atom"),
        ("e-form_pbe", "eV/atom"),
        ("e-form@SCAN", "eV/atom"),
        ("e_above_hull_new@my_label", "eV/atom"),
        ("volume", "A^3/atom"),
        ("volume_pbe", "A^3/atom"),
        ("band_gap_ind", "eV"),
        ("dir_gap_gllbsc_eV", "eV"),
        ("heat_ref_eV_per_atom", "eV/atom"),
        ("heat_all_eV", "eV"),
        ("direct-gap", "eV"),
        ("total_mag", ""),
        ("energy", ""),
        ("singapore", ""),
        ("energy_total", "eV/cell"),
        ("energy_corrected", "eV/cell"),
        ("formation_energy_per_atom", "eV/atom"),
        ("formation_energy_peratom", "eV/atom"),
        ("moment_per_atom", ""),
        ("optb88vdw_bandgap", "eV"),
        ("", ""),
    ],
)
def test_units(name, unit):
    assert unit_of(name) == unit


@pytest.mark.parametrize(
    "value",
    [
        None,
        "1.0 eV",
        "1e999",
        "n/a",
        True,
        False,
        math.nan,
        math.inf,
        [1.0],
        10**400,
        np.array([1.0]),
    ],
)
def test_other_values_than_finite_numbers_are_nan(value):
    assert math.isnan(finite_or_nan(value))


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), np.int64(2), np.float64(2)])
def test_numbers_of_any_type(value):
    assert finite_or_nan(value) == 2.0
    assert type(finite_or_nan(value)) is float


VALUES = {"gap": 1.5, "steps": "3", "metal": True, "id": 7, "spg": 225, "formula": "NaCl"}


def test_all_numbers_or_the_named_ones():
    found = select_properties({**VALUES, "bad": math.nan, "none": None}, None)
    assert found == {"gap": 1.5, "steps": 3.0}
    assert select_properties(VALUES, ["spg"]) == {"spg": 225.0}
    asked = select_properties(VALUES, ["metal", "gap", "absent"])
    assert list(asked) == ["metal", "gap", "absent"]
    np.testing.assert_equal(list(asked.values()), [math.nan, 1.5, math.nan])


def test_a_named_target_that_is_text_is_refused():
    with pytest.raises(StructureError, match="'formula': expected a number, got 'NaCl'"):
        select_properties(VALUES, ["formula"])


@pytest.mark.parametrize("names", ["e-form", [1], ["a", "a"]])
def test_bad_target_names(names):
    with pytest.raises(InputError, match="targets"):
        check_target_names(names)


def test_ids_in_order_of_preference():
    assert crystal_id({"mat_id": "c", "id": "b", "entry_id": "a"}, "-") == "a"
    assert crystal_id({"mat_id": "c", "id": "b", "entry_id": None}, "-") == "b"
    assert crystal_id({"mat_id": 12, "id": ""}, "-") == "12"
    assert crystal_id({}, "-") == "-"
