"""Reading a store: any rows in any order, across shards, by other programs, and after damage."""

import contextlib
import hashlib
import json
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgatjax.config import GraphConfig
from cgatjax.data import build
from cgatjax.data.build import build_store
from cgatjax.data.store import Store, open_store
from cgatjax.errors import CgatjaxError, InputError, TargetError
from cgatjax.graphs.crystal_graph import EDGE_COLUMNS, NODE_COLUMNS, featurize
from cgatjax.graphs.graph_arrays import GraphArrays
from cgatjax.graphs.reduction import reduce_graph
from cgatjax.structures.elements import reduced_formula
from cgatjax.synthetic.dataset import ionic_crystals

SHARE = GraphConfig.recommended()
N = 45


@pytest.fixture(scope="module")
def crystals():
    return ionic_crystals(N, seed=4)


@pytest.fixture(scope="module")
def graphs(crystals):
    return [reduce_graph(featurize(c, SHARE)) for c in crystals]


@pytest.fixture(scope="module")
def shards(crystals, tmp_path_factory) -> Store:
    """The crystals in shards of 10; only those of the third shard have "heat"."""
    from dataclasses import replace

    given = [
        replace(c, targets={**c.targets, "heat": float(i)}) if 20 <= i < 30 else c
        for i, c in enumerate(crystals)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cgatjax.data.shard_writer.SHARD", 10)
        patch.setattr(build, "CHUNK", 10)
        return build_store(given, tmp_path_factory.mktemp("store") / "s", SHARE)


@settings(max_examples=40)
@given(rows=st.lists(st.integers(0, N - 1), min_size=1, max_size=60))
def test_rows_in_any_order_are_those_graphs(shards, graphs, crystals, rows):
    name = "e-form@high"
    found = shards.take(np.array(rows), [name])
    values = [crystals[r].targets[name] for r in rows]
    expected = GraphArrays.from_graphs([graphs[r] for r in rows], {name: values})
    for column in ("n_node", "n_edge", *NODE_COLUMNS, *EDGE_COLUMNS):
        a, b = getattr(found, column), getattr(expected, column)
        np.testing.assert_array_equal(a, b, err_msg=column)
    np.testing.assert_array_equal(found.targets[name], expected.targets[name])


def test_no_rows_and_missing_rows(shards):
    nothing = shards.take(np.array([], np.int64), ["heat"])
    assert (len(nothing.n_node), len(nothing.edge_shell), len(nothing.targets["heat"])) == (0, 0, 0)
    for row in (-1, N):
        with pytest.raises(InputError, match=rf"rows in 0..{N - 1}, got"):
            shards.take(np.array([3, row]))


def test_sizes_are_those_of_the_graphs(shards, graphs):
    elements = [len(set(g.atomic_numbers.tolist())) for g in graphs]
    expected = [
        (g.n_nodes, g.n_edges, n, n * (n - 1)) for g, n in zip(graphs, elements, strict=True)
    ]
    assert shards.sizes.tolist() == [list(row) for row in expected]


def test_a_column_that_some_shards_lack_is_unknown_there(shards):
    heat = shards.target("heat")
    assert np.flatnonzero(np.isfinite(heat)).tolist() == list(range(20, 30))
    assert heat[20:30].tolist() == list(range(20, 30))
    taken = shards.take(np.array([25, 3, 21]), ["heat"]).targets["heat"]
    assert taken[[0, 2]].tolist() == [25.0, 21.0]
    assert np.isnan(taken[1])
    assert len(shards.all().with_targets("heat")) == 10


def test_names_units_and_formulas(shards, crystals):
    assert len(shards) == N
    assert shards.ids == [c.id for c in crystals]
    assert shards.units["e-form@high"] == shards.unit("e-form@high") == "eV/atom"
    assert shards.unit("heat") == ""
    assert shards.formulas[0] == reduced_formula(crystals[0].atomic_numbers)
    assert repr(shards).startswith("Store(")
    assert "45 crystals" in repr(shards)
    assert shards.graph_config == SHARE


def test_a_fidelity_may_follow_the_name_of_a_column(shards):
    assert shards.column_of("heat@SCAN") == "heat"
    assert shards.column_of("e-form@high") == "e-form@high"
    with pytest.raises(TargetError, match=r"'e-form@SCAN'.*'e-form@high', 'e-form@low', 'heat'"):
        shards.column_of("e-form@SCAN")


def test_rows_of_ids(shards):
    ids = shards.ids
    assert shards.rows_of([ids[7], ids[3]]).tolist() == [7, 3]
    with pytest.raises(InputError, match=r"1 ids are not in the store: \['none'\]"):
        shards.rows_of([ids[7], "none"])


def test_splitting_uses_crystals_with_known_targets(shards):
    train, valid, test = shards.split(targets=["heat"])
    rows = np.concatenate([train.rows, valid.rows, test.rows])
    assert sorted(rows.tolist()) == list(range(20, 30))
    assert (len(train), len(valid), len(test)) == (8, 1, 1)


def test_splitting_by_formula_keeps_polymorphs_together(shards):
    parts = shards.split((0.5, 0.25, 0.25), by="formula", seed=1)
    formulas = [set(part.formulas) for part in parts]
    assert not formulas[0] & formulas[1]
    assert not formulas[0] & formulas[2]
    assert not formulas[1] & formulas[2]
    assert sum(len(part) for part in parts) == N
    with pytest.raises(InputError, match="'formula' or 'prototype', got 'element'"):
        shards.split(by="element")


def test_other_programs_read_the_shards(shards, crystals):
    files = sorted((shards.path / "shards").glob("*.arrow"))
    table = pa.concat_tables(
        [pa.ipc.open_file(f).read_all() for f in files], promote_options="default"
    )
    frame = table.to_pandas()
    assert isinstance(frame, pd.DataFrame)
    assert frame["id"].tolist() == [c.id for c in crystals]
    assert frame["heat"].notna().sum() == 10
    numbers = [sorted(set(x.tolist())) for x in frame["atomic_numbers"]]
    assert numbers == [sorted(set(c.atomic_numbers.tolist())) for c in crystals]
    assert pd.read_feather(files[0])["id"].tolist() == [c.id for c in crystals[:10]]


def copied(store: Store, tmp_path):
    return shutil.copytree(store.path, tmp_path / "copy")


def test_a_folder_that_is_no_store(tmp_path):
    with pytest.raises(InputError, match=r"expected a store folder with store\.json"):
        open_store(tmp_path)
    with pytest.raises(InputError, match=r"none: expected a store folder"):
        open_store(tmp_path / "none")


@pytest.mark.parametrize("content", ["", "{", "[]", '"x"', '{"format": 1}', "[" * 99999, "\udcff"])
def test_a_damaged_manifest(shards, tmp_path, content):
    path = copied(shards, tmp_path)
    (path / "store.json").write_text(content, errors="surrogateescape")
    with pytest.raises(InputError, match="copy"):
        open_store(path)


def test_a_manifest_without_shards(shards, tmp_path):
    path = copied(shards, tmp_path)
    edit(path, lambda manifest: manifest["shards"].clear())
    with pytest.raises(InputError, match="list of shards is empty"):
        open_store(path)


def test_another_format_version(shards, tmp_path):
    path = copied(shards, tmp_path)
    manifest = json.loads((path / "store.json").read_text())
    (path / "store.json").write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(InputError, match="store format 99, this version reads 1; featurize again"):
        open_store(path)


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "tail", "text"])
def test_a_damaged_shard_is_named(shards, tmp_path, damage):
    path = copied(shards, tmp_path)
    shard = path / "shards" / "00002.arrow"
    data = shard.read_bytes()
    if damage == "missing":
        shard.unlink()
    else:
        contents = {
            "empty": b"",
            "truncated": data[: len(data) // 2],
            "tail": data[:-9],
            "text": b"not arrow" * 100,
        }
        shard.write_bytes(contents[damage])
    with pytest.raises(InputError, match=r"00002\.arrow: damaged or missing shard"):
        open_store(path)


def test_a_shard_of_another_length(shards, tmp_path):
    path = copied(shards, tmp_path)
    shutil.copy(path / "shards" / "00000.arrow", path / "shards" / "00004.arrow")
    sizes = [shard["bytes"] for shard in shards.manifest["shards"]]
    with pytest.raises(
        InputError, match=rf"00004\.arrow: .*expected {sizes[4]} bytes, found {sizes[0]}"
    ):
        open_store(path)
    edit(path, lambda manifest: manifest["shards"][4].update(bytes=sizes[0]))
    with pytest.raises(InputError, match=r"00004\.arrow: expected 5 crystals, found 10"):
        open_store(path)


def edit(path, change):
    """Changes the manifest of a store in place."""
    manifest = json.loads((path / "store.json").read_text())
    change(manifest)
    (path / "store.json").write_text(json.dumps(manifest))


def test_a_shard_without_a_column(shards, tmp_path):
    path = copied(shards, tmp_path)
    file = path / "shards" / "00001.arrow"
    table = pa.ipc.open_file(file).read_all().drop_columns(["edge_shell"])
    with pa.ipc.new_file(file, table.schema) as stream:
        stream.write_table(table)
    edit(path, lambda manifest: manifest["shards"][1].update(bytes=file.stat().st_size))
    with pytest.raises(
        InputError, match=r"00001\.arrow: column 'edge_shell': expected list<.*None"
    ):
        open_store(path)


def test_verifying_finds_a_flipped_bit_and_names_the_file(shards, tmp_path):
    path = copied(shards, tmp_path)
    assert open_store(path, verify=True).digest == shards.digest
    file = path / "shards" / "00003.arrow"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    expected = shards.manifest["shards"][3]["sha256"]
    found = hashlib.sha256(data).hexdigest()
    with pytest.raises(
        InputError,
        match=rf"00003\.arrow: damaged shard: expected SHA-256 {expected}, found {found}",
    ):
        open_store(path, verify=True)


def test_verifying_finds_options_that_the_shards_were_not_made_with(shards, tmp_path):
    path = copied(shards, tmp_path)
    edit(path, lambda manifest: manifest["graph"].update(max_radius=11.0))
    with pytest.raises(InputError, match=r"store\.json: expected the digest"):
        open_store(path, verify=True)


@settings(max_examples=150)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_an_input_error_or_harmless(shards, tmp_path_factory, place, bit):
    path = tmp_path_factory.mktemp("flip") / "copy"
    shutil.copytree(shards.path, path)
    file = path / "shards" / "00000.arrow"
    data = bytearray(file.read_bytes())
    data[int(place * len(data))] ^= 1 << bit
    file.write_bytes(data)
    with contextlib.suppress(CgatjaxError):
        store = open_store(path)
        assert store.sizes.shape == (N, 4)
        arrays = store.take(np.arange(N), ["e-form@high"])
        assert arrays.n_node.sum() == len(arrays.atomic_numbers)
        assert len(store.ids) == len(store.formulas) == N
        store.graph(3)


def test_the_error_of_an_unfinished_store_gives_the_command(tmp_path):
    (tmp_path / "unfinished.jsonl").write_text("{}\n")
    with pytest.raises(
        InputError, match=r"not finished; resume with `cgatjax featurize .* --resume"
    ):
        open_store(tmp_path)


def test_lists_of_ids_must_be_text(shards):
    with pytest.raises(InputError, match="expected ids that are text"):
        shards.rows_of([3])
