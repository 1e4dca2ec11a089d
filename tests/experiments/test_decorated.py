"""Decorated crystals that nobody has computed."""

import dataclasses

import numpy as np
import pytest
from click.testing import CliRunner
from experiments import decorated
from experiments.commands import main
from experiments.decorated import cubic_kinds, decorations
from pymatgen.core import Element, Lattice, Structure
from tests.networks import SMALLEST

import cgatjax as cg
from cgatjax.errors import InputError
from cgatjax.model.normalizer import Normalizer
from cgatjax.structures import Crystal, reduced_formula
from cgatjax.structures.dcgat import write_dcgat
from cgatjax.structures.readers import read_crystals

KNOWN = list(cg.ionic_crystals(30, seed=0))


def test_other_elements_on_the_same_sites():
    left_out = {reduced_formula(c.atomic_numbers) for c in KNOWN}
    before, sources = set(left_out), {c.id: c for c in KNOWN}
    drawn = decorations([KNOWN], left_out, np.random.default_rng(0))
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


def test_any_elements_on_the_sites_of_kinds():
    [salt, _], [perovskite, _] = _crystals("Fm-3m", 2), _crystals("Pm-3m", 5)
    pairs = np.arange(20, 38, dtype=np.uint8).reshape(9, 2)
    salts = [dataclasses.replace(salt, atomic_numbers=pair) for pair in pairs]
    drawn = decorations([salts, [perovskite]], set(), np.random.default_rng(0), 1.0)
    crystals = [next(drawn) for _ in range(80)]
    large = sum(c.n_sites == 5 for c in crystals)
    assert 12 <= large <= 28  # a quarter: the square root of one against nine
    assert len({z for c in crystals for z in c.atomic_numbers.tolist()}) == 18 + 2  # Sr, O beside


def test_cubic_crystals_whose_coordinates_symmetry_fixes():
    salt, perovskite, pyrite = (_crystals(*k) for k in (("Fm-3m", 2), ("Pm-3m", 5), ("Pa-3", 12)))
    longer = dataclasses.replace(salt[0], lattice=salt[0].lattice @ np.diag([1, 1, 1.1]))
    moved = dataclasses.replace(salt[0], frac_coords=salt[0].frac_coords + 0.1)
    half = Structure.from_spacegroup(
        "F-43m", Lattice.cubic(5.9), ["Mg", "Ag", "As"], [[0, 0, 0], [0.25] * 3, [0.5] * 3]
    ).get_primitive_structure()
    kinds = cubic_kinds([*salt, moved, longer, *perovskite, *pyrite, *read_crystals(half)])
    assert [sorted({c.n_sites for c in kind}) for kind in kinds] == [[2], [5], [3]]
    assert [len(kind) for kind in kinds] == [len(salt) + 1, len(perovskite), 1]


def test_scanned_crystals_at_their_volumes(tmp_path):
    crystal = dataclasses.replace(
        _crystals("Fm-3m", 2)[0],
        targets={"e-form_chgnet": 0.2, "volume_chgnet": 20.0, "gap": 1.0},
        units={"e-form_chgnet": "eV/atom", "volume_chgnet": "A^3/atom"},
        origins={"e-form_chgnet": "chgnet", "volume_chgnet": "chgnet"},
    )
    unstable = {"e-form_chgnet": 1.6, "volume_chgnet": 20.0}
    worse = dataclasses.replace(crystal, id="worse", targets=unstable)
    write_dcgat([crystal, worse], tmp_path / "labeled.json.bz2")
    out = tmp_path / "minima.json.bz2"
    result = CliRunner().invoke(
        main,
        ["pretrain", "minima", str(tmp_path / "labeled.json.bz2"), "--out", str(out)],
        catch_exceptions=False,
    )
    assert "1 crystals, without 1 above 1.5 eV/atom" in result.output
    [found] = [c for c in read_crystals(out) if isinstance(c, Crystal)]
    assert found.volume == pytest.approx(40.0)
    assert found.targets["e-form_chgnet"] == 0.2
    assert not {"volume_chgnet", "gap"} & set(found.targets)


def test_crystals_without_a_scan_are_an_error(tmp_path):
    energy = {"targets": {"e-form_chgnet": 0.2}, "units": {"e-form_chgnet": "eV/atom"}}
    crystals = [dataclasses.replace(c, **energy) for c in _crystals("Fm-3m", 2)]
    scanned = {"e-form_chgnet": 0.2, "volume_chgnet": 20.0}
    write_dcgat(
        [dataclasses.replace(crystals[0], id="scanned", targets=scanned),
         dataclasses.replace(crystals[1], id="lacking")],
        tmp_path / "labeled.json.bz2",
    )  # fmt: skip
    result = CliRunner().invoke(
        main,
        ["pretrain", "minima", str(tmp_path / "labeled.json.bz2"), "--out", str(tmp_path / "out")],
    )
    assert "'lacking': expected 'e-form_chgnet' and 'volume_chgnet'" in str(result.exception)


def _crystals(group: str, sites: int) -> list[Crystal]:
    """Two primitive crystals with the given space group."""
    axes = {"Fm-3m": (["Na", "Cl"], [[0, 0, 0], [0.5] * 3]),
            "Pm-3m": (["Sr", "Ti", "O"], [[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0]]),
            "Pa-3": (["Fe", "S"], [[0, 0, 0], [0.385] * 3])}[group]  # fmt: skip
    cells = [Structure.from_spacegroup(group, Lattice.cubic(a), *axes) for a in (5.4, 5.6)]
    found = list(read_crystals([cell.get_primitive_structure() for cell in cells]))
    assert {c.n_sites for c in found} == {sites}
    return found


def test_prototypes_that_are_used_up_are_an_error(monkeypatch):
    monkeypatch.setattr(decorated, "MOST_DRAWS", 20)
    salt = [c for c in KNOWN if len(set(c.atomic_numbers.tolist())) == 2][:1]
    drawn = decorations([salt], {reduced_formula(salt[0].atomic_numbers)}, np.random.default_rng(0))
    with pytest.raises(InputError, match="1 prototypes: 20 draws gave no new formula"):
        list(drawn)


def test_cells_have_the_predicted_volumes(tmp_path):
    write_dcgat(KNOWN, tmp_path / "known.json")
    out, store = tmp_path / "decorated.json.bz2", tmp_path / "store"
    known = cg.build_store(KNOWN[:20], store, cg.GraphConfig.recommended())
    network = cg.ModelConfig.small(**SMALLEST)
    model = cg.init_model(network, known.all(), target="volume@low", seed=0)
    model = model.replace(normalizers={"volume@low": Normalizer(mean=25.0, std=2.0)})
    cg.save_model(tmp_path / "model", model)
    result = CliRunner().invoke(
        main,
        ["pretrain", "decorate", str(tmp_path / "known.json"), "--out", str(out), "--count", "12",
         "--exclude", str(store), "--volumes", str(tmp_path / "model")],
        catch_exceptions=False,
    )  # fmt: skip
    assert "12 crystals" in result.output
    crystals = [c for c in read_crystals(out) if isinstance(c, Crystal)]
    volumes = cg.predict(model, crystals, show_progress=False).means["volume@low"]
    found = [c.volume / c.n_sites for c in crystals]
    np.testing.assert_allclose(found, volumes, rtol=1e-4)
