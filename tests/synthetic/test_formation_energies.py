import numpy as np
import pytest

from cgatjax.synthetic.born_lande import FIDELITIES
from cgatjax.synthetic.decorations import relax
from cgatjax.synthetic.formation_energies import reference_compounds, reference_energies
from cgatjax.synthetic.ions import ion_table
from cgatjax.synthetic.prototypes import find_prototype

POSITION = {ion.label: k for k, ion in enumerate(ion_table())}


def formation_energy(name, labels, fidelity):
    decoration = np.array([[POSITION[label] for label in labels]])
    return relax(find_prototype(name), decoration, fidelity)[1][0]


@pytest.mark.parametrize("fidelity", FIDELITIES)
@pytest.mark.parametrize(
    ("name", "labels", "kj_per_mol", "sites"),
    [
        ("rocksalt", ("Na1+", "Cl1-"), -411.2, 2),
        ("corundum", ("Al3+", "O2-"), -1675.7, 5),
        ("spinel", ("Co2+", "Co3+", "O2-"), -891.0, 7),
    ],
)
def test_reference_compounds_have_their_measured_enthalpy(
    name, labels, kj_per_mol, sites, fidelity
):
    expected = kj_per_mol / 96.485332 / sites
    assert formation_energy(name, labels, fidelity) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_other_compounds_are_close_to_experiment(fidelity):
    # NBS tables, eV/atom.
    assert formation_energy("rocksalt", ("K1+", "Cl1-"), fidelity) == pytest.approx(-2.26, abs=0.4)
    assert formation_energy("fluorite", ("Ca2+", "F1-"), fidelity) == pytest.approx(-4.24, abs=0.4)
    srtio3 = formation_energy("perovskite", ("Sr2+", "Ti4+", "O2-"), fidelity)
    assert srtio3 == pytest.approx(-3.47, abs=0.3)
    mgal2o4 = formation_energy("spinel", ("Mg2+", "Al3+", "O2-"), fidelity)
    assert mgal2o4 == pytest.approx(-3.41, abs=0.3)


def test_every_ion_but_oxide_has_one_neutral_reference_compound():
    charge = {ion.label: ion.charge for ion in ion_table()}
    compounds = reference_compounds()
    assert len(compounds) == len(ion_table()) - 1
    assert {label for _, labels, _ in compounds for label in labels} == set(charge)
    for prototype, labels, enthalpy in compounds:
        assert np.dot([charge[label] for label in labels], prototype.role_counts) == 0
        assert enthalpy < 0


@pytest.mark.parametrize("fidelity", FIDELITIES)
def test_the_reference_energy_of_oxide_is_zero(fidelity):
    assert abs(reference_energies(fidelity)[POSITION["O2-"]]) < 1e-9
