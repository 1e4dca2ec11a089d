"""`cgatjax hull` from end to end."""

import numpy as np
from tests.commands import ok, refused

from cgatjax.data.store import open_store
from cgatjax.structures.dcgat import write_dcgat
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
    skipping = ok(*base, "--kind", "atom", "--on-error", "skip", "--out", tmp_path / "skip")
    assert "0 with e-form" in skipping
    assert "skip.skipped.csv" in skipping
