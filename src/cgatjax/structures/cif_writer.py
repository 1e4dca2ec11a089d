"""CIF files of crystals, through pymatgen."""

from cgatjax.structures.crystal import Crystal
from cgatjax.structures.elements import SYMBOLS


def cif_text(crystal: Crystal) -> str:
    """Return a crystal as a CIF in P 1, with all sites of its cell."""
    from pymatgen.core import Structure
    from pymatgen.io.cif import CifWriter

    species = [SYMBOLS[z] for z in crystal.atomic_numbers.tolist()]
    return str(CifWriter(Structure(crystal.lattice, species, crystal.frac_coords)))
