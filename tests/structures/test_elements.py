import json
import math
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pymatgen.core import Composition, Element
from tests.structures.periodic_vectors import periodic_vectors

from cgatjax.errors import InputError, StructureError
from cgatjax.structures.elements import (
    _BY_ELECTRONEGATIVITY,
    SYMBOLS,
    ElementTable,
    atomic_number,
    readable_formula,
    reduced_formula,
)


@pytest.mark.parametrize(
    ("symbol", "number"),
    [("H", 1), ("O", 8), ("Fe", 26), ("La", 57), ("U", 92), ("Lr", 103), ("D", 1), ("T", 1)],
)
def test_atomic_numbers(symbol, number):
    assert atomic_number(symbol) == number


def test_symbols_agree_with_pymatgen():
    core = pytest.importorskip("pymatgen.core")
    assert SYMBOLS[1:] == tuple(core.Element.from_Z(z).symbol for z in range(1, 104))


@pytest.mark.parametrize("symbol", ["Xx", "h", " O", "O ", "Rf", "", "Fe3+", None, ["O"]])
def test_unknown_symbols_are_named(symbol):
    with pytest.raises(StructureError, match="unknown element"):
        atomic_number(symbol)


def test_reduced_formula_by_hand():
    assert reduced_formula([38, 22, 8, 8, 8]) == "O3SrTi"
    assert reduced_formula(np.array([11, 17, 11, 17], dtype=np.uint8)) == "ClNa"
    assert reduced_formula([8, 8]) == "O"
    assert reduced_formula([8, 26, 8], counts=[4, 4, 2]) == "Fe2O3"
    assert reduced_formula([13, 8], counts=np.array([200, 300], dtype=np.uint16)) == "Al2O3"


@given(st.lists(st.integers(1, 103), min_size=1, max_size=20), st.integers(1, 5), st.randoms())
def test_reduced_formula_is_a_key_of_the_composition(numbers, times, random):
    shuffled = numbers * times
    random.shuffle(shuffled)
    amounts = Counter(numbers)
    assert reduced_formula(shuffled) == reduced_formula(numbers)
    assert reduced_formula(list(amounts), list(amounts.values())) == reduced_formula(numbers)


@given(st.lists(st.integers(1, 103), min_size=2, max_size=2, unique=True), st.integers(2, 9))
def test_formulas_are_shown_in_the_order_of_pymatgen(numbers, amount):
    key = reduced_formula(numbers, [1, amount])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # noble gases without an electronegativity
        assume(not any(math.isnan(float(Element.from_Z(z).X)) for z in numbers))
        assert readable_formula(key) == Composition(key).reduced_formula


def test_formulas_are_shown_as_chemists_write_them():
    shown = [readable_formula(key) for key in ("ClNa", "O3SrTi", "FeLiO4P", "F2Xe", "O", "Al2O3")]
    assert shown == ["NaCl", "SrTiO3", "LiFePO4", "XeF2", "O", "Al2O3"]
    assert sorted(_BY_ELECTRONEGATIVITY) == sorted(SYMBOLS[1:])


@pytest.mark.parametrize("numbers", [[], [0, 1], [104], [-1]])
def test_reduced_formula_of_no_elements(numbers):
    with pytest.raises(StructureError, match=r"1\.\.103"):
        reduced_formula(numbers)


def test_matscholar_is_the_published_table():
    table = ElementTable.matscholar()
    assert table.vectors.shape == (104, 200)
    assert table.vectors.dtype == np.float32
    assert not table.vectors[0].any()
    assert not table.known[0]
    assert table.known[1:].all()
    assert table.digest() == "0d439d919848b211"
    assert table is ElementTable.matscholar()
    # Alkali metals are alike, hydrogen is not: 11 Na, 19 K, 1 H.
    unit = table.vectors / np.linalg.norm(table.vectors, axis=1).clip(1e-9)[:, None]
    assert unit[11] @ unit[19] > unit[11] @ unit[1]


@pytest.mark.filterwarnings("ignore:No .* for")
def test_periodic_vectors_are_those_of_the_periodic_table():
    table, vectors = ElementTable.periodic(), periodic_vectors()
    assert table.vectors.shape == (104, 117)
    assert list(SYMBOLS[1:]) == list(vectors)
    assert np.array_equal(table.vectors[1:], np.array(list(vectors.values())))
    iron = table.vectors[26]
    group, period, block, subshells = iron[:18], iron[18:27], iron[27:31], iron[81:]
    assert [np.flatnonzero(x).tolist() for x in (group, period, block)] == [[7], [3], [2]]
    # [Ar] 3d6 4s2: two s, no p, six d and no f electrons, after 3, 7 and 11 places.
    assert np.flatnonzero(subshells).tolist() == [2, 3, 3 + 7 + 6, 3 + 7 + 11]


