"""Untrusted input beyond mutations: bombs, cyclic links, special files, well-formed nonsense."""

import bz2
import gzip
import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgatjax import reference
from cgatjax.config import GraphConfig, ModelConfig, TrainConfig
from cgatjax.data.splits import Split
from cgatjax.errors import ConfigError, InputError, MismatchError, StructureError
from cgatjax.graphs.neighbors import nearest_neighbors
from cgatjax.model.model import Model
from cgatjax.model.model_io import check_params
from cgatjax.model.normalizer import Normalizer
from cgatjax.options import load_toml
from cgatjax.reference import read_features
from cgatjax.runtime.files import MANIFEST, damage
from cgatjax.structures.archives.rows import crystal_from_row
from cgatjax.structures.ase_atoms import read_ase_database, read_extxyz
from cgatjax.structures.crystal import Crystal, Rejected
from cgatjax.structures.dcgat import entry_of, write_dcgat
from cgatjax.structures.formats import FREE_BYTES
from cgatjax.structures.poscar import parse_poscar
from cgatjax.structures.readers import read_crystals
from cgatjax.synthetic.dataset import ionic_crystals

CRYSTALS = ionic_crystals(3, seed=0)


def reasons(path):
    return [item.reason for item in read_crystals(path) if isinstance(item, Rejected)]


@pytest.mark.parametrize(("suffix", "module"), [(".gz", gzip), (".bz2", bz2)])
def test_a_bomb_is_not_expanded(fuzz, tmp_path, suffix, module):
    path = tmp_path / f"x.json{suffix}"
    with module.open(path, "wb") as file:
        for _ in range(FREE_BYTES // 2**20 + 1):
            file.write(bytes(2**20))
    assert path.stat().st_size < FREE_BYTES / 200
    (reason,) = reasons(path)
    assert "expand to more than" in reason
    if suffix == ".gz":
        with pytest.raises(InputError, match="expand to more than"):
            read_features(path)


def test_a_checkpoint_with_compressed_members_is_refused(tmp_path):
    pytest.importorskip("torch")
    with zipfile.ZipFile(tmp_path / "x.ckpt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", bytes(10**7))
    with pytest.raises(InputError, match=r"x\.ckpt: expected a checkpoint of at most"):
        reference.read_checkpoint(tmp_path / "x.ckpt")


def test_cyclic_links_end(fuzz, tmp_path):
    write_dcgat(CRYSTALS, tmp_path / "a" / "x.json")
    for name in ("one", "two", "three"):
        (tmp_path / "a" / name).symlink_to(tmp_path / "a", target_is_directory=True)
    (tmp_path / "a" / "self.json").symlink_to(tmp_path / "a" / "self.json")
    for inputs in (tmp_path / "a", str(tmp_path / "**" / "*.json"), f"{tmp_path}/a/**"):
        assert fuzz.outcome("links", tmp_path / "a", lambda _, i=inputs: count(i)) is None
    with pytest.raises(InputError, match="no such file"):
        read_crystals(tmp_path / "a" / "self.json")


def count(inputs):
    assert sum(isinstance(item, Crystal) for item in read_crystals(inputs)) == 3


def test_a_pickle_cannot_reserve_memory_that_it_does_not_fill(tmp_path):
    # NONE, LONG_BINPUT at place 2**31 - 1, STOP: seven bytes for tens of gigabytes.
    path = tmp_path / "f.pickle"
    path.write_bytes(b"Nr" + (2**31 - 1).to_bytes(4, "little") + b".")
    with pytest.raises(InputError, match=r"f\.pickle: .*room for 2147483647 objects"):
        read_features(path)


def test_pipes_and_folders_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "x.json")
    assert reasons(tmp_path / "x.json") == ["expected a regular file, not a folder, pipe or device"]
    for special in (tmp_path, tmp_path / "x.json"):
        with pytest.raises(InputError):
            read_features(special)
    with pytest.raises(ConfigError, match="cannot be read as TOML"):
        load_toml(tmp_path, {"train": TrainConfig})
    with pytest.raises(InputError):
        Split.load(tmp_path)


def test_pipes_and_folders_are_no_checkpoints(tmp_path):
    pytest.importorskip("torch")
    os.mkfifo(tmp_path / "x.ckpt")
    for special in (tmp_path, tmp_path / "x.ckpt"):
        with pytest.raises(InputError):
            reference.read_checkpoint(special)


