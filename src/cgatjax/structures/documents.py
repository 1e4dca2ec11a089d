"""JSON documents with properties beside the structure: Materials Project, MatPES, JARVIS."""

from typing import Any

import numpy as np

from cgatjax.errors import StructureError
from cgatjax.structures.crystal import Cell
from cgatjax.structures.elements import atomic_number
from cgatjax.structures.poscar import fractional

_STRUCTURE_KEYS = ("structure", "atoms")

_CELL_UNITS = {"energy": "eV/cell", "uncorrected_energy": "eV/cell", "volume": "A^3/cell"}
"""Values of the whole cell in these documents; unlike in DCGAT files, `volume` is one of them."""


def is_document(entry: dict[str, Any]) -> bool:
    """Check for a document, as opposed to pymatgen's entries with properties under "data"."""
    has_structure = any(key in entry for key in _STRUCTURE_KEYS)
    is_entry = "data" in entry or entry.get("@class") == "ComputedStructureEntry"
    return has_structure and not is_entry


def values_of_document(entry: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return all values beside the structure and the units of those of the whole cell."""
    values = {key: value for key, value in entry.items() if key not in _STRUCTURE_KEYS}
    return values, {key: unit for key, unit in _CELL_UNITS.items() if key in values}


def cell_of_jarvis(atoms: Any) -> Cell:
    """Return the arrays of a JARVIS `Atoms.to_dict()`.

    Raises:
      StructureError: an item is missing or has another shape, or an element is unknown.
    """
    try:
        lattice = np.array(atoms["lattice_mat"], dtype=np.float64)
        coords = np.array(atoms["coords"], dtype=np.float64)
        numbers = np.array([atomic_number(e.strip()) for e in atoms["elements"]], dtype=np.uint8)
        if atoms.get("cartesian", False):
            return lattice, fractional(lattice, coords), numbers
    except StructureError:
        raise
    except KeyError as error:
        raise StructureError(f"the atoms have no {error}; expected a JARVIS dict") from error
    except (TypeError, ValueError, AttributeError, LookupError, OverflowError) as error:
        raise StructureError(f"the atoms are no JARVIS dict: {error}") from error
    return lattice, coords, numbers
