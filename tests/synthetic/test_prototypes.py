import numpy as np
import pytest

from cgatjax.errors import InputError
from cgatjax.synthetic.lattice_sums import pair_distances
from cgatjax.synthetic.prototypes import find_prototype, prototypes

ALL = pytest.mark.parametrize("prototype", prototypes(), ids=lambda prototype: prototype.name)
ELEMENTS = {"A": "Na", "B": "Mg", "C": "Al", "X": "O", "Y": "F"}


# pymatgen sets an option that spglib has deprecated.
@pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")
@ALL
def test_sites_have_the_space_group_and_the_cell_is_primitive(prototype):
    pymatgen = pytest.importorskip("pymatgen.core")
    analyzer = pytest.importorskip("pymatgen.symmetry.analyzer")
    species = [ELEMENTS[prototype.roles[role]] for role in prototype.site_roles]
    structure = pymatgen.Structure(8 * prototype.lattice, species, prototype.frac_coords)
    found = analyzer.SpacegroupAnalyzer(structure, symprec=1e-4)
    assert found.get_space_group_number() == prototype.spacegroup
    assert len(found.find_primitive()) == len(structure)


@ALL
def test_distances_to_the_24_nearest_neighbors_are_equal_or_distinct(prototype):
    n_sites = len(prototype.site_roles)
    reach = 2.6 * (prototype.volume / n_sites) ** (1 / 3)
    distance = pair_distances(prototype.lattice, prototype.frac_coords, reach)
    for row in np.sort(distance.reshape(n_sites, -1), axis=1):
        step = np.diff(row[np.isfinite(row)]) / row[: np.isfinite(row).sum() - 1]
        shell_ends = np.flatnonzero(step > 1e-12)
        beyond = shell_ends[shell_ends >= 23][0]
        steps = step[: beyond + 1]
        assert ((steps < 1e-12) | (steps > 1e-3)).all()


@ALL
def test_cells_have_few_sites_that_do_not_overlap(prototype):
    assert 2 <= len(prototype.site_roles) <= 20
    assert (prototype.frac_coords >= -1e-9).all()
    assert (prototype.frac_coords < 1).all()
    assert (
        prototype.nearest.min() * (prototype.volume / len(prototype.site_roles)) ** (-1 / 3) > 0.7
    )
    assert prototype.role_counts.sum() == len(prototype.site_roles)


def test_names_are_unique():
    assert len({prototype.name for prototype in prototypes()}) == len(prototypes()) == 40


def test_nearest_distances_of_perovskite():
    perovskite = find_prototype("perovskite")
    assert perovskite.roles == ("A", "B", "X")
    expected = np.sqrt([[1, 0.75, 0.5], [0.75, 1, 0.25], [0.5, 0.25, 0.5]])
    np.testing.assert_allclose(perovskite.nearest, expected, atol=1e-12)


def test_equivalent_roles_are_of_one_sign():
    assert find_prototype("half-heusler").equivalent_roles == ((0, 1),)
    assert find_prototype("ordered-fluorite").equivalent_roles == ((1, 2),)
    assert find_prototype("rocksalt").equivalent_roles == ()
    assert find_prototype("perovskite").equivalent_roles == ()


def test_unknown_types_are_refused():
    with pytest.raises(InputError, match=r"rocksalt.*'quartz'"):
        find_prototype("quartz")
