"""`cgatjax overlap` from end to end."""

import dataclasses

from tests.commands import ok, refused

from cgatjax.config import GraphConfig
from cgatjax.data.build import build_store
from cgatjax.synthetic.dataset import ionic_crystals


def test_shared_crystals_are_counted_and_listed(tmp_path):
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
