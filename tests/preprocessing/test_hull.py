"""Hull distances: by hand, against pymatgen, and for any order of entries and any cells."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.doc_tables import table_under

from cgatjax.errors import ConfigError, InputError
from cgatjax.preprocessing.hull import KnownHull, composition_of, hull_energies
from cgatjax.structures.readers import read_crystals

A, B = ((11, 1),), ((17, 1),)
AB, A3B, AB3 = ((11, 1), (17, 1)), ((11, 3), (17, 1)), ((11, 1), (17, 3))

# Total energies in eV/atom; references -1 and -2, so AB is counted from -1.5 and so on.
BINARY = [
    (A, -1.0),
    (A, -0.8),
    (B, -2.0),
    (AB, -2.5),
    (AB, -2.3),
    (AB, -1.6),
    (A3B, -1.55),
    (AB3, -2.45),
]
FORMATION = [0.0, 0.2, 0.0, -1.0, -0.8, -0.1, -0.3, -0.7]


def solve(entries, **options):
    return hull_energies([c for c, _ in entries], [e for _, e in entries], **options)


def test_a_binary_system_by_hand():
    found = solve(BINARY)
    assert found.reasons == {}
    np.testing.assert_allclose(found.formation, FORMATION, atol=1e-12)
    # AB -1.0 against its polymorph -0.8; the polymorphs against AB; A3B against (A, AB) at -0.5;
    # AB3 against (AB, B) at -0.5.
    expected = [0.0, 0.2, 0.0, -0.2, 0.2, 0.9, 0.2, -0.2]
    np.testing.assert_allclose(found.distance, expected, atol=1e-9)


def test_a_binary_system_ignoring_polymorphs_by_hand():
    # Without AB, the line from A3B (-0.3) to AB3 (-0.7) passes its composition at -0.5.
    expected = [0.0, 0.2, 0.0, -0.5, -0.3, 0.4, 0.2, -0.2]
    found = solve(BINARY, polymorphs="ignore")
    np.testing.assert_allclose(found.distance, expected, atol=1e-9)


def test_the_example_of_the_page():
    first = "example: A, B at 0, A3B at -0.3, AB3 at -0.7 eV/atom, and AB at"
    _, *lines = table_under("docs/data.md", "Formation energies and hull distances", first)
    assert [float(line[0]) for line in lines] == FORMATION[3:6]
    for column, polymorphs in enumerate(("compete", "ignore"), 1):
        shown = [float(line[column].split("= ")[1]) for line in lines]
        np.testing.assert_allclose(solve(BINARY, polymorphs=polymorphs).distance[3:6], shown)


def test_an_unstable_polymorph_does_not_compete():
    entries = [(c, -1.9 if e == -2.3 else e) for c, e in BINARY]
    np.testing.assert_allclose(solve(entries).distance[3:5], [-0.5, 0.6], atol=1e-9)


def test_formation_energies_need_no_elements():
    entries = [(c, f) for (c, _), f in zip(BINARY, FORMATION, strict=True) if len(c) > 1]
    found = solve(entries, are_formation=True)
    assert solve([(A, 0.1), (A, 0.3)], are_formation=True).distance.tolist() == [0.1, 0.3]
    np.testing.assert_allclose(found.distance, solve(BINARY).distance[3:], atol=1e-9)
    np.testing.assert_array_equal(found.formation, [f for _, f in entries])


def test_entries_without_reference_or_energy_have_a_reason():
    entries = [
        *BINARY,
        (((17, 1), (19, 1)), -9.0),
        (((8, 1), (11, 2), (19, 1)), -9.0),
        (AB, np.nan),
    ]
    found = solve(entries)
    assert found.reasons == {
        8: "no reference entry of the pure element K",
        9: "no reference entry of the pure element O, K",
        10: "expected a finite energy, got nan",
    }
    assert np.isnan(found.formation[8:]).all()
    assert np.isnan(found.distance[8:]).all()
    np.testing.assert_array_equal(found.distance[:8], solve(BINARY).distance)


def test_a_single_element():
    found = solve([(A, -3.0), (A, -3.5), (A, -3.5)])
    np.testing.assert_allclose(found.distance, [0.5, 0.0, 0.0])
    assert solve([]).distance.shape == (0,)


def test_invalid_input_is_refused():
    with pytest.raises(ConfigError, match="'compete' or 'ignore', got 'both'"):
        solve(BINARY, polymorphs="both")
    with pytest.raises(InputError, match=r"expected 1 energies, got shape \(2,\)"):
        hull_energies([A], [1.0, 2.0])


def test_the_composition_does_not_depend_on_the_cell():
    cell = np.array([22, 8, 38, 8, 8])
    assert composition_of(cell) == composition_of(np.tile(cell, 4)[::-1])
    assert composition_of(cell) == ((8, 3), (22, 1), (38, 1))


@st.composite
def systems(draw, size: int = 3):
    """Compounds of up to `size` elements with random total energies; the elements are there."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    elements = np.array([3, 12, 26, 8][:size])
    entries = [(composition_of(np.array([z])), float(-z / 10)) for z in elements]
    for _ in range(draw(st.integers(1, 25))):
        counts = rng.integers(0, 4, size)
        counts[rng.integers(size)] += 1
        reference = float(counts @ (-elements / 10)) / counts.sum()
        cell = np.repeat(elements, counts)
        entries.append((composition_of(cell), reference + float(rng.normal(-0.1, 0.5))))
    return entries


