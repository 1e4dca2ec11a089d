"""Total energies of LeMat-Bulk: formation energies within one functional, up to a store."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.commands import ok, refused
from tests.structures.archives import samples

import cgatjax as cg

SYMBOLS = ("Na", "Cl")


def row(name: str, symbols: tuple[str, ...], functional: str, per_atom: float, **more) -> dict:
    species = [{"name": s, "chemical_symbols": [s], "concentration": [1.0]} for s in set(symbols)]
    made = samples.lemat(f"{name}-{functional}", {"energy": per_atom * len(symbols)})
    positions = made["cartesian_site_positions"][: len(symbols)]
    parts = {"species_at_sites": list(symbols), "species": json.dumps(species)}
    own = {"functional": functional, "cartesian_site_positions": positions}
    return {**made, **parts, **own, "cross_compatibility": True, **more}


@pytest.fixture
def lemat(tmp_path: Path) -> Path:
    """Salt and its elements in two functionals; one more compound of unlike settings."""
    energies = {"pbe": (-1.0, -2.0, -3.5), "scan": (-10.0, -20.0, -17.0)}
    rows = [
        row(name, symbols, functional, value)
        for functional, values in energies.items()
        for name, symbols, value in zip(
            ("na", "cl", "nacl"), (("Na",), ("Cl",), SYMBOLS), values, strict=True
        )
    ]
    rows.append(row("odd", SYMBOLS, "pbe", -50.0, cross_compatibility=False))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "lemat.parquet")
    return tmp_path / "lemat.parquet"


def test_each_functional_has_its_own_hull(lemat: Path, tmp_path: Path) -> None:
    chosen = ("--where", "cross_compatibility=true", "--workers", 1)
    for functional, expected in (("PBE", -2.0), ("SCAN", -2.0)):
        base = ("hull", lemat, "--energy", f"energy@{functional}", "--kind", "cell", *chosen)
        out = tmp_path / functional
        ok(*base, "--where", f"functional={functional}", "--out", out)
        found = {c.id.split("-")[0]: c for c in cg.read_crystals(out)}
        assert set(found) == {"na", "cl", "nacl"}
        salt = found["nacl"]
        assert salt.targets[f"e-form@{functional}"] == pytest.approx(expected)
        assert salt.targets[f"e_above_hull_new@{functional}"] == pytest.approx(expected)
        assert salt.units[f"energy@{functional}"] == "eV/cell"
        assert salt.labels["functional"] == functional


def test_rows_of_another_functional_or_setting_are_no_silent_part(
    lemat: Path, tmp_path: Path
) -> None:
    base = ("hull", lemat, "--energy", "energy@PBE", "--kind", "cell", "--workers", 1)
    assert "expected a finite energy" in refused(*base, "--out", tmp_path / "a")
    ok(*base, "--where", "functional=pbe", "--out", tmp_path / "b")
    # Without the choice, the compound of unlike settings is what salt is measured against.
    [salt] = [c for c in cg.read_crystals(tmp_path / "b") if c.id == "nacl-pbe"]
    assert salt.targets["e_above_hull_new@PBE"] == pytest.approx(46.5)


def test_totals_are_refused_as_targets_and_hulls_are_not(lemat: Path, tmp_path: Path) -> None:
    store = cg.build_store(lemat, tmp_path / "s", targets=["energy@PBE"])
    with pytest.raises(cg.TargetError, match="eV/cell"):
        cg.init_model(cg.ModelConfig.small(), store, target="energy@PBE")
    divided = cg.build_store(lemat, tmp_path / "t", per_atom=["energy@PBE"], targets=["energy@PBE"])
    assert divided.unit("energy@PBE") == "eV/atom"
    np.testing.assert_allclose(divided.target("energy@PBE")[:3], [-1.0, -2.0, -3.5])
