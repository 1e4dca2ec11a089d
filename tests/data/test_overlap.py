"""Overlap of data sets, counted by hand on a few crystals."""

import csv
import dataclasses

import numpy as np
import pytest

from cgatjax.config import GraphConfig
from cgatjax.data.build import build_store
from cgatjax.data.overlap import compare, find_duplicates
from cgatjax.errors import InputError, MismatchError, RunExistsError
from cgatjax.structures.crystal import Crystal

RECOMMENDED = GraphConfig.recommended()


def renamed(crystal: Crystal, name: str, **changes) -> Crystal:
    return dataclasses.replace(crystal, id=name, **changes)


@pytest.fixture
def stores(prototypes, tmp_path):
    """NaCl twice, CsCl and SrTiO3; a smaller NaCl, LiCl, and SrTiO3 under another name."""
    salt, cell = prototypes["NaCl"], prototypes["NaCl"].lattice
    lithium = np.where(salt.atomic_numbers == 11, 3, 17).astype(np.uint8)
    first = [
        *(prototypes[name] for name in ("NaCl", "CsCl", "SrTiO3")),
        renamed(salt, "again", lattice=1.01 * cell),
    ]
    second = [
        renamed(salt, "NaCl", lattice=0.9 * cell),
        renamed(salt, "LiCl", atomic_numbers=lithium),
        renamed(prototypes["SrTiO3"], "titanate"),
    ]
    return {
        name: build_store(crystals, tmp_path / name, RECOMMENDED)
        for name, crystals in (("first", first), ("second", second))
    }


def test_overlap_of_two_stores(stores):
    report = compare(stores)
    assert {p.by: (p.n_keys, p.n_first, p.n_second) for p in report.pairs()} == {
        "id": (1, 1, 1),
        "formula": (2, 3, 2),
        "graph": (2, 3, 2),
        "prototype": (2, 3, 3),
    }
    distinct = {by: [report.distinct(by, name) for name in stores] for by in report.keys}
    assert distinct == {"id": [4, 3], "formula": [3, 3], "graph": [3, 3], "prototype": [3, 2]}


def test_the_csv_lists_every_crystal_that_shares_a_key(stores, tmp_path):
    report = compare(stores, ["graph"])
    assert report.write(tmp_path / "shared.csv") == 5
    rows = list(csv.DictReader((tmp_path / "shared.csv").read_text().splitlines()))
    groups = {}
    for row in rows:
        groups.setdefault(row["key"], set()).add((row["set"], row["id"]))
    salt = {("first", "NaCl"), ("first", "again"), ("second", "NaCl")}
    titanate = {("first", "SrTiO3"), ("second", "titanate")}
    assert sorted(groups.values(), key=len) == [titanate, salt]
    with pytest.raises(RunExistsError, match="exists; choose another name"):
        report.write(tmp_path / "shared.csv")


def test_subsets_of_a_split_are_compared_too(ionic_store):
    train, valid, test = ionic_store.split(by="prototype", seed=2, fractions=(0.6, 0.2, 0.2))
    report = compare({"train": train, "valid": valid, "test": test})
    assert min(len(train), len(valid), len(test)) > 0
    assert all(p.n_keys == 0 for p in report.pairs() if p.by in ("id", "graph", "prototype"))
    by_id = ionic_store.split(seed=2)
    leaking = compare({"train": by_id[0], "test": by_id[2]}, ["prototype"]).pairs()[0]
    assert leaking.n_second > len(by_id[2]) / 2


def test_data_sets_that_cannot_be_compared(stores, prototypes, tmp_path):
    other = build_store([prototypes["NaCl"]], tmp_path / "other", GraphConfig.released())
    sets = {"first": stores["first"], "other": other}
    with pytest.raises(MismatchError, match="made with the same options"):
        compare(sets)
    assert [p.n_keys for p in compare(sets, ["id", "formula"]).pairs()] == [1, 1]
    with pytest.raises(InputError, match=r"some of \['id'.*got \['element'\]"):
        compare(stores, ["element"])
    with pytest.raises(InputError, match="expected data sets"):
        compare({})


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("id", {"NaCl"}),
        ("formula", {"NaCl", "again"}),
        ("graph", {"NaCl", "again"}),
        ("prototype", {"NaCl", "again"}),
    ],
)
def test_duplicates_of_given_crystals(stores, by, expected):
    first, second = stores["first"], stores["second"]
    salt, lithium = (second.all().select(second.rows_of([name])) for name in ("NaCl", "LiCl"))
    assert set(find_duplicates(salt, first, by)) == expected
    # LiCl is in the second store only; its structure type is that of NaCl.
    assert set(find_duplicates(lithium, first, by)) == (expected if by == "prototype" else set())
