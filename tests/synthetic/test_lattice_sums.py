import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgatjax.synthetic.lattice_sums import (
    electrostatic_matrix,
    inverse_power_sums,
    pair_distances,
)

CUBIC = np.eye(3)
FCC = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
ORIGIN, CENTER, QUARTER = (0.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


@pytest.mark.parametrize(
    ("lattice", "sites", "charges", "nearest", "madelung"),
    [
        (FCC, [ORIGIN, CENTER], [1, -1], 0.5, 1.7475646),
        (CUBIC, [ORIGIN, CENTER], [1, -1], np.sqrt(0.75), 1.7626748),
        (FCC, [ORIGIN, QUARTER], [1, -1], np.sqrt(3) / 4, 1.6380550),
        # With both charges of CaF2 in the product, 2 * 2.519392.
        (FCC, [ORIGIN, QUARTER, (0.75, 0.75, 0.75)], [2, -1, -1], np.sqrt(3) / 4, 5.0387849),
    ],
    ids=["NaCl", "CsCl", "ZnS", "CaF2"],
)
def test_madelung_constants(lattice, sites, charges, nearest, madelung):
    phi = electrostatic_matrix(lattice, np.array(sites))
    energy = 0.5 * np.array(charges) @ phi @ charges
    assert -energy * nearest == pytest.approx(madelung, abs=1e-7)


@given(eta=st.floats(1.0, 4.0), seed=st.integers(0, 99))
def test_the_potential_does_not_depend_on_the_splitting(eta, seed):
    rng = np.random.default_rng(seed)
    lattice = np.eye(3) + 0.3 * rng.uniform(-1, 1, (3, 3))
    sites = np.array([[0, 0, 0], [0.5, 0.4, 0.6], [0.2, 0.8, 0.3]]) + 0.05 * rng.random((3, 3))
    phi = electrostatic_matrix(lattice, sites)
    np.testing.assert_allclose(phi, phi.T, atol=1e-12)
    np.testing.assert_allclose(electrostatic_matrix(lattice, sites, eta), phi, atol=1e-10)


def test_potentials_scale_with_the_inverse_length():
    sites = np.array([ORIGIN, CENTER])
    np.testing.assert_allclose(
        electrostatic_matrix(3 * FCC, sites), electrostatic_matrix(FCC, sites) / 3, atol=1e-12
    )


@pytest.mark.parametrize(
    ("lattice", "nearest", "expected"),
    [
        (CUBIC, 1.0, {5: 10.377525, 6: 8.401924, 9: 6.628859, 12: 6.202149}),
        (FCC, np.sqrt(0.5), {6: 14.453921, 12: 12.131880}),
    ],
    ids=["simple cubic", "face-centered cubic"],
)
def test_inverse_power_sums_of_one_sublattice(lattice, nearest, expected):
    exponents = np.array(list(expected))
    sums = inverse_power_sums(lattice, np.zeros((1, 3)), exponents)[:, 0, 0]
    np.testing.assert_allclose(
        sums * nearest**exponents, np.array(list(expected.values())), atol=2e-6
    )


def test_sums_do_not_depend_on_the_cell():
    chain = np.array([[k / 3, 0, 0] for k in range(3)])
    large = inverse_power_sums(np.diag([3.0, 1, 1]), chain, [5, 7.5, 12])
    small = inverse_power_sums(CUBIC, np.zeros((1, 3)), [5, 7.5, 12])[:, 0, 0]
    np.testing.assert_allclose(large[:, 0].sum(axis=-1), small, rtol=1e-6)
    phi = electrostatic_matrix(np.diag([3.0, 1, 1]), chain)
    assert phi[0].sum() == pytest.approx(electrostatic_matrix(CUBIC, np.zeros((1, 3)))[0, 0])


def test_pair_distances_exclude_the_site_itself_but_not_its_images():
    distance = pair_distances(CUBIC, np.zeros((1, 3)), 1.1)
    assert np.isfinite(distance).sum() == 6
    assert distance.min() == 1.0
