"""Pairs of the same crystals: joined by id and graph, ambiguous ones counted, values compared."""

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
from tests.commands import ok, refused

import cgatjax as cg
from cgatjax.data.pairs import pairs

CONFIG = cg.GraphConfig.recommended()
CRYSTALS = cg.ionic_crystals(24, seed=3)
FULL = [f"low-{k}" for k in range(24)]


def doubled(crystal: cg.Crystal) -> cg.Crystal:
    """The same crystal in a cell of twice the size."""
    lattice = crystal.lattice * [[2.0], [1.0], [1.0]]
    coords = [crystal.frac_coords * [0.5, 1, 1] + [shift, 0, 0] for shift in (0.0, 0.5)]
    numbers = np.concatenate([crystal.atomic_numbers] * 2)
    return dataclasses.replace(
        crystal, lattice=lattice, frac_coords=np.concatenate(coords), atomic_numbers=numbers
    )


def built(out: Path, crystals: list[cg.Crystal], values: list[float], **options) -> cg.Store:
    made = [
        dataclasses.replace(crystal, targets={"e-form": value})
        for crystal, value in zip(crystals, values, strict=True)
    ]
    return cg.build_store(made, out, options.pop("config", CONFIG), **options)


def named(crystal: cg.Crystal, name: str) -> cg.Crystal:
    return dataclasses.replace(crystal, id=name)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[cg.Store, cg.Store]:
    """Low: 20 crystals. High: 8 with the same id, 6 doubled ones under other ids, 4 new ones."""
    folder = tmp_path_factory.mktemp("pairs")
    low = built(folder / "low", CRYSTALS[:20], [float(k) for k in range(20)])
    high = [*CRYSTALS[:8], *(named(doubled(c), f"new-{c.id}") for c in CRYSTALS[8:14])]
    high += CRYSTALS[20:]
    return low, built(folder / "high", high, [k + 0.5 for k in range(14)] + [0.0] * 4)


def test_ids_first_then_graphs(stores: tuple[cg.Store, cg.Store]) -> None:
    found = pairs(*stores, "e-form")
    assert len({c.id for c in CRYSTALS}) == 24
    assert list(found.low_ids) == [c.id for c in CRYSTALS[:14]]
    assert list(found.by) == ["id"] * 8 + ["graph"] * 6
    assert [(s.n_pairs, s.ambiguous, s.conflicts) for s in found.steps] == [(8, 0, 0), (6, 0, 0)]
    np.testing.assert_array_equal(found.difference, 0.5)
    assert (found.n_low, found.n_high, found.unit) == (20, 18, "eV/atom")
    assert len(pairs(*stores, "e-form", by=["graph"])) == 14


def test_ambiguous_keys_and_contradicting_ids_pair_nothing(tmp_path: Path) -> None:
    first = [CRYSTALS[0], named(doubled(CRYSTALS[0]), "again"), CRYSTALS[1]]
    second = [named(CRYSTALS[0], "x"), named(CRYSTALS[2], CRYSTALS[1].id)]
    low = built(tmp_path / "low", first, [1.0, 2.0, 3.0])
    high = built(tmp_path / "high", second, [1.0, 2.0])
    found = pairs(low, high, "e-form", by=("id", "graph", "formula"))
    assert len(found) == 0
    assert [(s.ambiguous, s.conflicts) for s in found.steps] == [(0, 1), (1, 0), (1, 0)]
    with pytest.raises(cg.TargetError, match="no pairs"):
        found.statistics()


def test_endings_of_functionals_do_not_part_ids(tmp_path: Path) -> None:
    crystals = [
        dataclasses.replace(CRYSTALS[0], id=f"agm1-{f}", targets={f"energy@{f}": value})
        for f, value in (("pbe", 1.0), ("SCAN", 3.0))
    ]
    store = cg.build_store(crystals, tmp_path / "s", CONFIG)
    found = pairs(store, store, "energy@SCAN", low_target="energy@pbe")
    assert (list(found.low_ids), list(found.high_ids)) == (["agm1-pbe"], ["agm1-SCAN"])
    assert found.difference.tolist() == [2.0]


