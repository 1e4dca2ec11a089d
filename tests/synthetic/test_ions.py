import numpy as np
import pytest

from cgatjax.errors import InputError
from cgatjax.synthetic.ions import BORN_EXPONENTS, EFFECTIVE_ELECTRONS, find_ion, ion_table


def test_labels_are_unique_and_found():
    ions = ion_table()
    assert len({ion.label for ion in ions}) == len(ions) == 85
    for ion in ions:
        assert find_ion(ion.label) is ion
        assert ion.core in BORN_EXPONENTS
        assert 0 < ion.polarizability < 10
        assert 0.4 <= ion.radius <= 2.21


def test_an_ion_in_full():
    ion = find_ion("Ti4+")
    assert (ion.symbol, ion.atomic_number, ion.charge, ion.radius) == ("Ti", 22, 4, 0.605)
    assert ion.outer_electrons == 8
    assert find_ion("Li1+").outer_electrons == 2
    assert find_ion("O2-").charge == -2


def test_an_unknown_ion_names_the_known_ones():
    with pytest.raises(InputError, match=r"'Xx9\+'.*Ti4\+"):
        find_ion("Xx9+")


def test_radii_are_those_that_pymatgen_tabulates():
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
