"""Tabulated physical properties of the elements, from pymatgen."""

import functools
import warnings
from typing import Any

import numpy as np

from cgatjax.structures.elements import SYMBOLS

_TABULATED = (
    "row",
    "group",
    "mendeleev_no",
    "atomic_mass",
    "X",
    "atomic_radius",
    "atomic_radius_calculated",
    "van_der_waals_radius",
    "average_ionic_radius",
    "ionization_energy",
    "electron_affinity",
    "melting_point",
    "boiling_point",
    "molar_volume",
    "thermal_conductivity",
    "bulk_modulus",
    "max_oxidation_state",
    "min_oxidation_state",
)
"""Attributes of `pymatgen.core.Element` with a value for at least two thirds of the elements."""
_ELECTRONS = tuple(f"{subshell}_electrons" for subshell in "spdf")
ELEMENT_PROPERTIES = ("atomic_number", *_TABULATED, *_ELECTRONS, "valence_electrons")
"""Names of the columns of `element_properties`."""
_CLOSED = {"s": 2, "p": 6, "d": 10, "f": 14}


@functools.cache
def element_properties() -> np.ndarray:
    """Tabulate the properties of all elements.

    Electrons are those of the subshells outside of the noble gas core, filled ones included;
    valence electrons leave out filled d and f shells.

    Returns:
      (104, properties) float64 by atomic number, NaN where a value is unknown; row 0 is NaN.

    Examples:
      >>> iron = element_properties()[26]
      >>> [iron[ELEMENT_PROPERTIES.index(name)].item() for name in ("row", "X", "d_electrons")]
      [4.0, 1.83, 6.0]
    """
    from pymatgen.core import Element

    table = np.full((len(SYMBOLS), len(ELEMENT_PROPERTIES)), np.nan)
    with warnings.catch_warnings():  # pymatgen warns of each unknown value
        warnings.simplefilter("ignore")
        for number in range(1, len(SYMBOLS)):
            element = Element(SYMBOLS[number])
            known = [getattr(element, name) for name in _TABULATED]
            electrons = _outer_electrons(element)
            valence = sum(n for s, n in electrons.items() if s in "sp" or n < _CLOSED[s])
            table[number] = [
                number,
                *(np.nan if value is None else float(value) for value in known),
                *electrons.values(),
                valence,
            ]
    table.setflags(write=False)
    return table


def _outer_electrons(element: Any) -> dict[str, int]:
    """Count the electrons outside of the noble gas core by the letter of their subshell."""
    text = str(element.electronic_structure)
    counts = dict.fromkeys("spdf", 0)
    for part in text.split("."):
        if not part.startswith("["):
            counts[part[1]] += int(part[2:])
    return counts