def test_statistics_of_a_difference_that_follows_from_the_composition(tmp_path: Path) -> None:
    """The difference is linear in the fractions of the elements: little is left after the fit."""
    crystals = cg.ionic_crystals(300, seed=1)
    low_values = np.linspace(-3, 1, 300)
    shift = np.array([np.mean(c.atomic_numbers.astype(float)) / 40 for c in crystals])
    low = built(tmp_path / "low", crystals, low_values.tolist())
    high = built(tmp_path / "high", crystals, (low_values + shift).tolist())
    found = pairs(low, high, "e-form").statistics()
    assert found.n == 300
    assert found.mean == pytest.approx(shift.mean())
    assert found.mae == pytest.approx(found.mean)
    assert found.std == pytest.approx(shift.std(ddof=1))
    assert found.mae_after_fit < 0.1 * found.std
    assert found.correlation == pytest.approx(np.corrcoef(low_values, low_values + shift)[0, 1])


def test_wrong_keys_units_and_options(stores: tuple[cg.Store, cg.Store], tmp_path: Path) -> None:
    low, high = stores
    with pytest.raises(cg.InputError, match="id, graph and formula"):
        pairs(low, high, "e-form", by=["prototype"])
    with pytest.raises(cg.TargetError, match="gap"):
        pairs(low, high, "gap")
    other = built(tmp_path / "a", CRYSTALS[:3], [1.0] * 3, units={"e-form": "meV/atom"})
    with pytest.raises(cg.MismatchError, match="one unit"):
        pairs(low, other, "e-form")
    released = built(tmp_path / "b", CRYSTALS[:3], [1.0] * 3, config=cg.GraphConfig())
    with pytest.raises(cg.MismatchError, match="same options"):
        pairs(low, released, "e-form")
    assert len(pairs(low, released, "e-form", by=["id"])) == 3


def test_the_command_writes_a_table_and_a_store_to_train_on(
    stores: tuple[cg.Store, cg.Store], tmp_path: Path
) -> None:
    low, high = stores
    both = ["--store", tmp_path / "both", "--as", "e-form_pbe"]
    command = ["pairs", low.path, high.path, "--target", "e-form", "--out", tmp_path / "p.csv"]
    out = ok(*command, *both)
    assert "18 crystals with e-form, 14 of them paired" in out
    with open(tmp_path / "p.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[9]["id"] == f"new-{CRYSTALS[9].id}"
    assert (rows[9]["low_id"], rows[9]["by"]) == (CRYSTALS[9].id, "graph")
    assert (rows[9]["low [eV/atom]"], rows[9]["difference [eV/atom]"]) == ("9.0", "0.5")
    store = cg.open_store(tmp_path / "both", verify=True)
    assert store.ids == high.ids
    assert list(store.units) == ["e-form", "e-form_pbe", "cell_volume"]
    difference = store.target("e-form") - store.target("e-form_pbe")
    np.testing.assert_array_equal(difference, [0.5] * 14 + [np.nan] * 4)
    np.testing.assert_array_equal(store.target("e-form"), high.target("e-form"))
    np.testing.assert_array_equal(store.hashes(), high.hashes())
    assert "exists" in refused(*command)
    command[-1] = tmp_path / "q.csv"
    assert "already" in refused(*command, "--store", tmp_path / "again")
    assert "--store creates" in refused(*command[:5], "--as", "x")


def test_real_pairs_by_graph_are_those_of_their_ids(shared: Path, tmp_path: Path) -> None:
    """r2SCAN and PBE formation energies: graphs find the pairs known by id, and no false ones."""
    data, keep = shared / "data", cg.Filter(max_atoms=8, min_elements=2)
    low, high = (
        cg.build_store([file], tmp_path / file.name, CONFIG, keep=keep, targets=["e-form"])
        for file in (data / "pbe" / "pbe_000.json.bz2", data / "r2scan_eform")
    )
    by_id = pairs(low, high, "e-form", by=["id"])
    by_graph = pairs(low, high, "e-form", by=["graph"])
    known = dict(zip(by_id.high_ids, by_id.low_ids, strict=True))
    found = dict(zip(by_graph.high_ids, by_graph.low_ids, strict=True))
    assert len(known) > 50
    agree = sum(found.get(name) == other for name, other in known.items())
    assert agree > 0.9 * len(known)
    assert by_id.statistics().mae_after_fit < by_id.statistics().mae
