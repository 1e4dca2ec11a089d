"""Graph hashes are equal for equal crystals or structure types, and different for others."""

import dataclasses
import importlib.util
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgatjax.config import GraphConfig
from cgatjax.data.build import build_store
from cgatjax.graphs.crystal_graph import featurize
from cgatjax.graphs.hashes import graph_hash, prototype_hash
from cgatjax.graphs.reduction import reduce_graph
from cgatjax.structures.crystal import Crystal
from cgatjax.structures.readers import read_crystals
from cgatjax.synthetic.dataset import ionic_crystals

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "invariances.py"
_spec = importlib.util.spec_from_file_location("invariances", SCRIPT)
invariances = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(invariances)

RECOMMENDED = GraphConfig.recommended()
IONIC = ionic_crystals(600, seed=0)


def hashes(crystal: Crystal, config: GraphConfig = RECOMMENDED) -> tuple[int, int]:
    graph = featurize(crystal, config)
    return graph_hash(graph), prototype_hash(graph)


def with_elements(crystal: Crystal, *pairs: tuple[int, int]) -> Crystal:
    numbers = crystal.atomic_numbers.copy()
    for old, new in pairs:
        numbers[crystal.atomic_numbers == old] = new
    return dataclasses.replace(crystal, atomic_numbers=numbers)


def prototype_of(crystal: Crystal) -> str:
    return crystal.id.rsplit("-", 2)[0]


@pytest.mark.parametrize("change", list(invariances.CHANGES))
def test_the_same_crystal_in_another_setting_has_the_same_hashes(change):
    for number, crystal in enumerate([*IONIC[:12], invariances.random_crystal(1)]):
        other = invariances.CHANGES[change](crystal, np.random.default_rng(number))
        assert hashes(other) == hashes(crystal), crystal.id


def test_the_same_real_crystal_in_a_supercell_has_the_same_hashes(shared):
    crystals = list(read_crystals([shared / "reference" / "entries.json.gz"]))[::24]
    for number, crystal in enumerate(crystals):
        other = invariances.doubled(crystal, np.random.default_rng(number))
        assert hashes(other) == hashes(crystal), crystal.id


def test_reducing_before_changes_nothing(prototypes):
    for crystal in prototypes.values():
        graph = featurize(crystal, RECOMMENDED)
        assert graph_hash(reduce_graph(graph)) == graph_hash(graph)
        assert prototype_hash(reduce_graph(graph)) == prototype_hash(graph)


def test_another_decoration_shares_the_prototype_alone(prototypes):
    rock_salt = prototypes["NaCl"]
    for pairs in ([(11, 3)], [(11, 12), (17, 8)], [(11, 17), (17, 11)]):
        other = with_elements(rock_salt, *pairs)
        assert prototype_hash(featurize(other, RECOMMENDED)) == hashes(rock_salt)[1]
    # Sodium and chlorine see the same of each other: exchanged, it is the same crystal.
    exchanged = with_elements(rock_salt, (11, 17), (17, 11))
    assert graph_hash(featurize(exchanged, RECOMMENDED)) == hashes(rock_salt)[0]
    lithium = with_elements(rock_salt, (11, 3))
    assert graph_hash(featurize(lithium, RECOMMENDED)) != hashes(rock_salt)[0]
    # In fluorite they do not: CaF2 and "FCa2" are two crystals of one type.
    exchanged = with_elements(prototypes["CaF2"], (20, 9), (9, 20))
    ours, other = hashes(prototypes["CaF2"]), hashes(exchanged)
    assert (ours[0] != other[0], ours[1] == other[1]) == (True, True)


def test_sites_of_one_element_are_another_type(prototypes):
    """Polonium, caesium chloride with one element and with two: three simple lattices."""
    chloride = prototypes["CsCl"]
    body_centered = with_elements(chloride, (17, 55))
    types = {hashes(c)[1] for c in (prototypes["polonium"], chloride, body_centered)}
    assert len(types) == 3


def test_prototypes_of_the_synthetic_data_set_have_different_hashes():
    types, hashes_of_type = defaultdict(set), defaultdict(set)
    for crystal in IONIC:
        value = hashes(crystal)[1]
        types[value].add(prototype_of(crystal))
        hashes_of_type[prototype_of(crystal)].add(value)
    assert len(hashes_of_type) == 40
    assert {len(values) for values in hashes_of_type.values()} == {1}
    # A structure and its anti-structure are one type: only the charges are exchanged.
    together = {frozenset(names) for names in types.values() if len(names) > 1}
    assert together == {
        frozenset({"nias", "anti-nias"}),
        frozenset({"cdcl2", "anti-cdcl2"}),
        frozenset({"fluorite", "antifluorite"}),
        frozenset({"perovskite", "antiperovskite"}),
        frozenset({"half-heusler", "ordered-fluorite"}),
    }


def test_crystals_of_the_synthetic_data_set_have_different_hashes():
    assert len({hashes(crystal)[0] for crystal in IONIC}) == len(IONIC)


@given(seed=st.integers(0, 10**6))
def test_one_other_element_is_another_crystal(seed):
    rng = np.random.default_rng(seed)
    crystal = IONIC[int(rng.integers(len(IONIC)))]
    numbers = crystal.atomic_numbers.copy()
    numbers[rng.integers(len(numbers))] = 103
    other = dataclasses.replace(crystal, atomic_numbers=numbers)
    assert hashes(other)[0] != hashes(crystal)[0]


@pytest.mark.parametrize("reduce", [True, False])
def test_a_store_gives_the_hashes_of_its_graphs(tmp_path, reduce):
    crystals = IONIC[:30]
    config = dataclasses.replace(RECOMMENDED, max_neighbors=12)
    store = build_store(crystals, tmp_path / "s", config, reduce=reduce)
    expected = [hashes(c, config) for c in crystals]
    assert store.hashes("graph").tolist() == [graph for graph, _ in expected]
    rows = np.array([7, 3, 29])
    assert store.hashes("prototype", rows).tolist() == [expected[row][1] for row in rows]


def test_hashes_are_the_same_in_every_version(prototypes):
    # Splits by prototype are repeatable between versions only while these stay.
    assert [f"{h:016x}" for h in hashes(prototypes["SrTiO3"])] == [
        "1ce6781e44009b82",
        "4c83575a9127a202",
    ]