def test_a_text_in_the_place_of_a_path_is_an_error():
    with pytest.raises(InputError, match="expected a path: File name too long"):
        read_crystals("data_x\n" * 1000)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
"""Any JSON, NaN and Infinity included."""


def or_any(strategy):
    return st.one_of(strategy, strategy, strategy, JSON)


SPECIES = or_any(
    st.fixed_dictionaries({"element": or_any(st.just("Na")), "occu": or_any(st.just(1))})
)
SITE = or_any(
    st.fixed_dictionaries(
        {
            "species": or_any(st.lists(SPECIES, min_size=1, max_size=2)),
            "abc": or_any(st.lists(or_any(st.floats(0, 1)), min_size=3, max_size=3)),
        }
    )
)
VECTOR = or_any(st.lists(or_any(st.floats(-9, 9)), min_size=3, max_size=3))
LATTICE = st.fixed_dictionaries({"matrix": or_any(st.lists(VECTOR, min_size=3, max_size=3))})
STRUCTURE = st.fixed_dictionaries(
    {"lattice": or_any(LATTICE), "sites": or_any(st.lists(SITE, max_size=3))}
)
ENTRY = st.fixed_dictionaries({"entry_id": JSON, "data": JSON, "structure": or_any(STRUCTURE)})


@given(or_any(ENTRY))
def test_any_entry_is_a_crystal_or_rejected(entry):
    found = crystal_from_row(entry, fallback_id="x:1", source="x.json", targets=None)
    assert isinstance(found, Crystal) or (found.reason and len(found.reason) < 600)
    found.id.encode()


# What the mutations found, one test each.


def test_numbers_beyond_floats_and_lone_surrogates_reject_one_crystal(tmp_path):
    entries = [entry_of(crystal) for crystal in CRYSTALS]
    text = json.dumps({"entries": entries})
    middle = json.dumps(entries[1])
    for bad in (
        middle.replace('"abc": [', '"abc": [1' + "0" * 5000 + ", ", 1),
        middle.replace('"abc": [', '"abc": [1e400, ', 1),
        middle.replace(f'"entry_id": "{CRYSTALS[1].id}"', '"entry_id": "\\ud800"'),
    ):
        (tmp_path / "x.json").write_text(text.replace(middle, bad))
        found = list(read_crystals(tmp_path / "x.json"))
        assert [found[0].id, found[2].id] == [CRYSTALS[0].id, CRYSTALS[2].id]
        assert isinstance(found[1], Rejected) or found[1].id == "\\ud800"


