import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.optimization.neighbors import find_points_in_spheres

from cgatjax.config import GraphConfig
from cgatjax.errors import StructureError
from cgatjax.graphs import neighbors
from cgatjax.graphs.neighbors import Neighbors, nearest_neighbors
from cgatjax.graphs.shells import shell_indices

CUT = GraphConfig.released()
SHARE = GraphConfig.recommended()


def shells_of(found: Neighbors, site: int) -> dict[int, tuple[int, float]]:
    """Shell index -> number of edges of one site, and the weight that each has."""
    here = found.center == site
    weight = found.weight_numerator[here] / found.weight_denominator[here]
    return {
        int(shell): (
            int(np.sum(found.shell[here] == shell)),
            *set(weight[found.shell[here] == shell]),
        )
        for shell in np.unique(found.shell[here])
    }


# In units of the cubic edge; NaCl, for instance: 6 at 1/2, 12 at sqrt(1/2), 8 at sqrt(3/4).
@pytest.mark.parametrize(
    ("name", "site", "sizes"),
    [
        ("polonium", 0, [6, 12, 8]),
        ("CsCl", 0, [8, 6, 12]),
        ("CsCl", 1, [8, 6, 12]),
        ("NaCl", 3, [6, 12, 8]),
        ("SrTiO3", 0, [12, 8, 6]),
        ("SrTiO3", 1, [6, 8, 6, 24]),
        ("SrTiO3", 2, [2, 12, 6, 8]),
        ("CaF2", 0, [8, 12, 24]),
        ("CaF2", 4, [4, 6, 12, 12]),
    ],
)
def test_shells_worked_out_by_hand(prototypes, name, site, sizes):
    crystal = prototypes[name]
    before = sum(sizes[:-1])
    cut = nearest_neighbors(crystal.lattice, crystal.frac_coords, CUT)
    share = nearest_neighbors(crystal.lattice, crystal.frac_coords, SHARE)
    whole = {shell: (size, 1.0) for shell, size in enumerate(sizes[:-1], start=1)}
    last = len(sizes)
    assert shells_of(cut, site) == {**whole, last: (24 - before, 1.0)}
    assert shells_of(share, site) == {
        **whole,
        last: (sizes[-1], pytest.approx((24 - before) / sizes[-1])),
    }


def test_shared_weight_is_a_reduced_fraction(prototypes):
    crystal = prototypes["CsCl"]
    found = nearest_neighbors(crystal.lattice, crystal.frac_coords, SHARE)
    assert set(found.weight_numerator[found.shell == 3]) == {5}  # 10 slots left for 12 neighbors
    assert set(found.weight_denominator[found.shell == 3]) == {6}


def test_shell_starts_beyond_the_first_distance_of_the_shell_before():
    distance = np.array([[1.0, 1.0 + 0.8e-3, 1.0 + 1.6e-3, 1.0 + 1.9e-3, 1.0 + 2.4e-3, 2.0]])
    config = GraphConfig(shell_tolerance=1e-3)
    assert shell_indices(distance, config).tolist() == [[1, 1, 2, 2, 2, 3]]


@given(st.integers(0, 10**6), st.sampled_from([0.0, 1e-8, 0.01, 0.3]), st.booleans())
def test_shells_equal_the_rule_written_as_a_loop(seed, tolerance, is_relative):
    kind = "relative" if is_relative else "absolute"
    config = GraphConfig(shell_tolerance=tolerance, tolerance_kind=kind)
    rng = np.random.default_rng(seed)
    distance = np.sort(2 + np.cumsum(rng.choice([0.0, 1e-9, 0.006, 0.2], (7, 24)), axis=1), axis=1)
    expected = []
    for row in distance.tolist():
        shell, first, indices = 1, row[0], []
        for d in row:
            if d > (first * (1 + tolerance) if is_relative else first + tolerance):
                shell, first = shell + 1, d
            indices.append(shell)
        expected.append(indices)
    assert shell_indices(distance, config).tolist() == expected


def brute_force(lattice, frac_coords, k, tolerance):
    """Sorted (shell, neighbor, weight) of each site, from all images in a block large enough."""
    found = nearest_neighbors(lattice, frac_coords, GraphConfig(max_radius=100.0))
    radius = found.distance.max() * (1 + tolerance) + 0.01
    reach = np.ceil(radius * np.linalg.norm(np.linalg.inv(lattice), axis=0)) + 5
    cells = np.array(list(itertools.product(*(np.arange(-r, r + 1) for r in reach))))
    table = []
    for site in frac_coords:
        place = (frac_coords[None] - site + cells[:, None]) @ lattice
        distance = np.linalg.norm(place, axis=-1).ravel()
        neighbor = np.tile(np.arange(len(frac_coords)), len(cells))
        order = np.argsort(distance, kind="stable")[1:]
        shell, first, members = 1, distance[order[0]], []
        for image in order:
            if distance[image] > first * (1 + tolerance):
                if len(members) >= k:
                    break
                shell, first = shell + 1, distance[image]
            members.append((shell, int(neighbor[image])))
        size = sum(s == members[-1][0] for s, _ in members)
        share = (k - (len(members) - size)) / size
        table.append(sorted((s, j, share if s == members[-1][0] else 1.0) for s, j in members))
    return table


CELLS = {
    "ordinary": (4.0, 5.0, 6.0),
    "needle": (3.0, 3.5, 300.0),
    "slab": (40.0, 45.0, 0.4),
}


