import numpy as np
import pytest

from cgatjax.errors import StructureError
from cgatjax.structures.poscar import fractional, parse_poscar

HEADER = "rock salt\n{scale}\n0 2 2\n2 0 2\n2 2 0\n"
ROCK_SALT = HEADER.format(scale="1.0") + "Na Cl\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n"


def test_direct_coordinates():
    lattice, coords, numbers = parse_poscar(ROCK_SALT)
    np.testing.assert_array_equal(lattice, [[0, 2, 2], [2, 0, 2], [2, 2, 0]])
    np.testing.assert_array_equal(coords, [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert numbers.tolist() == [11, 17]


@pytest.mark.parametrize(
    ("scale", "factors"),
    [("1.5", [1.5] * 3), ("-54.0", [1.5] * 3), ("1.0 1.5 2.0", [1.0, 1.5, 2.0])],
)
def test_scale_and_cartesian_coordinates(scale, factors):
    # The unscaled volume is 16, so that -54 stands for the factor (54 / 16)^(1/3) = 1.5.
    text = HEADER.format(scale=scale) + "Na Cl\n1 1\ncartesian\n0 0 0\n2 2 2\n"
    lattice, coords, _ = parse_poscar(text)
    np.testing.assert_allclose(lattice, np.array([[0, 2, 2], [2, 0, 2], [2, 2, 0]]) * factors)
    np.testing.assert_allclose(coords, [[0, 0, 0], [0.5, 0.5, 0.5]], atol=1e-12)


def test_selective_dynamics_velocities_comments_and_potcar_names():
    text = (
        "\n1.0 ! scale\n4 0 0 # a\n0 4 0\n0 0 4\nCs_sv/1a2b Cl\n1 1\nSelective dynamics\nDirect\n"
        "0 0 0 T F T\n.5 .5 .5 F F F Cl\n\n0.1 0.1 0.1\n"
    )
    lattice, coords, numbers = parse_poscar(text.replace("\n", "\r\n"))
    np.testing.assert_array_equal(lattice, 4 * np.eye(3))
    np.testing.assert_array_equal(coords, [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert numbers.tolist() == [55, 17]


@pytest.mark.parametrize("flags", ["", " T T F"])
def test_version_4_with_symbols_after_the_positions(flags):
    text = ROCK_SALT.replace("Na Cl\n1 1\n", "2 1\n" + ("Selective\n" if flags else ""))
    text = text.replace("0 0 0\n0.5 0.5 0.5\n", "0 0 0F Na\n.2 0 0F Na\n0.5 0.5 0.5F Cl\n")
    flagged = text.replace("F Na", f"{flags} Na").replace("F Cl", f"{flags} Cl")
    _, coords, numbers = parse_poscar(flagged)
    assert numbers.tolist() == [11, 11, 17]
    np.testing.assert_array_equal(coords, [[0, 0, 0], [0.2, 0, 0], [0.5, 0.5, 0.5]])
    mixed = text.replace("F Na", " Na", 1).replace("F Na", " K").replace("F Cl", " Cl")
    with pytest.raises(StructureError, match=r"2 positions have \['K', 'Na'\]"):
        parse_poscar(mixed)


def test_exponents_of_fortran():
    text = ROCK_SALT.replace("1.0\n", "0.1D+01\n").replace("0 2 2", "0 2.D0 0.2d+1")
    lattice, coords, _ = parse_poscar(text.replace("0.5 0.5 0.5", "5.0D-01 0.5 0.05d1"))
    np.testing.assert_array_equal(lattice, [[0, 2, 2], [2, 0, 2], [2, 2, 0]])
    np.testing.assert_array_equal(coords[1], [0.5, 0.5, 0.5])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Na Cl\n1 1\n", "1 1\n", "VASP 4"),
        ("Na Cl", "Na Qq", "unknown element 'Qq'"),
        ("1 1\n", "1\n", "positive number of sites"),
        ("1 1\n", "1 0\n", "positive number of sites"),
        ("1 1\n", "1 x\n", "positive number of sites"),
        ("1.0\n", "one\n", "scale factor"),
        ("1.0\n", "0\n", "scale factor"),
        ("0 2 2\n", "0 2\n", "lattice"),
        ("0 2 2\n2 0 2\n2 2 0\n", "0 2\n2 0\n2 2\n", "three numbers in each lattice line"),
        ("0.5 0.5 0.5\n", "", "expected 2 lines of positions, got 1"),
        ("0.5 0.5 0.5\n", "0.5 0.5\n", "expected 2 lines of positions, got 1"),
        ("0.5 0.5 0.5\n", "0.5 0.5 x\n", "three numbers for each position"),
        (ROCK_SALT, "rock salt\n1.0\n", "at least 8 lines, got 2"),
        (ROCK_SALT, "", "at least 8 lines, got 0"),
    ],
)
def test_malformed_files(old, new, message):
    assert old in ROCK_SALT
    with pytest.raises(StructureError, match=message):
        parse_poscar(ROCK_SALT.replace(old, new))


def test_flat_cells():
    flat = ROCK_SALT.replace("2 2 0", "2 2 4")
    with pytest.raises(StructureError, match="singular"):
        parse_poscar(flat.replace("1.0\n", "-20\n"))
    with pytest.raises(StructureError, match="singular"):
        parse_poscar(flat.replace("Direct", "Cartesian"))
    with pytest.raises(StructureError, match="singular"):
        fractional(np.zeros((3, 3)), np.zeros((1, 3)))
