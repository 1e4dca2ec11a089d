"""Bond vectors end at images of the neighbor, at its distance."""

import numpy as np
import pytest

from cgatjax.config import GraphConfig
from cgatjax.graphs.bond_vectors import bond_vectors
from cgatjax.graphs.crystal_graph import featurize
from cgatjax.graphs.neighbors import nearest_neighbors
from cgatjax.structures.crystal import Crystal
from cgatjax.synthetic.dataset import ionic_crystals

OPTIONS = [GraphConfig.released(), GraphConfig.recommended()]


def random_crystal(seed: int) -> Crystal:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    return Crystal(
        id=f"random {seed}",
        lattice=np.diag(rng.uniform(2.5, 8, 3)) + rng.uniform(-1, 1, (3, 3)),
        frac_coords=rng.uniform(-1.5, 1.5, (n, 3)),
        atomic_numbers=rng.integers(1, 90, n).astype(np.uint8),
    )


def test_rock_salt_by_hand():
    salt = Crystal(
        id="NaCl",
        lattice=np.array([[0, 2.0, 2], [2, 0, 2], [2, 2, 0]]),
        frac_coords=np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]]),
        atomic_numbers=np.array([11, 17], np.uint8),
    )
    vectors = bond_vectors(salt, GraphConfig.recommended(max_neighbors=6))
    axes = {(2, 0, 0), (0, 2, 0), (0, 0, 2), (-2, 0, 0), (0, -2, 0), (0, 0, -2)}
    assert {tuple(v) for v in vectors[:6].round(9)} == axes
    assert {tuple(v) for v in vectors[6:].round(9)} == axes


@pytest.mark.parametrize("config", OPTIONS, ids=["cut", "share"])
@pytest.mark.parametrize(
    "crystal", [*ionic_crystals(4, seed=1), *map(random_crystal, range(6))], ids=lambda c: c.id
)
def test_every_vector_ends_at_a_different_image_of_the_neighbor(crystal, config):
    vectors, graph = bond_vectors(crystal, config), featurize(crystal, config)
    found = nearest_neighbors(crystal.lattice, crystal.frac_coords, config)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), found.distance, rtol=1e-9)
    ends = crystal.frac_coords[graph.edge_center] + vectors @ np.linalg.inv(crystal.lattice)
    cells = ends - crystal.frac_coords[graph.edge_neighbor]
    np.testing.assert_allclose(cells, cells.round(), atol=1e-9)
    images = np.column_stack([graph.edge_center, graph.edge_neighbor, cells.round()])
    assert len(np.unique(images, axis=0)) == graph.n_edges