def test_nesting_beyond_the_parser_is_an_error_of_the_file(tmp_path):
    (tmp_path / "x.json").write_text("NaN" + "[" * 100_000)
    (tmp_path / "y.json").write_text("[" * 100_000 + "]" * 100_000)
    assert all("expected JSON" in reason for reason in reasons(tmp_path))
    (tmp_path / "x.toml").write_text("x = " + "[" * 10_000 + "]" * 10_000)
    with pytest.raises(ConfigError, match=r"x\.toml: cannot be read as TOML: nested"):
        load_toml(tmp_path / "x.toml", {"train": TrainConfig})
    (tmp_path / "s.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"s\.json"):
        Split.load(tmp_path / "s.json")


def test_announced_sites_are_compared_with_the_lines_first():
    head = "x\n1.0\n4 0 0\n0 4 0\n0 0 4\nNa\n"
    with pytest.raises(StructureError, match="expected 900000000 lines of positions, got 9"):
        parse_poscar(f"{head}900000000\nDirect\n0 0 0\n")
    with pytest.raises(StructureError, match="positive number of sites"):
        parse_poscar(f"{head}{'9' * 5000}\nDirect\n0 0 0\n")


def test_a_frame_that_announces_too_much_ends_at_once(tmp_path):
    pytest.importorskip("ase")
    (tmp_path / "x.xyz").write_text("900000000\n\nNa 0 0 0\n")
    with pytest.raises(InputError, match="expected 900000000 sites, got 1"):
        list(read_extxyz(tmp_path / "x.xyz", None))
    frame = '1\nLattice="4 0 0 0 4 0 0 0 4" Properties=species:S:{}:pos:R:3\nNa 0 0 0\n'
    (tmp_path / "x.xyz").write_text(frame.format(10**9) + frame.format(1))
    wide, sound = read_extxyz(tmp_path / "x.xyz", None)
    assert "at most 999 columns" in wide.reason
    assert sound.n_sites == 1


def test_an_array_of_an_ase_database_that_announces_too_much(tmp_path):
    pytest.importorskip("ase")
    row = {"numbers": {"__ndarray__": [[10**9], "int64", [1]]}}
    (tmp_path / "x.json-db").write_text(json.dumps({"1": row, "ids": [1], "nextid": 2}))
    with pytest.raises(InputError, match="has 1 numbers"):
        list(read_ase_database(tmp_path / "x.json-db", None))


@pytest.mark.parametrize(
    "lattice", [np.diag([6e4, 6e4, 4.0]), [[3, 0, 0], [3e4, 3, 0], [0, 3e4, 3]]]
)
def test_cells_too_long_to_search_are_refused(lattice):
    with pytest.raises(StructureError, match="'c': the cell is too long or too skewed"):
        nearest_neighbors(
            np.array(lattice, float), np.array([[0, 0, 0], [0.4, 0.5, 0.6]]), GraphConfig(), id="c"
        )


def test_a_shape_that_its_objects_do_not_fill(tmp_path):
    content = pickle.dumps({"input": np.array([None, 1, "x"], dtype=object)}, protocol=2)
    forged = content.replace(b"K\x03\x85", b"K\x7f\x85", 1)
    assert forged != content
    (tmp_path / "f.pickle").write_bytes(forged)
    with pytest.raises(InputError, match=r"shape \(127,\) with 3 items"):
        read_features(tmp_path / "f.pickle")


def test_a_list_that_holds_itself_twice(tmp_path):
    knot: list = []
    knot += [knot, knot]
    (tmp_path / "f.pickle").write_bytes(pickle.dumps({"input": knot}))
    with pytest.raises(InputError, match="repeats the same lists"):
        read_features(tmp_path / "f.pickle")


@pytest.mark.parametrize("change", [{"std": 0.0}, {"mean": "1"}, {"std": float("nan")}])
def test_a_normalizer_from_a_file_is_checked(change):
    with pytest.raises(InputError, match="normalizer: expected"):
        Normalizer(**{"mean": 0.0, "std": 1.0, **change})


def test_an_id_in_two_subsets_of_a_split_is_refused(tmp_path):
    (tmp_path / "s.json").write_text('{"train": ["a"], "valid": [], "test": ["a"]}')
    with pytest.raises(InputError, match="'a' stands in the split more than once"):
        Split.load(tmp_path / "s.json")
    (tmp_path / "s.json").write_text('{"train": "abc", "valid": [], "test": []}')
    with pytest.raises(InputError, match="expected 'train' as a list"):
        Split.load(tmp_path / "s.json")


def test_a_message_does_not_quote_a_megabyte():
    item = Rejected(id="\ud800", source=str(Path("x")), reason="x" * 10**6)
    assert len(item.reason) < 600
    assert item.id == "\\ud800"


def test_whole_numbers_beyond_64_bits_are_no_options():
    for value in (2**63, 10**400):
        with pytest.raises(ConfigError, match="epochs: expected int"):
            TrainConfig(epochs=value)
        with pytest.raises(ConfigError, match="learning_rate"):
            TrainConfig(learning_rate=10**400)


def test_a_manifest_with_impossible_sizes_or_names_is_damage(tmp_path):
    for manifest in ('{"a": {"bytes": Infinity, "sha256": ""}}', json.dumps({"a" * 5000: {}})):
        (tmp_path / MANIFEST).write_text(manifest)
        assert MANIFEST in damage(tmp_path)
    (tmp_path / MANIFEST).write_text(json.dumps({"a" * 5000: {"bytes": 1, "sha256": ""}}))
    assert damage(tmp_path).endswith("a: missing")


def test_a_description_of_a_billion_layers_is_not_unfolded():
    model = Model(
        config=ModelConfig(steps=10**9), params=None, graph_config=GraphConfig(), units={}
    )
    with pytest.raises(MismatchError, match="1 arrays for 1000000010 layers"):
        check_params({"encoder": np.zeros(1)}, model)
