import dataclasses

import ase
import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from tests.crystals import sound

from cgatjax.config import GraphConfig
from cgatjax.errors import InputError, StructureError
from cgatjax.graphs.crystal_graph import CrystalGraph, featurize
from cgatjax.structures.crystal import Crystal

SHARE = GraphConfig.recommended()


def test_featurize_makes_one_node_a_site_and_k_edges_a_node(prototypes):
    graph = sound(featurize(prototypes["CsCl"]))
    assert (graph.id, graph.n_nodes, graph.n_sites, graph.n_edges) == ("CsCl", 2, 2, 48)
    assert graph.atomic_numbers.tolist() == [55, 17]
    assert graph.neighbors.shape == graph.shells.shape == (2, 24)
    assert graph.neighbors[0].tolist() == [1] * 8 + [0] * 6 + [0] * 10
    assert graph.shells[1].tolist() == [1] * 8 + [2] * 6 + [3] * 10
    assert np.array_equal(graph.edge_weight, np.ones(48))


def test_shared_graph_is_ragged_and_its_weights_sum_to_k(prototypes):
    graph = sound(featurize(prototypes["SrTiO3"], SHARE))
    assert np.bincount(graph.edge_center).tolist() == [26, 44, 28, 28, 28]
    sums = np.bincount(graph.edge_center, weights=graph.edge_weight)
    np.testing.assert_allclose(sums, 24, rtol=1e-14)


def test_pymatgen_ase_and_crystal_give_the_same_graph(prototypes):
    crystal = prototypes["NaCl"]
    lattice, numbers, coords = crystal.lattice, crystal.atomic_numbers, crystal.frac_coords
    structure = Structure(Lattice(lattice), numbers.tolist(), coords)
    atoms = ase.Atoms(numbers, scaled_positions=coords, cell=lattice, pbc=True)
    expected = featurize(crystal)
    for other in (structure, atoms):
        graph = featurize(other, id="NaCl")
        for field in dataclasses.fields(CrystalGraph):
            assert np.array_equal(getattr(graph, field.name), getattr(expected, field.name))


def test_charged_species_are_their_element():
    structure = Structure(Lattice.cubic(4.0), ["Cs+", "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert featurize(structure).atomic_numbers.tolist() == [55, 17]


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        (
            Structure(Lattice.cubic(4), [{"Fe": 0.5, "Ni": 0.5}], [[0, 0, 0]]),
            "'x': site 0 is disord",
        ),
        (Structure(Lattice.cubic(4), [{"Fe": 0.5}], [[0, 0, 0]]), "'x': site 0 is disordered"),
        (ase.Atoms("Fe", cell=[4, 4, 4], pbc=[True, True, False]), "periodic in three directions"),
        (ase.Atoms("Fe", cell=[4, 4, 0], pbc=True), "'x': singular lattice"),
        (ase.Atoms("X", cell=[4, 4, 4], pbc=True), "'x': unknown element with atomic number 0"),
        (ase.Atoms(cell=[4, 4, 4], pbc=True), "'x': no sites"),
    ],
)
def test_unusable_structures_are_errors_with_a_reason(structure, message):
    with pytest.raises(StructureError, match=message):
        featurize(structure, id="x")


def test_other_objects_are_refused():
    with pytest.raises(InputError, match=r"expected a Crystal, a pymatgen Structure.*got dict"):
        featurize({})


def test_nan_coordinates_are_refused(prototypes):
    bad = dataclasses.replace(
        prototypes["CsCl"], frac_coords=np.array([[0, 0, 0], [0.5, np.nan, 0]])
    )
    with pytest.raises(StructureError, match=r"'CsCl': .*NaN"):
        featurize(bad)


def test_from_neighbors_round_trip(prototypes):
    graph = featurize(prototypes["CaF2"])
    again = sound(CrystalGraph.from_neighbors(graph.atomic_numbers, graph.neighbors, graph.shells))
    assert np.array_equal(again.neighbors, graph.neighbors)
    assert np.array_equal(again.shells, graph.shells)
    assert (again.max_neighbors, again.n_sites) == (24, 12)


@pytest.mark.parametrize(
    ("numbers", "neighbors", "shells", "message"),
    [
        ([3, 9], [[0, 1]], [[1, 1]], r"\(n, K\).*got \(2,\), \(1, 2\)"),
        ([3], [[0, 0]], [[1, 1, 2]], r"got \(1,\), \(1, 2\) and \(1, 3\)"),
        ([3], [[0, 1]], [[1, 1]], r"neighbors in 0..0, got 0..1"),
        ([3], [[0, -1]], [[1, 1]], r"neighbors in 0..0, got -1..0"),
        ([3], [[0, 0]], [[0, 1]], r"shells in 1..2, got 0..1"),
        ([3], [[0, 0]], [[1, 3]], r"shells in 1..2, got 1..3"),
        ([300], [[0, 0]], [[1, 1]], r"atomic_numbers in 1..103, got 300"),
        ([3], [[0.0, 0.0]], [[1, 1]], r"neighbors as integers, got float64"),
        ([], np.zeros((0, 2), int), np.zeros((0, 2), int), r"expected 1..65535 sites"),
    ],
)
def test_from_neighbors_names_wrong_arrays(numbers, neighbors, shells, message):
    with pytest.raises(InputError, match=message):
        CrystalGraph.from_neighbors(
            np.array(numbers), np.array(neighbors), np.array(shells), id="g"
        )


def changed(graph: CrystalGraph, name: str, values: object) -> CrystalGraph:
    return dataclasses.replace(graph, **{name: np.array(values, dtype=getattr(graph, name).dtype)})


def test_arrays_of_different_lengths_are_refused(prototypes):
    graph = featurize(prototypes["CsCl"])
    with pytest.raises(InputError, match=r"one length.*'edge_shell': 47"):
        changed(graph, "edge_shell", [1] * 47)


def test_neighbor_tables_exist_for_unreduced_cut_graphs_only(prototypes):
    graph = featurize(prototypes["SrTiO3"], SHARE)
    with pytest.raises(InputError, match=r"\.neighbors needs 24 edges of weight 1.*edge_weight"):
        _ = graph.neighbors
    two_sites = changed(graph, "site_class", [0, 1, 2, 3, 4, 4])
    with pytest.raises(InputError, match=r"\.shells needs an unreduced graph.*5 nodes for 6 sites"):
        _ = two_sites.shells


def test_a_graph_of_a_crystal_with_integer_numbers_holds_bytes():
    crystal = Crystal(
        id="Po", lattice=3 * np.eye(3), frac_coords=np.zeros((1, 3)), atomic_numbers=np.array([84])
    )
    assert featurize(crystal).atomic_numbers.dtype == np.uint8