@given(systems(4), st.integers(0, 99))
def test_the_order_of_the_entries_does_not_matter(entries, seed):
    order = np.random.default_rng(seed).permutation(len(entries))
    shuffled = solve([entries[k] for k in order])
    np.testing.assert_allclose(shuffled.distance, solve(entries).distance[order], atol=1e-8)


@given(systems(4))
def test_adding_the_correction_of_the_authors_to_pymatgens_convention(entries):
    """Their rule: below the hull of the others, polymorphs are measured against each other."""
    whole, alone = solve(entries), solve(entries, polymorphs="ignore")
    for composition in {c for c, _ in entries if len(c) > 1}:
        rows = [k for k, (c, _) in enumerate(entries) if c == composition]
        rows.sort(key=lambda k: entries[k][1])
        expected = alone.distance[rows]
        energies = np.array([entries[k][1] for k in rows])
        if expected[0] <= 0 and len(rows) > 1:
            first = energies[0] - energies[1] if expected[1] < 0 else expected[0]
            expected = np.append(first, energies[1:] - energies[0])
        np.testing.assert_allclose(whole.distance[rows], expected, atol=1e-8)


@given(systems(3))
def test_pymatgen_finds_the_same(entries):
    from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
    from pymatgen.core import Composition, Element

    theirs = [
        PDEntry(Composition({Element.from_Z(z): n for z, n in c}), e * sum(n for _, n in c))
        for c, e in entries
    ]
    diagram = PhaseDiagram(theirs)
    found = solve(entries, polymorphs="ignore")
    formation = [diagram.get_form_energy_per_atom(entry) for entry in theirs]
    np.testing.assert_allclose(found.formation, formation, atol=1e-9)
    distance = [diagram.get_phase_separation_energy(entry) for entry in theirs]
    # Theirs is an optimization that stops at a tolerance.
    np.testing.assert_allclose(found.distance, distance, atol=2e-5)


def test_any_executor_finds_the_same(monkeypatch):
    monkeypatch.setattr("cgatjax.preprocessing.hull.CHUNK", 2)
    rng = np.random.default_rng(0)
    entries = [(composition_of(np.array([z])), 0.0) for z in range(3, 12)]
    cells = [rng.integers(3, 12, rng.integers(2, 6)) for _ in range(150)]
    entries += [(composition_of(c), float(rng.normal(-0.5, 0.3))) for c in cells]
    serial = solve(entries)
    with ThreadPoolExecutor(3) as pool:
        np.testing.assert_array_equal(solve(entries, executor=pool).distance, serial.distance)
    np.testing.assert_array_equal(solve(entries, workers=2).distance, serial.distance)


@pytest.mark.long
def test_labels_of_a_larger_set_lie_at_or_above_ours(shared):
    """The labels come from more entries than there are here: their hull is never higher."""
    crystals = list(read_crystals([shared / "data" / "pbe"]))
    labels = np.array([c.targets.get("e_above_hull_new", np.nan) for c in crystals])
    compositions = [composition_of(c.atomic_numbers) for c in crystals]
    energies = [c.targets["e-form"] for c in crystals]
    found = hull_energies(compositions, energies, are_formation=True, polymorphs="ignore")
    excess = (labels - found.distance)[np.isfinite(labels)]
    assert excess.min() > -1e-6
    assert np.mean(excess < 1e-6) > 0.75


def test_the_hull_of_known_phases_by_hand():
    hull = KnownHull([c for c, _ in BINARY], FORMATION)
    # AB at -1 and AB3 at -0.7 are on the hull; A3B at -0.3 is above the line from A to AB.
    found = [hull.energy(c) for c in (A, AB, A3B, AB3, ((11, 1), (17, 2)))]
    # AB2 is a mixture of AB (2 atoms) and AB3 (4 atoms).
    np.testing.assert_allclose(found, [0, -1, -0.5, -0.7, (2 * -1 + 4 * -0.7) / 6], atol=1e-9)
    assert hull.energy(((3, 1), (9, 1))) == 0
    assert hull.digest == KnownHull([c for c, _ in BINARY[::-1]], FORMATION[::-1]).digest
    assert hull.digest != KnownHull([AB], [-1.0]).digest
    with pytest.raises(InputError, match="phase 0 of the hull: expected a finite energy, got nan"):
        KnownHull([AB], [float("nan")])


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4), st.floats(-2, 1)), max_size=6))
def test_known_hull_is_that_of_entries_above_it(phases):
    """An entry far above the hull does not change it: its distance shows the hull of the others."""
    entries = [(composition_of(np.repeat([11, 17], (a, b))), e) for a, b, e in phases]
    hull = KnownHull([c for c, _ in entries], [e for _, e in entries])
    target = ((11, 2), (17, 5))
    high = hull_energies(
        [*(c for c, _ in entries), target], [*(e for _, e in entries), 10.0], are_formation=True
    )
    assert hull.energy(target) == pytest.approx(10.0 - high.distance[-1], abs=1e-8)