def test_both_tables_side_by_side_have_numbers_of_one_size():
    both, matscholar = ElementTable.named("both"), ElementTable.named("matscholar")
    assert both.dim == 317
    assert np.array_equal(both.vectors[:, :117], ElementTable.named("periodic").vectors)
    scaled = both.vectors[1:, 117:]
    assert scaled.std() == pytest.approx(1, rel=1e-5)
    assert scaled / matscholar.vectors[1:].std() ** -1 == pytest.approx(matscholar.vectors[1:])
    with pytest.raises(InputError, match="expected the element table matscholar, periodic or both"):
        ElementTable.named("one-hot")


def test_tables_are_values_that_cannot_be_changed():
    table = ElementTable.from_vectors("mine", {"H": [1, 2], "O": [3, 4]})
    twin = ElementTable.from_vectors("mine", {"O": [3.0, 4.0], "H": [1.0, 2.0]})
    assert table == twin
    assert hash(table) == hash(twin)
    assert table != ElementTable.from_vectors("other", {"H": [1, 2], "O": [3, 4]})
    assert table != ElementTable.from_vectors("mine", {"H": [1, 2], "O": [3, 5]})
    assert table != "mine"
    assert table.dim == 2
    assert table.missing(np.array([1, 8, 26, 6, 6])) == ["C", "Fe"]
    with pytest.raises(ValueError, match="read-only"):
        table.vectors[1, 0] = 9.0


def test_an_element_may_have_the_zero_vector():
    table = ElementTable.from_vectors("mine", {"H": [0.0], "He": [1.0]})
    assert table.known[1]
    assert table != ElementTable.from_vectors("mine", {"He": [1.0]})


def test_load_formats_agree(tmp_path: Path):
    vectors = {"H": [0.5, -1.0], "Cl": [2.0, 0.25]}
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "mine.json").write_text(json.dumps(vectors))
    (tmp_path / "mine.csv").write_text("element,a,b\nH,0.5,-1.0\nCl,2.0,0.25\n")
    (tmp_path / "json" / "mine.csv").write_text("H, 0.5, -1.0\n\nCl, 2.0, 0.25\n")
    np.savez(tmp_path / "mine.npz", symbols=np.array(["H", "Cl"]), vectors=[[0.5, -1], [2, 0.25]])
    expected = ElementTable.from_vectors("mine", vectors)
    for file in ("json/mine.json", "mine.csv", "json/mine.csv", "mine.npz"):
        assert ElementTable.load(tmp_path / file) == expected


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.json", '{"Xx": [1]}', "Xx"),
        ("t.json", '{"H": [1], "O": [1, 2]}', r"lengths \[1, 2\]"),
        ("t.json", '{"H": [NaN]}', "vector of H"),
        ("t.json", '{"H": [1], "O": ["a"]}', "list of numbers"),
        ("t.json", '{"H": [1], "H": [2]}', "twice"),
        ("t.json", '{"H": []}', r"\(104, dim\)"),
        ("t.json", "{}", "nothing"),
        ("t.json", "[1, 2]", "expected an object"),
        ("t.json", '{"H": [1', "cannot be read"),
        ("t.csv", "H,1\nO,\n", "cannot be read"),
        ("t.csv", "H,1\nO,inf\n", "vector of O"),
        ("t.csv", "H,1\nH,1\n", "twice"),
        ("t.npz", "no zip", "cannot be read"),
        ("t.txt", "H 1", "expected one of"),
    ],
)
def test_bad_tables(tmp_path: Path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        ElementTable.load(tmp_path / name)


def test_missing_table(tmp_path: Path):
    with pytest.raises(InputError, match="cannot be read"):
        ElementTable.load(tmp_path / "no.json")


@pytest.mark.parametrize("shape", [(103, 2), (104,), (104, 0)])
def test_arrays_of_another_shape(shape):
    known = np.arange(104) > 0
    with pytest.raises(InputError, match="expected"):
        ElementTable("mine", np.ones(shape), known)
    with pytest.raises(InputError, match="flags"):
        ElementTable("mine", np.zeros((104, 2)), np.zeros(104, dtype=bool))
    with pytest.raises(InputError, match="zero where there is none"):
        ElementTable("mine", np.ones((104, 2)), known)