@pytest.mark.parametrize("shape", CELLS)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 6))
def test_equals_brute_force_in_any_cell(shape, seed, n):
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))  # of either handedness
    shear = np.eye(3) + 0.2 * rng.normal(size=(3, 3))
    lattice = np.diag(CELLS[shape]) @ shear @ rotation
    frac_coords = rng.uniform(-2, 3, (n, 3))
    config = GraphConfig.recommended(max_radius=100.0)
    found = nearest_neighbors(lattice, frac_coords, config)
    for site, expected in enumerate(brute_force(lattice, frac_coords, 24, config.shell_tolerance)):
        here = found.center == site
        weight = found.weight_numerator[here] / found.weight_denominator[here]
        entries = zip(
            found.shell[here].tolist(), found.neighbor[here].tolist(), weight, strict=True
        )
        assert sorted(entries) == [pytest.approx(entry) for entry in expected]


@pytest.mark.parametrize("name", ["CsCl", "NaCl", "SrTiO3", "CaF2"])
def test_equal_distances_come_in_the_order_of_an_18_angstrom_search(prototypes, name):
    crystal = prototypes[name]
    positions = np.ascontiguousarray(crystal.frac_coords @ crystal.lattice)
    center, neighbor, _, distance = find_points_in_spheres(
        positions, positions, 18.0, np.ones(3, dtype=np.int64), crystal.lattice, 1e-8
    )
    kept = distance > 1e-8
    center, neighbor, distance = center[kept], neighbor[kept], distance[kept]
    found = nearest_neighbors(crystal.lattice, crystal.frac_coords, CUT)
    for site in range(crystal.n_sites):
        order = np.argsort(distance[center == site], kind="stable")[:24]
        expected = neighbor[center == site][order]
        assert found.neighbor[found.center == site].tolist() == expected.tolist()


@given(st.integers(1, 60))
def test_order_does_not_depend_on_the_number_of_neighbors(prototypes, k):
    crystal = prototypes["SrTiO3"]
    few = nearest_neighbors(crystal.lattice, crystal.frac_coords, GraphConfig(max_neighbors=k))
    many = nearest_neighbors(crystal.lattice, crystal.frac_coords, GraphConfig(max_neighbors=60))
    n = crystal.n_sites
    expected = many.neighbor.reshape(n, 60)[:, :k]
    assert np.array_equal(few.neighbor.reshape(n, k), expected)


def test_sites_far_outside_the_cell_are_wrapped(prototypes):
    crystal = prototypes["SrTiO3"]
    far = crystal.frac_coords + np.array([1e6, 0, -3e5])
    here = nearest_neighbors(crystal.lattice, crystal.frac_coords, SHARE)
    there = nearest_neighbors(crystal.lattice, far, SHARE)
    assert np.array_equal(here.shell, there.shell)


@pytest.mark.parametrize("overshoot", [0.01, 0.9, 1.0, 1.1, 20.0])
@pytest.mark.parametrize("tolerance", [3e-4, 0.2])
def test_first_radius_does_not_matter(monkeypatch, overshoot, tolerance):
    # Too small a radius has to grow; a wide last shell has to be searched to its end.
    config = GraphConfig.recommended(shell_tolerance=tolerance)
    rng = np.random.default_rng(3)
    lattice, frac_coords = np.diag([4.0, 5.0, 6.0]), rng.uniform(0, 1, (5, 3))
    expected = nearest_neighbors(lattice, frac_coords, config)
    monkeypatch.setitem(neighbors._OVERSHOOT, "share", overshoot)
    found = nearest_neighbors(lattice, frac_coords, config)
    for name in ("center", "neighbor", "shell", "weight_numerator", "weight_denominator"):
        assert np.array_equal(getattr(found, name), getattr(expected, name))


@pytest.mark.parametrize("file", ["released", "scalar_mean", "hyper_edges", "paper_size"])
def test_golden_edges_in_their_order(shared, golden_crystals, file):
    with np.load(shared / "reference" / f"{file}.npz") as golden:
        entries, n_node = golden["in/entry_index"], golden["in/n_node"]
        neighbor, shell = golden["in/nbr_idx"], golden["in/nbr_fea"].ravel()
    first_site = np.cumsum(n_node) - n_node
    for entry, offset, n in zip(entries, first_site, n_node, strict=True):
        crystal = golden_crystals[entry]
        found = nearest_neighbors(crystal.lattice, crystal.frac_coords, CUT)
        edges = slice(24 * offset, 24 * (offset + n))
        assert np.array_equal(found.shell, shell[edges])
        assert np.array_equal(found.neighbor, neighbor[edges] - offset)


def test_too_few_neighbors_names_crystal_site_count_and_radius(prototypes):
    crystal = prototypes["polonium"]
    config = GraphConfig(max_radius=4.5)
    with pytest.raises(StructureError, match=r"'Po': site 0 has 6 neighbors within 4.5 A.*24"):
        nearest_neighbors(crystal.lattice, crystal.frac_coords, config, id="Po")


@pytest.mark.parametrize("config", [CUT, SHARE])
def test_coinciding_sites_are_named(config):
    frac_coords = np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, 0.5, -0.49999]])
    with pytest.raises(StructureError, match=r"'x': sites 1 and 2 are .* A apart"):
        nearest_neighbors(5 * np.eye(3), frac_coords, config, id="x")


def test_more_sites_than_indices_are_refused():
    with pytest.raises(StructureError, match="at most 65535 sites, got 65536"):
        nearest_neighbors(100 * np.eye(3), np.zeros((65536, 3)), CUT)
