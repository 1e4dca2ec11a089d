"""Bond vectors: the periodic image behind each edge of a graph."""

import numpy as np

from cgatjax.config import GraphConfig
from cgatjax.errors import StructureError
from cgatjax.graphs.neighbors import SELF_DISTANCE, nearest_neighbors
from cgatjax.structures import Crystal

_SLACK = 1e-6
"""Relative; distances from here and from pymatgen's search differ by rounding only."""


def bond_vectors(crystal: Crystal, config: GraphConfig) -> np.ndarray:
    """Compute the vectors (edges, 3) from center to neighbor in angstrom, ordered as the edges of
    `featurize`.

    Edges of one center, neighbor and shell are equal for every network. If a shell is cut, the
    images kept of a neighbor are therefore only determined up to a choice among equal ones.
    """
    found = nearest_neighbors(crystal.lattice, crystal.frac_coords, config, id=crystal.id)
    vectors = np.empty((len(found.center), 3))
    for site in range(crystal.n_sites):
        edges = np.flatnonzero(found.center == site)
        reach = float(found.distance[edges].max()) * (1 + _SLACK)
        owner, seen, length = _images(crystal, site, reach)
        # Both lists sorted by (neighbor, distance): the r-th edge to a neighbor is its r-th image.
        mine = edges[np.lexsort((found.distance[edges], found.neighbor[edges]))]
        theirs = np.lexsort((length, owner))
        first = np.searchsorted(owner[theirs], found.neighbor[mine])
        rank = np.arange(len(mine)) - np.searchsorted(found.neighbor[mine], found.neighbor[mine])
        places = theirs[first + rank]
        if not np.allclose(length[places], found.distance[mine], rtol=_SLACK):
            raise StructureError(
                f"{crystal.id!r}: images around site {site} do not match its edges"
            )
        vectors[mine] = seen[places]
    return vectors


def _images(crystal: Crystal, site: int, reach: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return site, vector from `site` and length of all images within reach, without itself."""
    offsets = crystal.frac_coords - crystal.frac_coords[site]
    whole = np.floor(offsets)
    # Heights of the cell over its faces: a sphere of this reach spans reach/height cells each way.
    heights = 1 / np.linalg.norm(np.linalg.inv(crystal.lattice), axis=0)
    most = np.ceil(reach / heights).astype(int) + 1
    cells = np.stack(np.meshgrid(*(np.arange(-m, m + 1) for m in most), indexing="ij"), -1)
    shifts = (offsets - whole)[:, None, :] + cells.reshape(-1, 3)
    seen = shifts.reshape(-1, 3) @ crystal.lattice
    length = np.linalg.norm(seen, axis=1)
    near = (length <= reach) & (length > SELF_DISTANCE)
    owner = np.repeat(np.arange(crystal.n_sites), len(shifts[0]))
    return owner[near], seen[near], length[near]
