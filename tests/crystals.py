"""Crystals that several test files look at: prototypes known by heart, and faulty ones."""

import dataclasses

import numpy as np

from cgatjax.structures.crystal import Crystal
from cgatjax.synthetic.dataset import ionic_crystals

FCC = [[0.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]]


def cubic(name: str, edge: float, sites: list[tuple[int, list[float]]]) -> Crystal:
    return Crystal(
        id=name,
        lattice=edge * np.eye(3),
        frac_coords=np.array([place for _, place in sites]),
        atomic_numbers=np.array([number for number, _ in sites], dtype=np.uint8),
    )


def cubic_prototypes() -> dict[str, Crystal]:
    """Cubic crystals in their conventional cells; with an edge of 4 A all ties are exact."""
    chlorine = [[(x + 0.5) % 1, y, z] for x, y, z in FCC]
    oxygen = [[0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.0, 0.5, 0.5]]
    fluorine = [[x, y, z] for x in (0.25, 0.75) for y in (0.25, 0.75) for z in (0.25, 0.75)]
    return {
        "polonium": cubic("polonium", 4.0, [(84, [0.0, 0.0, 0.0])]),
        "CsCl": cubic("CsCl", 4.0, [(55, [0.0, 0.0, 0.0]), (17, [0.5, 0.5, 0.5])]),
        "NaCl": cubic("NaCl", 4.0, [(11, p) for p in FCC] + [(17, p) for p in chlorine]),
        "SrTiO3": cubic(
            "SrTiO3", 4.0, [(38, [0.0] * 3), (22, [0.5] * 3), *((8, p) for p in oxygen)]
        ),
        "CaF2": cubic("CaF2", 4.0, [(20, p) for p in FCC] + [(9, p) for p in fluorine]),
    }


def faulty_crystals() -> list[Crystal]:
    """60 crystals, faults of reading and of featurizing among them, few with a second target."""
    crystals = ionic_crystals(60, seed=2)
    faults = {
        5: {"lattice": np.ones((3, 3))},
        17: {"lattice": 60.0 * np.eye(3)},
        40: {"frac_coords": np.zeros((0, 3)), "atomic_numbers": np.zeros(0, np.uint8)},
    }
    for place, changes in faults.items():
        crystals[place] = dataclasses.replace(crystals[place], id=f"odd-{place}", **changes)
    crystals[33] = dataclasses.replace(crystals[33], targets={"heat": 2.0})
    return crystals
