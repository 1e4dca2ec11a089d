import numpy as np
import pytest
from tests.structures import cif_dialects
from tests.structures.cif_dialects import CA_OH, HALITE, PORTLANDITE, Dialect, halite, made, zinc

from cgatjax.errors import StructureError
from cgatjax.structures.cif.parser import cell_of_cif

DIALECTS = cif_dialects.dialects()


@pytest.mark.parametrize("dialect", DIALECTS, ids=[dialect.name for dialect in DIALECTS])
def test_no_dialect_is_read_as_another_crystal(dialect: Dialect) -> None:
    assert cif_dialects.outcome(cif_dialects.read_by_cgatjax, dialect) == "right"


def test_names_of_dialects_are_distinct():
    assert len({dialect.name for dialect in DIALECTS}) == len(DIALECTS) > 100


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (halite(), "the cell has Cl1 Na1 by P 1"),
        (halite(symmetry="F m q m"), "P 1 for 'F m q m'"),
        (halite(symmetry="F m -3 m", z=2), "formula sum and Z of the file are Cl1 Na1 and 2"),
        (made(PORTLANDITE, CA_OH[:2], symmetry="P -3 m 1", formula="Ca H2 O2"), "formula has H"),
        (made(HALITE, [("Na1", "Na", 0, 0, 0), ("K1", "K", 0, 0, 0)], symmetry="P 1"), "Na1 .Na."),
        (zinc("0.31", "0.66", ops=cif_dialects.operations("P 63/m m c")), "Zn12|Zn24"),
    ],
)
def test_refusals_say_what_was_read_and_what_the_file_states(text, reason):
    with pytest.raises(StructureError, match=reason):
        cell_of_cif(text)


@pytest.mark.parametrize(("x", "y"), [("0.333", "0.667"), ("0.33", "0.67"), ("0.3333", "0.6666")])
def test_rounded_sites_are_moved_to_their_special_position(x, y):
    ops = cif_dialects.operations("P 63/m m c")
    _, coords, _ = cell_of_cif(zinc(x, y, ops=ops))
    np.testing.assert_allclose(np.sort(coords[:, 0]), [1 / 3, 2 / 3], atol=1e-12)


def test_a_rounded_third_without_symmetry_is_exact_but_a_refined_one_is_kept():
    rows = [("Na1", "Na", "0.3333", "0.333(1)", "0.3300")]
    _, coords, _ = cell_of_cif(made(HALITE, rows, symmetry="P 1"))
    assert coords.tolist() == [[1 / 3, 0.333, 0.33]]


def test_right_angles_are_exact():
    lattice, _, _ = cell_of_cif(halite(symmetry="F m -3 m"))
    np.testing.assert_array_equal(lattice, 5.64 * np.eye(3))
