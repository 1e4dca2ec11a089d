"""Closest sites and totals among values per atom."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgatjax.errors import ConfigError, InputError
from cgatjax.structures.crystal import Crystal, Rejected
from cgatjax.structures.distances import closest_pair
from cgatjax.structures.readers import read_crystals


def crystal(coords, cell=4.0, **targets) -> Crystal:
    return Crystal(
        id="made",
        lattice=np.diag([cell] * 3).astype(float),
        frac_coords=np.array(coords, dtype=float),
        atomic_numbers=np.array([11, 17][: len(coords)], dtype=np.uint8),
        targets=targets,
    )


CLOSE = crystal([[0, 0, 0.97], [0, 0, 0.06]])  # 0.36 A apart, across the border of the cell


def test_sites_too_close_are_named():
    (rejected,) = read_crystals(CLOSE)
    assert isinstance(rejected, Rejected)
    assert rejected.id == "made"
    assert "sites 0 (Na) and 1 (Cl) are 0.360 A apart; expected at least 0.5 A" in rejected.reason


@pytest.mark.parametrize("bound", [0.0, 0.35])
def test_the_bound_is_an_option(bound):
    assert isinstance(next(read_crystals(CLOSE, min_distance=bound)), Crystal)
    far = crystal([[0, 0, 0], [0.5, 0.5, 0.5]])
    assert isinstance(next(read_crystals(far, min_distance=3.4)), Crystal)
    (rejected,) = read_crystals(far, min_distance=3.5)
    assert "3.464 A" in rejected.reason


def test_a_site_may_be_too_close_to_its_image():
    thin = dataclasses.replace(crystal([[0, 0, 0]]), lattice=np.diag([0.4, 5.0, 5.0]))
    (rejected,) = read_crystals(thin)
    assert "site 0 (Na) and its image are 0.400 A apart" in rejected.reason


@pytest.mark.parametrize("bound", [-1.0, math.nan, math.inf])
def test_bounds_that_are_no_distance(bound):
    with pytest.raises(ConfigError, match="min_distance"):
        read_crystals(CLOSE, min_distance=bound)


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 8), below=st.floats(0.3, 3.0))
def test_the_closest_pair_is_that_of_all_images(seed, n, below):
    random = np.random.default_rng(seed)
    lattice = np.diag(random.uniform(2, 6, 3)) + random.uniform(-1, 1, (3, 3))
    if seed % 3 == 0:
        lattice[1] += 3 * lattice[0]  # skewed: the nearest image is not that of wrapped coordinates
    coords = random.uniform(-1, 2, (n, 3))
    axes = np.arange(-7, 8)
    shifts = np.stack(np.meshgrid(axes, axes, axes, indexing="ij"), axis=-1).reshape(-1, 3)
    apart = coords[:, None, None] - coords[None, :, None]
    distances = np.linalg.norm((apart - np.round(apart) + shifts) @ lattice, axis=-1)
    nearest = distances[distances > 1e-9].min()
    found = closest_pair(lattice, coords, below)
    if nearest < below - 1e-9:
        assert found is not None
        assert found.distance == pytest.approx(nearest)
    elif nearest > below + 1e-9:
        assert found is None


def test_flat_lattices_have_images_on_each_other():
    lattice = np.array([[1.0, 1e5, 0], [1.0, 1e5 + 1e-7, 0], [0, 0, 4.0]])
    found = closest_pair(lattice, np.zeros((1, 3)), 0.5)
    assert found is not None
    assert found.distance < 1e-6


def test_large_cells_are_searched_in_pieces():
    grid = np.stack(np.meshgrid(*3 * [np.arange(11)], indexing="ij"), axis=-1).reshape(-1, 3) / 11
    grid[1300] = grid[3] + [0.01, 0, 0]
    found = closest_pair(30.0 * np.eye(3), grid, 0.5)
    assert found is not None
    assert (found.first, found.second) == (3, 1300)
    assert found.distance == pytest.approx(0.3)


def test_properties_of_the_cell_are_divided_by_name():
    made = crystal(
        [[0, 0, 0], [0.5, 0.5, 0.5]], **{"energy_total": -7.0, "e-form": -1.0, "other": 3.0}
    )
    (found,) = read_crystals(made, per_atom=["energy_total", "other", "absent"])
    assert found.targets == {"energy_total": -3.5, "e-form": -1.0, "other": 1.5}
    assert found.units == {"energy_total": "eV/atom", "other": ""}
    with pytest.raises(InputError, match="'e-form' is in eV/atom already"):
        list(read_crystals(made, per_atom=["e-form"]))
    with pytest.raises(ConfigError, match="per_atom"):
        read_crystals(made, per_atom="energy_total")


@pytest.mark.parametrize(("value", "n", "warned"), [(-60.0, 10, 1), (-60.0, 9, 0), (-9.0, 10, 0)])
def test_a_mean_of_cells_among_energies_per_atom_is_warned_of(value, n, warned, caplog):
    made = crystal([[0, 0, 0]], **{"e-form": value, "energy_total": -900.0})
    list(read_crystals([made] * n))
    assert len(caplog.messages) == warned
    assert all("e-form has a mean of -60 eV/atom" in message for message in caplog.messages)
