import itertools

import numpy as np
import pytest

from cgatjax.errors import InputError
from cgatjax.synthetic.born_lande import (
    COULOMB,
    EXPONENTS,
    FIDELITIES,
    dispersion_strengths,
    energy,
    energy_coefficients,
    equilibrium_scale,
    repulsion_parameters,
)
from cgatjax.synthetic.ions import BORN_EXPONENTS, Ion, ion_table
from cgatjax.synthetic.prototypes import find_prototype

IONS = {ion.label: ion for ion in ion_table()}


def coefficients_of(name, labels, fidelity):
    prototype = find_prototype(name)
    ions = [IONS[label] for label in labels]
    decoration = np.arange(len(ions))[None]
    return energy_coefficients(
        prototype.potentials, prototype.power_sums, ions, decoration, fidelity
    )


CASES = pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("rocksalt", ("Na1+", "Cl1-")),
        ("rocksalt", ("Li1+", "I1-")),
        ("perovskite", ("Ba2+", "Ti4+", "O2-")),
        ("spinel", ("Mg2+", "Al3+", "O2-")),
        ("elpasolite", ("K1+", "Na1+", "Al3+", "F1-")),
    ],
)


@CASES
@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_the_equilibrium_is_the_minimum_of_a_scan(name, labels, fidelity):
    coefficients = coefficients_of(name, labels, fidelity)
    scale = equilibrium_scale(coefficients)
    scan = scale * np.linspace(0.9, 4, 100_001)
    values = (coefficients * scan[:, None] ** -EXPONENTS).sum(axis=1)
    assert scan[np.argmin(values)] == pytest.approx(scale[0], rel=1e-4)
    assert values.min() >= energy(coefficients, scale)[0]


@CASES
@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_the_pressure_is_zero(name, labels, fidelity):
    coefficients = coefficients_of(name, labels, fidelity)
    scale = equilibrium_scale(coefficients)
    virial = coefficients * EXPONENTS * scale[:, None] ** -EXPONENTS
    assert abs(virial.sum()) < 1e-10 * np.abs(virial).sum()
    step = 1e-5
    slope = energy(coefficients, scale + step) - energy(coefficients, scale - step)
    assert abs(slope[0] / (2 * step)) < 1e-6


def test_the_energy_is_a_sum_over_pairs():
    """Short-range part of rocksalt NaCl against an explicit sum over a block of 15**3 cells."""
    coefficients = coefficients_of("rocksalt", ("Na1+", "Cl1-"), "high")
    ions = [IONS["Na1+"], IONS["Cl1-"]]
    exponent, strength = repulsion_parameters(ions, "high")
    dispersion = dispersion_strengths(ions)
    a, total = 5.6, 0.0
    for cell in itertools.product(range(-15, 16), repeat=3):
        if cell != (0, 0, 0):
            d = a / 2 * np.sqrt(sum(x * x for x in cell))
            for i in range(2):
                j = (i + sum(cell)) % 2
                total += 0.5 * (strength[i, j] * d ** -exponent[i, j] - dispersion[i, j] * d**-6)
    short_range = (coefficients[0, 1:] * a ** -EXPONENTS[1:]).sum()
    assert short_range == pytest.approx(total, rel=2e-3)
    assert coefficients[0, 0] == pytest.approx(-2 * 1.7475646 * COULOMB, rel=1e-7)


def test_born_lande_energy_of_rocksalt_by_hand():
    """Without like-charged repulsion, E = -M k / d (1 - 1/n) at d = sum of radii, nearest only."""
    ions = [Ion("Na", 1, 1.0, 0.1, "Ne"), Ion("F", -1, 1.5, 0.1, "Ne")]
    exponent, strength = repulsion_parameters(ions, "low")
    assert exponent[0, 1] == 9
    d = 2.5
    force = 1.747565 * COULOMB / d**2 - 6 * 9 * strength[0, 1] / d**10
    assert abs(force) < 1e-12
    assert strength[0, 1] == strength[1, 0]


def test_exponents_of_the_two_fidelities():
    ions = [IONS["Li1+"], IONS["Cs1+"], IONS["O2-"]]
    assert (repulsion_parameters(ions, "low")[0] == 9).all()
    high = repulsion_parameters(ions, "high")[0]
    np.testing.assert_array_equal(high, [[5, 8.5, 6], [8.5, 12, 9.5], [6, 9.5, 7]])


def test_exponents_include_every_mean_of_two_born_exponents():
    means = {(a + b) / 2 for a in BORN_EXPONENTS.values() for b in BORN_EXPONENTS.values()}
    assert means | {6, 9} == set(EXPONENTS[1:])


def test_dispersion_of_two_argon_atoms():
    argon = Ion("Ar", 0, 1.0, 1.6411, "Ar")
    atomic_unit = 27.211386 * 0.529177**6
    assert dispersion_strengths([argon])[0, 0] / atomic_unit == pytest.approx(64.3, rel=0.01)


def test_lattice_constants_are_close_to_experiment():
    measured = {
        ("rocksalt", "Na1+", "Cl1-"): 5.640,
        ("rocksalt", "Mg2+", "O2-"): 4.212,
        ("fluorite", "Ca2+", "F1-"): 5.463,
        ("rutile", "Ti4+", "O2-"): 4.594,
        ("perovskite", "Sr2+", "Ti4+", "O2-"): 3.905,
        ("spinel", "Mg2+", "Al3+", "O2-"): 8.083,
    }
    for (name, *labels), expected in measured.items():
        for fidelity in FIDELITIES:
            scale = equilibrium_scale(coefficients_of(name, labels, fidelity))[0]
            assert scale == pytest.approx(expected, rel=0.05), (name, fidelity)


def test_crystals_that_cannot_relax_are_refused():
    repelling = np.zeros((1, len(EXPONENTS)))
    repelling[0, [0, 7]] = 1.0
    with pytest.raises(InputError, match="not bound"):
        equilibrium_scale(repelling)
    collapsing = np.zeros((1, len(EXPONENTS)))
    collapsing[0, 0] = -1.0
    with pytest.raises(InputError, match="no energy minimum"):
        equilibrium_scale(collapsing)
