"""`cgatjax hull` from end to end."""

from dataclasses import replace

import numpy as np
import pytest
from tests.commands import ok, refused

from cgatjax.data.store import open_store
from cgatjax.structures.dcgat import write_dcgat
from cgatjax.structures.readers import read_crystals
from cgatjax.synthetic.dataset import ionic_crystals


def test_the_files_are_read_by_featurize(tmp_path):
    data = write_dcgat(ionic_crystals(20), tmp_path / "in.json")
    base = ("hull", data, "--energy", "e-form@low", "--workers", 1)
    line = refused(*base, "--kind", "atom", "--out", tmp_path / "no")
    assert "no reference entry of the pure element" in line
    out = tmp_path / "hull"
    output = ok(*base, "--kind", "formation", "--suffix", "@low2", "--out", out)
    assert "20 crystals, 20 with e-form@low2 and e_above_hull_new@low2" in output
    ok("featurize", out, "--out", tmp_path / "store", "--workers", 1)
    store = open_store(tmp_path / "store")
    assert store.unit("e_above_hull_new@low2") == "eV/atom"
    np.testing.assert_allclose(store.target("e-form@low2"), store.target("e-form@low"))
    skip = ("--suffix", "", "--on-error", "skip", "--out", tmp_path / "skip")
    skipping = ok(*base, "--kind", "atom", *skip)
    assert "0 with e-form" in skipping
    assert "skip.skipped.csv" in skipping


def test_the_functional_of_the_energy_becomes_that_of_the_new_properties(tmp_path):
    crystals = [replace(c, labels={"functional": "PBE"}) for c in ionic_crystals(12)]
    crystals[3] = replace(crystals[3], labels={"functional": "SCAN"})
    data = write_dcgat(crystals, tmp_path / "in.json")
    out = tmp_path / "hull"
    base = ("hull", data, "--energy", "e-form@low", "--kind", "formation", "--workers", 1)
    output = ok(*base, "--where", "functional=pbe", "--out", out)
    assert "11 crystals, 11 with e-form@low and e_above_hull_new@low" in output
    for crystal in read_crystals(out):
        assert crystal.labels == {"functional": "PBE"}
        assert crystal.targets["volume@low"] == pytest.approx(crystal.volume / crystal.n_sites)
