"""Building stores: equal for any number of workers, and no crystal is lost silently."""

import csv
import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from tests.crystals import sound

from cgatjax.config import GraphConfig, ModelConfig
from cgatjax.data import build
from cgatjax.data.build import build_store
from cgatjax.data.filters import Filter
from cgatjax.data.store import open_store
from cgatjax.errors import (
    ConfigError,
    InputError,
    RunExistsError,
    StructureError,
    TargetError,
)
from cgatjax.graphs.crystal_graph import featurize
from cgatjax.graphs.reduction import reduce_graph
from cgatjax.model.model import init_model
from cgatjax.structures.crystal import Crystal
from cgatjax.structures.dcgat import write_dcgat
from cgatjax.synthetic.dataset import ionic_crystals

SHARE = GraphConfig.recommended()


def rocksalt(id: str = "NaCl", edge: float = 5.6, **changes) -> Crystal:
    crystal = Crystal(
        id=id,
        lattice=edge / 2 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]]),
        frac_coords=np.array([[0.0, 0, 0], [0.5, 0.5, 0.5]]),
        atomic_numbers=np.array([11, 17], np.uint8),
        targets={"heat": 1.5},
        source="here",
    )
    return dataclasses.replace(crystal, **changes)


FAULTS = {
    "unknown element": (
        rocksalt("odd", atomic_numbers=np.array([11, 120], np.uint8)),
        "unknown element with atomic number 120",
    ),
    "singular lattice": (
        rocksalt("odd", lattice=np.array([[1.0, 0, 0], [2, 0, 0], [0, 0, 1]])),
        "singular lattice",
    ),
    "NaN coordinates": (
        rocksalt("odd", frac_coords=np.array([[0.0, 0, 0], [np.nan, 0, 0]])),
        "NaN or infinity",
    ),
    "two atoms on one place": (
        rocksalt("odd", frac_coords=np.zeros((2, 3))),
        "",
    ),
    "too few neighbors": (rocksalt("odd", edge=60.0), "max_radius"),
    "no sites": (
        rocksalt("odd", frac_coords=np.zeros((0, 3)), atomic_numbers=np.zeros(0, np.uint8)),
        "no sites",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_crystal_stops_the_build_or_is_recorded(tmp_path, fault):
    bad, reason = FAULTS[fault]
    inputs = [rocksalt("first"), bad, rocksalt("last")]
    with pytest.raises(StructureError, match=rf"'odd'.*{reason}"):
        build_store(inputs, tmp_path / "raise", SHARE)
    assert not list(tmp_path.iterdir())
    store = build_store(inputs, tmp_path / "skip", SHARE, on_error="skip")
    assert store.ids == ["first", "last"]
    assert (store.manifest["n"], store.manifest["n_error"]) == (2, 1)
    (row,) = skipped(store.path)
    assert (row["kind"], row["id"], row["source"]) == ("error", "odd", "here")
    assert reason in row["reason"]


def test_a_disordered_structure_is_recorded(tmp_path):
    mixed = Structure(Lattice.cubic(4.0), [{"Na": 0.5, "K": 0.5}], [[0, 0, 0]])
    inputs = [mixed, rocksalt()]
    with pytest.raises(StructureError, match="disordered"):
        build_store(inputs, tmp_path / "raise", SHARE)
    store = build_store(inputs, tmp_path / "skip", SHARE, on_error="skip")
    assert len(store) == 1
    assert "disordered" in skipped(store.path)[0]["reason"]


def test_a_repeated_id_is_recorded(tmp_path):
    inputs = [rocksalt("a"), rocksalt("a", edge=6.0)]
    with pytest.raises(StructureError, match=r"'a'.*ids must be unique"):
        build_store(inputs, tmp_path / "raise", SHARE)
    store = build_store(inputs, tmp_path / "skip", SHARE, on_error="skip")
    assert store.ids == ["a"]
    assert "ids must be unique" in skipped(store.path)[0]["reason"]


def test_filtered_crystals_are_listed_and_no_error(tmp_path):
    sodium = rocksalt("Na", atomic_numbers=np.array([11, 11], np.uint8))
    inputs = [rocksalt(), sodium, *ionic_crystals(20, seed=1)]
    store = build_store(inputs, tmp_path / "s", SHARE, keep=Filter(max_atoms=6, min_elements=2))
    rows = skipped(store.path)
    assert {row["kind"] for row in rows} == {"filter"}
    assert (store.manifest["n_filtered"], store.manifest["n_error"]) == (len(rows), 0)
    assert len(store) + len(rows) == len(inputs)
    by_id = {row["id"]: row["reason"] for row in rows}
    assert by_id["Na"] == "1 distinct elements, fewer than min_elements=2"
    assert sum("more than max_atoms=6" in reason for reason in by_id.values()) == len(rows) - 1 > 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_a_missing_target_is_null_and_no_error(tmp_path, value):
    targets = {} if value is None else {"heat": value}
    store = build_store(
        [rocksalt("known"), rocksalt("unknown", targets=targets)], tmp_path / "s", SHARE
    )
    assert store.target("heat")[0] == 1.5
    assert np.isnan(store.target("heat")[1])
    arrays = store.take(np.array([1, 0]), ["heat"])
    assert np.isnan(arrays.targets["heat"][0])
    assert arrays.targets["heat"][1] == 1.5


def test_a_target_without_values_is_an_error_that_lists_the_others(tmp_path):
    with pytest.raises(TargetError, match=r"\['gap'\]; the input has \['heat'\]"):
        build_store([rocksalt()], tmp_path / "s", SHARE, targets=["heat", "gap"])
    assert not list(tmp_path.iterdir())


def test_a_target_missing_in_the_first_crystals_causes_one_warning(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("cgatjax.data.build_input.EARLY", 2)
    late = [rocksalt(f"{k}", edge=5.5 + k / 10) for k in range(4)]
    late[3] = dataclasses.replace(late[3], targets={"heat": 1.0, "gap": 2.0})
    build_store(late, tmp_path / "s", SHARE, targets=["heat", "gap"])
    (warning,) = (r.getMessage() for r in caplog.records if r.levelname == "WARNING")
    assert "first 2 crystals has a value of target(s) ['gap']" in warning
    assert "the input has ['heat']" in warning


def test_a_target_that_no_crystal_has_is_an_error_before_all_are_featurized(tmp_path, monkeypatch):
    monkeypatch.setattr("cgatjax.data.build_input.EARLY", 2)
    monkeypatch.setattr(build, "CHUNK", 1)
    counts = []
    featurized = build.graph_or_rejected
    monkeypatch.setattr(
        build, "graph_or_rejected", lambda *a, **k: counts.append(1) or featurized(*a, **k)
    )
    crystals = [rocksalt(f"{k}", edge=5.5 + k / 10) for k in range(8)]
    with pytest.raises(TargetError, match=r"no crystal has a value for target\(s\) \['gap'\]"):
        build_store(crystals, tmp_path / "s", SHARE, targets=["heat", "gap"])
    assert len(counts) == 2
    assert not (tmp_path / "s").exists()


def test_an_iterator_is_not_read_again_to_name_its_properties(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("cgatjax.data.build_input.EARLY", 2)
    crystals = (rocksalt(f"{k}", edge=5.5 + k / 10) for k in range(4))
    with pytest.raises(TargetError, match="check the names of the properties"):
        build_store(crystals, tmp_path / "s", SHARE, targets=["gap"])
    assert caplog.text.count("check the names of the properties") == 1


def test_a_target_cannot_have_the_name_of_a_column(tmp_path):
    with pytest.raises(TargetError, match="cannot be named 'formula'"):
        build_store([rocksalt(targets={"formula": 1.0})], tmp_path / "s", SHARE)


def test_only_named_targets_are_kept_with_their_units(tmp_path):
    crystals = ionic_crystals(3, seed=0)
    store = build_store(
        crystals, tmp_path / "s", SHARE, targets=["volume@high"], units={"volume@high": "nm^3"}
    )
    assert store.units == {"volume@high": "nm^3"}
    assert store.target("volume@high").tolist() == [c.targets["volume@high"] for c in crystals]
    with pytest.raises(TargetError, match=r"'e-form@low'.*\['volume@high'\]"):
        store.target("e-form@low")


def test_nothing_to_read_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no usable crystal among 0"):
        build_store([], tmp_path / "s", SHARE)
    bad, _ = FAULTS["singular lattice"]
    with pytest.raises(InputError, match=r"no usable crystal among 1 read.*singular lattice"):
        build_store([bad], tmp_path / "s", SHARE, on_error="skip")
    assert not list(tmp_path.iterdir())


def test_an_existing_folder_is_not_touched(tmp_path):
    (tmp_path / "s").mkdir()
    with pytest.raises(RunExistsError, match="exists; choose another folder"):
        build_store([rocksalt()], tmp_path / "s", SHARE)
    assert not list((tmp_path / "s").iterdir())


def test_another_on_error_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="on_error: expected 'raise' or 'skip', got 'ignore'"):
        build_store([rocksalt()], tmp_path / "s", SHARE, on_error="ignore")


def test_a_build_that_is_interrupted_before_its_first_shard_leaves_nothing(tmp_path, monkeypatch):
    def crystals():
        yield from ionic_crystals(30, seed=0)
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "CHUNK", 5)
    with pytest.raises(KeyboardInterrupt):
        build_store(crystals(), tmp_path / "s", SHARE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("executor", ["processes", "threads"])
def test_any_number_of_workers_makes_the_same_store(
    tmp_path, monkeypatch, faulty_crystals, executor
):
    monkeypatch.setattr(build, "CHUNK", 4)
    monkeypatch.setattr("cgatjax.data.shard_writer.SHARD", 25)
    one = build_store(faulty_crystals, tmp_path / "one", SHARE, on_error="skip")
    if executor == "processes":
        two = build_store(faulty_crystals, tmp_path / "two", SHARE, on_error="skip", workers=2)
    else:
        with ThreadPoolExecutor(3) as threads:
            two = build_store(
                faulty_crystals, tmp_path / "two", SHARE, on_error="skip", executor=threads
            )
    assert one.digest == two.digest
    files = sorted(p.relative_to(one.path) for p in one.path.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(two.path) for p in two.path.rglob("*") if p.is_file())
    assert len(files) == 5  # three shards, the manifest, the list of skipped crystals
    for file in files:
        assert (one.path / file).read_bytes() == (two.path / file).read_bytes(), file


def test_dask_workers_make_the_same_store(tmp_path, monkeypatch, faulty_crystals):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(build, "CHUNK", 4)
    monkeypatch.setattr("cgatjax.data.shard_writer.SHARD", 25)
    one = build_store(faulty_crystals, tmp_path / "one", SHARE, on_error="skip")
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    )
    with cluster, distributed.Client(cluster) as client, client.get_executor() as executor:
        two = build_store(
            faulty_crystals, tmp_path / "two", SHARE, on_error="skip", executor=executor, workers=2
        )
    assert one.digest == two.digest
    assert (one.path / "skipped.csv").read_bytes() == (two.path / "skipped.csv").read_bytes()


def test_rows_are_the_graphs_in_the_order_of_the_input(tmp_path, monkeypatch, faulty_crystals):
    monkeypatch.setattr(build, "CHUNK", 4)
    monkeypatch.setattr("cgatjax.data.shard_writer.SHARD", 10)
    store = build_store(faulty_crystals, tmp_path / "s", SHARE, on_error="skip")
    good = [c for c in faulty_crystals if not c.id.startswith("odd")]
    assert store.ids == [c.id for c in good]
    assert [shard["n"] for shard in store.manifest["shards"]] == [10] * 5 + [7]
    for row in (0, 9, 10, 33, 56):
        found, expected = sound(store.graph(row)), reduce_graph(featurize(good[row], SHARE))
        for field in dataclasses.fields(expected):
            a, b = getattr(found, field.name), getattr(expected, field.name)
            assert np.array_equal(a, b), field.name


def test_the_manifest_counts(tmp_path):
    crystals = ionic_crystals(10, seed=0)
    manifest = build_store(crystals, tmp_path / "s", SHARE).manifest
    graphs = [featurize(c, SHARE) for c in crystals]
    reduced = [reduce_graph(g) for g in graphs]
    assert manifest["sites"] == {
        "sites": sum(g.n_sites for g in graphs),
        "nodes": sum(g.n_nodes for g in reduced),
        "edges": sum(g.n_edges for g in reduced),
    }
    whole = build_store(crystals, tmp_path / "whole", SHARE, reduce=False)
    assert not whole.reduced
    assert whole.manifest["sites"]["edges"] == sum(g.n_edges for g in graphs)
    assert whole.digest != manifest["digest"]


def test_the_digest_depends_on_options_and_contents(tmp_path):
    crystals = ionic_crystals(4, seed=0)
    digests = {
        build_store(crystals, tmp_path / "a", SHARE).digest,
        build_store(crystals[::-1], tmp_path / "b", SHARE).digest,
        build_store(crystals, tmp_path / "c", SHARE.replace(max_radius=17.0)).digest,
    }
    assert len(digests) == 3
    assert json.loads((tmp_path / "a" / "store.json").read_text())["digest"] in digests
    assert open_store(tmp_path / "a").digest in digests


def skipped(path: Path) -> list[dict[str, str]]:
    with open(path / "skipped.csv", newline="") as file:
        return list(csv.DictReader(file))


# Units, totals and close sites of the files.

POSCAR = "salt\n5.6\n0 .5 .5\n.5 0 .5\n.5 .5 0\nNa Cl\n1 1\nDirect\n0 0 0\n.5 .5 {z}\n"


def folder_with(tmp_path: Path, table: str, z: float = 0.5) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.vasp").write_text(POSCAR.format(z=z))
    (folder / "properties.csv").write_text(table)
    return folder


def test_units_in_the_header_of_a_table_are_stored(tmp_path):
    folder = folder_with(tmp_path, "id,gap [meV],e-form\na,1,2\nb,3,4\n")
    store = build_store(folder, tmp_path / "s", SHARE)
    assert store.units == {"cell_volume": "A^3/atom", "gap": "meV", "e-form": "eV/atom"}
    given = build_store(folder, tmp_path / "given", SHARE, units={"gap": "K"}, targets=["gap"])
    assert given.units == {"gap": "K"}


def test_a_property_in_two_units_is_refused(tmp_path):
    crystals = [rocksalt("a", units={"heat": "K"}), rocksalt("b", units={"heat": "eV"})]
    with pytest.raises(ConfigError, match="'b' in here: 'heat' is in eV, in crystals before in K"):
        build_store(crystals, tmp_path / "s", SHARE)
    assert build_store(crystals, tmp_path / "s", SHARE, units={"heat": "J"}).unit("heat") == "J"
    missing = [crystals[0], rocksalt("b", targets={"heat": np.nan}, units={"heat": "eV"})]
    assert build_store(missing, tmp_path / "nan", SHARE).unit("heat") == "K"


def test_a_property_of_two_calculators_is_refused(tmp_path):
    one, other = (rocksalt(str(k), origins={"heat": f"potential {k}"}) for k in (1, 2))
    store = build_store([one], tmp_path / "one", SHARE)
    assert store.origins == {"heat": "potential 1"}
    assert store.origin("heat") == store.all().origin("heat@x") == "potential 1"
    assert store.origin("cell_volume") == ""
    with pytest.raises(ConfigError, match="computed by potential 2, that of crystals before by po"):
        build_store([one, other], tmp_path / "both", SHARE)


def test_totals_are_divided_or_cannot_be_trained_on(tmp_path):
    crystals = [rocksalt(str(k), targets={"energy_total": -7.0 - k}) for k in range(4)]
    total = build_store(crystals, tmp_path / "total", SHARE)
    assert total.unit("energy_total") == "eV/cell"
    with pytest.raises(TargetError, match=r"eV/cell, of the whole cell.*per_atom=\['energy_total'"):
        init_model(ModelConfig.small(), total, target="energy_total")
    divided = build_store(crystals, tmp_path / "divided", SHARE, per_atom=["energy_total"])
    assert divided.unit("energy_total") == "eV/atom"
    np.testing.assert_array_equal(divided.target("energy_total"), [-3.5, -4.0, -4.5, -5.0])


def test_sites_closer_than_the_bound_are_refused(tmp_path):
    folder = folder_with(tmp_path, "id,gap\na,1\nb,2\n", z=0.42)
    with pytest.raises(StructureError, match=r"sites 0 \(Na\) and 1 \(Cl\) are 2\.\d+ A apart"):
        build_store(folder, tmp_path / "s", SHARE, min_distance=3.0)
    assert len(build_store(folder, tmp_path / "s", SHARE)) == 2


@pytest.mark.parametrize(
    ("name", "text", "advice"),
    [
        ("a.vasp", POSCAR.format(z=0.5), "properties.csv beside them"),
        ("a.csv", 'poscar,note\n"' + POSCAR.format(z=0.5) + '",x\n', "its columns of numbers"),
        ("a.json", None, 'read from "data", or from beside "structure"'),
    ],
)
def test_the_advice_fits_the_kind_of_input(tmp_path, name, text, advice):
    if text is None:
        write_dcgat([rocksalt(targets={})], tmp_path / name)
    else:
        (tmp_path / name).write_text(text)
    with pytest.raises(TargetError, match=advice):
        build_store(tmp_path / name, tmp_path / "s", SHARE, targets=["gap"])
