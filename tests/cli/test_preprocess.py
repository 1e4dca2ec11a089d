"""The commands that look at data before training, from end to end."""

import dataclasses

import numpy as np
from tests.commands import ok, refused

from cgatjax.config import GraphConfig
from cgatjax.data.build import build_store
from cgatjax.data.store import open_store
from cgatjax.structures.dcgat import write_dcgat
from cgatjax.synthetic.dataset import ionic_crystals


def test_overlap_counts_and_lists(tmp_path):
    crystals = ionic_crystals(12, seed=0)
    copies = [dataclasses.replace(c, id=f"copy-{c.id}") for c in crystals[:3]]
    for name, members in (("a", crystals), ("b", copies)):
        build_store(members, tmp_path / name, GraphConfig.recommended())
    a, b, out = (tmp_path / name for name in ("a", "b", "shared.csv"))
    lines = [line.split() for line in ok("overlap", a, b, "--out", out).splitlines()]
    assert ["graph", "a", "12", "12"] in lines
    assert ["id", "a", "b", "0", "0", "0"] in lines
    assert ["graph", "a", "b", "3", "3", "3"] in lines
    assert "exists" in refused("overlap", a, b, "--out", out)
    assert "graph" not in ok("overlap", a, a, "--by", "id")
    assert "expected a store folder" in refused("overlap", tmp_path)


def test_hull_writes_files_that_featurize_reads(tmp_path):
    data = write_dcgat(ionic_crystals(20), tmp_path / "in.json")
    base = ("hull", data, "--energy", "e-form@low", "--workers", 1)
    line = refused(*base, "--kind", "atom", "--out", tmp_path / "no")
    assert "no entry of the pure element" in line
    out = tmp_path / "hull"
    output = ok(*base, "--kind", "formation", "--suffix", "@low2", "--out", out)
    assert "20 crystals, 20 with e-form@low2 and e_above_hull_new@low2" in output
    ok("featurize", out, "--out", tmp_path / "store", "--workers", 1)
    store = open_store(tmp_path / "store")
    assert store.unit("e_above_hull_new@low2") == "eV/atom"
    np.testing.assert_allclose(store.target("e-form@low2"), store.target("e-form@low"))
    skipping = ok(*base, "--kind", "atom", "--on-error", "skip", "--out", tmp_path / "skip")
    assert "0 with e-form" in skipping
    assert "skip.skipped.csv" in skipping
