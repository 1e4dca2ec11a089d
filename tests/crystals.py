"""Crystals that several test files look at: prototypes known by heart, and faulty ones."""

import dataclasses

import numpy as np

from cgatjax.graphs.crystal_graph import CrystalGraph
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


def sound(graph: CrystalGraph) -> CrystalGraph:
    """Check types, ranges and sums of the arrays of a graph, and return it."""
    last, k = graph.n_nodes - 1, graph.max_neighbors
    for name, dtype, low, high in [
        ("atomic_numbers", np.uint8, 1, 103),
        ("node_multiplicity", np.uint32, 1, graph.n_sites),
        ("site_class", np.uint16, 0, last),
        ("edge_center", np.uint16, 0, last),
        ("edge_neighbor", np.uint16, 0, last),
        ("edge_shell", np.uint8, 1, k),
        ("weight_numerator", np.uint16, 1, 65535),
        ("weight_denominator", np.uint16, 1, 65535),
    ]:
        array = getattr(graph, name)
        assert (array.dtype, array.ndim) == (dtype, 1), name
        assert low <= array.min() <= array.max() <= high, name
    assert (np.bincount(graph.site_class) == graph.node_multiplicity).all()
    assert (np.diff(graph.edge_center.astype(int)) >= 0).all()
    np.testing.assert_allclose(np.bincount(graph.edge_center, graph.edge_weight), k, atol=1e-6)
    return graph


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
