import numpy as np
import pytest

from cgatjax.synthetic.ions import BORN_EXPONENTS, EFFECTIVE_ELECTRONS, ion_table

IONS = {ion.label: ion for ion in ion_table()}


def test_labels_are_unique_and_values_are_in_range():
    assert len(IONS) == len(ion_table()) == 85
    for ion in ion_table():
        assert ion.core in BORN_EXPONENTS
        assert 0 < ion.polarizability < 10
        assert 0.4 <= ion.radius <= 2.21


def test_attributes_of_ions():
    ion = IONS["Ti4+"]
    assert (ion.symbol, ion.atomic_number, ion.charge, ion.radius) == ("Ti", 22, 4, 0.605)
    assert ion.outer_electrons == 8
    assert IONS["Li1+"].outer_electrons == 2
    assert IONS["O2-"].charge == -2


def test_radii_agree_with_pymatgen():
    periodic_table = pytest.importorskip("pymatgen.core.periodic_table")
    for ion in ion_table():
        tables = periodic_table.Element(ion.symbol).data["Shannon radii"][str(ion.charge)]
        spins = tables.get("VI") or tables["IV"]
        assert ion.radius in [entry["ionic_radius"] for entry in spins.values()], ion.label


def test_effective_electrons_give_the_dispersion_of_noble_gases():
    # C6 = 3/4 x**1.5 sqrt(N), atomic units, for two like atoms.
    polarizability = {"He": 1.383, "Ne": 2.669, "Ar": 11.08, "Kr": 16.79, "Xe": 27.32}
    c6 = {"He": 1.458, "Ne": 6.383, "Ar": 64.30, "Kr": 129.6, "Xe": 285.9}
    for core, electrons in EFFECTIVE_ELECTRONS.items():
        found = 0.75 * polarizability[core] ** 1.5 * np.sqrt(electrons)
        assert found == pytest.approx(c6[core], rel=0.01)
