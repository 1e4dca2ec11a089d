"""Mutated stores, options, splits, lists of ids and element tables."""

import io
import json

import numpy as np
import pytest
import tomli_w

from cgatjax.config import GraphConfig, ModelConfig, TrainConfig, TransferConfig
from cgatjax.data.build import build_store
from cgatjax.data.leakage import read_ids
from cgatjax.data.splits import Split
from cgatjax.data.store import MANIFEST, open_store
from cgatjax.options import from_dict, load_toml
from cgatjax.structures.elements import ElementTable
from cgatjax.synthetic.dataset import ionic_crystals

SECTIONS = {
    "graph": GraphConfig,
    "model": ModelConfig,
    "train": TrainConfig,
    "transfer": TransferConfig,
}
SPLIT = {"train": ["a", "b", "c"], "valid": ["d"], "test": ["e", 6]}


def read_toml(path):
    for name, values in load_toml(path, SECTIONS).items():
        from_dict(SECTIONS[name], values).digest()


def test_options(fuzz):
    tables = {name: cls().to_dict() for name, cls in SECTIONS.items()}
    fuzz.mutations("options .toml", "run.toml", tomli_w.dumps(tables).encode(), read_toml, cost=2)


def read_split(path):
    split = Split.load(path)
    every = (*split.train, *split.valid, *split.test)
    assert len(set(every)) == len(every)
    assert all(type(i) is str for i in every)


def test_splits(fuzz):
    fuzz.mutations("split .json", "split.json", json.dumps(SPLIT).encode(), read_split)
    fuzz.values("split .json values", "split.json", SPLIT, read_split)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("ids.json", json.dumps(SPLIT)),
        ("ids.csv", "gap,id\n1,a\n2,b\n"),
        ("ids.txt", "# one a line\na\nb\n"),
    ],
)
def test_lists_of_ids(fuzz, file, content):
    fuzz.mutations(f"ids .{file[4:]}", file, content.encode(), read_ids)


def test_element_tables(fuzz):
    vectors = {"H": [1.0, 2.0], "He": [3.0, 4.5]}
    fuzz.mutations("elements .json", "t.json", json.dumps(vectors).encode(), ElementTable.load)
    fuzz.values("elements .json values", "t.json", vectors, ElementTable.load)
    fuzz.mutations("elements .csv", "t.csv", b"element,x,y\nH,1,2\nHe,3,4.5\n", ElementTable.load)
    buffer = io.BytesIO()
    np.savez(buffer, symbols=np.array(list(vectors)), vectors=np.array(list(vectors.values())))
    fuzz.mutations("elements .npz", "t.npz", buffer.getvalue(), ElementTable.load)


def use_store(folder):
    store = open_store(folder)
    assert len(store.sizes) == len(store)
    store.take(np.arange(len(store)), tuple(store.units))
    list(store.ids), list(store.formulas)
    if len(store):
        store.graph(0)


def test_stores(fuzz):
    store = build_store(
        ionic_crystals(6, seed=2), fuzz.folder / "store-7f", GraphConfig(max_neighbors=4)
    )
    manifest = json.loads((store.path / MANIFEST).read_text())
    name = manifest["shards"][0]["file"]

    def forged(path):
        """Opens a store whose manifest has the size of the mutated shard."""
        shard = {**manifest["shards"][0], "bytes": path.stat().st_size}
        (store.path / MANIFEST).write_text(json.dumps({**manifest, "shards": [shard]}))
        use_store(store.path)

    def described(path):
        use_store(path.parent)

    text = json.dumps(manifest).encode()
    fuzz.mutations("store, store.json", f"store-7f/{MANIFEST}", text, described, cost=3)
    fuzz.values("store, store.json values", f"store-7f/{MANIFEST}", manifest, described, cost=3)
    fuzz.mutations(
        "store, shard", f"store-7f/{name}", (store.path / name).read_bytes(), forged, cost=3
    )


@pytest.mark.long
@pytest.mark.parametrize("what", ["options", "splits", "tables", "stores"])
def test_thousands(fuzz, what):
    {
        "options": test_options,
        "splits": test_splits,
        "tables": test_element_tables,
        "stores": test_stores,
    }[what](fuzz)
