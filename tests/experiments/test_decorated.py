"""Decorated crystals that nobody has computed."""

import numpy as np
import pytest
from click.testing import CliRunner
from experiments import decorated
from experiments.commands import main
from experiments.decorated import decorations
from pymatgen.core import Element

import cgatjax as cg
from cgatjax.errors import InputError
from cgatjax.structures import Crystal, reduced_formula
from cgatjax.structures.dcgat import write_dcgat
from cgatjax.structures.readers import read_crystals

KNOWN = list(cg.ionic_crystals(30, seed=0))


def test_other_elements_on_the_same_sites():
    left_out = {reduced_formula(c.atomic_numbers) for c in KNOWN}
    before, sources = set(left_out), {c.id: c for c in KNOWN}
    drawn = decorations(KNOWN, left_out, np.random.default_rng(0))
    crystals = [next(drawn) for _ in range(200)]
    formulas = [reduced_formula(c.atomic_numbers) for c in crystals]
    assert len(set(formulas)) == 200
    assert not before & set(formulas)
    elements = {z for c in KNOWN for z in c.atomic_numbers.tolist()}
    for crystal in crystals:
        source = sources[crystal.id.rsplit("-", 1)[0]]
        assert set(crystal.atomic_numbers.tolist()) <= elements
        # The same sites are equal as before.
        pairs = set(
            zip(crystal.atomic_numbers.tolist(), source.atomic_numbers.tolist(), strict=True)
        )
        assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
        assert all(Element.from_Z(a).group == Element.from_Z(b).group for a, b in pairs)


def test_prototypes_that_are_used_up_are_an_error(monkeypatch):
    monkeypatch.setattr(decorated, "MOST_DRAWS", 20)
    salt = [c for c in KNOWN if len(set(c.atomic_numbers.tolist())) == 2][:1]
    with pytest.raises(InputError, match="1 prototypes: 20 draws gave no new formula"):
        list(decorations(salt, {reduced_formula(salt[0].atomic_numbers)}, np.random.default_rng(0)))


def test_cells_have_the_predicted_volumes(tmp_path):
    write_dcgat(KNOWN, tmp_path / "known.json")
    out, store = tmp_path / "decorated.json.bz2", tmp_path / "store"
    cg.build_store(KNOWN[:20], store, cg.GraphConfig.recommended())
    result = CliRunner().invoke(
        main,
        ["pretrain", "decorate", str(tmp_path / "known.json"), "--out", str(out), "--count", "12",
         "--exclude", str(store)],
        catch_exceptions=False,
    )  # fmt: skip
    assert "12 crystals" in result.output
    crystals = [c for c in read_crystals(out) if isinstance(c, Crystal)]
    volumes = cg.predict(cg.load_model("mp-small"), crystals, show_progress=False).means[
        "volume@PBE"
    ]
    found = [c.volume / c.n_sites for c in crystals]
    np.testing.assert_allclose(found, volumes, rtol=1e-4)
