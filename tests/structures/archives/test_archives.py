"""Readers of archives: each documented property in its unit, recognized by content."""

import bz2
import gzip
import json
import math
import runpy
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.structures.archives import samples

from cgatjax.data.build import build_store
from cgatjax.errors import ConfigError, InputError, StructureError
from cgatjax.structures.archives import json_files, json_stream
from cgatjax.structures.archives.contracts import CONTRACTS, LEMAT, MATBENCH, Contract, Field
from cgatjax.structures.archives.json_files import contract_of_file, row_batches
from cgatjax.structures.archives.parquet import contract_of_parquet
from cgatjax.structures.crystal import Crystal, Rejected
from cgatjax.structures.readers import read_crystals

FIELDS = [(contract, field) for contract in CONTRACTS for field in contract.fields]
NAMES = [f"{contract.name}-{field.name}" for contract, field in FIELDS]


def values_of(contract: Contract) -> dict[str, float]:
    """A different value for each documented property."""
    return {field.name: -1.5 - k for k, field in enumerate(contract.fields)}


def write(folder: Path, contract: Contract, *, name: str = "x", lists: int = 3) -> Path:
    """A file of the archive, without a telling name: three rows, the last one without values."""
    values = values_of(contract)
    empty = dict.fromkeys(values)
    if contract is MATBENCH:
        columns = ["structure", *values]
        rows = [[samples.STRUCTURE, *values.values()]] * 2 + [[samples.STRUCTURE, *empty.values()]]
        table = {"index": [0, 1, 2], "columns": columns, "data": rows}
        path = folder / "matbench_mp_e_form.json.gz"
        path.write_bytes(gzip.compress(json.dumps(table).encode()))
        return path
    make = samples.ROWS[contract.name]
    rows = [make("a", values), make("b", values), make("c", empty)]
    path = folder / name
    if contract is LEMAT:
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        key = "data" if contract.name.startswith("OPTIMADE") else "entries"
        path.write_text(json.dumps({key: rows}))
    return path


def found_in(crystal: Crystal, field: Field) -> str:
    """Name of a documented property, with a functional or without."""
    names = [name for name in crystal.targets if name.split("@")[0] == field.name]
    assert len(names) == 1, (field.name, dict(crystal.targets))
    return names[0]


@pytest.mark.parametrize(("contract", "field"), FIELDS, ids=NAMES)
def test_a_property_is_read_in_its_unit(tmp_path: Path, contract: Contract, field: Field) -> None:
    first, second, third = read_crystals(write(tmp_path, contract))
    assert isinstance(first, Crystal)
    assert isinstance(third, Crystal)
    name = found_in(first, field)
    assert first.targets[name] == values_of(contract)[field.name] == second.targets[name]
    assert first.units.get(name, "") == field.unit
    assert name not in third.targets
    [named] = list(read_crystals(write(tmp_path, contract), targets=[name]))[2:]
    assert math.isnan(named.targets[name])


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: c.name)
def test_the_structure_is_rock_salt_and_the_archive_is_recognized(
    tmp_path: Path, contract: Contract
) -> None:
    path = write(tmp_path, contract)
    first, second, third = read_crystals(path)
    for crystal in (first, second, third):
        assert crystal.atomic_numbers.tolist() == [11, 17]
        np.testing.assert_allclose(crystal.lattice, samples.LATTICE)
        np.testing.assert_allclose(crystal.frac_coords, [[0] * 3, [0.5] * 3], atol=1e-12)
    own = [f"mb-mp-e-form-{k}" for k in (1, 2, 3)]
    assert [c.id for c in (first, second, third)] == (own if contract is MATBENCH else list("abc"))
    found = contract_of_parquet(path) if contract is LEMAT else contract_of_file(path)
    assert found is contract


FUNCTIONALS = {
    "LeMat-Bulk": ({"functional": "PBEsol", "cross_compatibility": "true"}, "energy@PBEsol"),
    "Materials Project": ({"thermo_type": "R2SCAN"}, "band_gap@r2SCAN"),
    "MatPES": ({"functional": "r2SCAN"}, "bandgap@r2SCAN"),
    "OPTIMADE responses": (
        {"_alexandria_xc_functional": "PBE"},
        "energy_above_hull@gga_gga+u",
    ),
}


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: c.name)
def test_a_stated_functional_is_part_of_the_name(tmp_path: Path, contract: Contract) -> None:
    crystal = next(read_crystals(write(tmp_path, contract)))
    labels, name = FUNCTIONALS.get(contract.name, ({}, contract.fields[0].name))
    assert crystal.labels == labels
    assert name in crystal.targets


def dump(path: Path, rows: list, key: str = "") -> Path:
    path.write_text(json.dumps({key: rows} if key else rows))
    return path


def test_thermo_types_are_told_apart(tmp_path: Path) -> None:
    values = {"formation_energy_per_atom": -2.0}
    rows = [
        samples.thermo("mp-1", values, "GGA_GGA+U", "GGA"),
        samples.thermo("mp-1", values, "GGA_GGA+U_R2SCAN", "R2SCAN"),
        {**samples.thermo("mp-2", values, "R2SCAN", "R2SCAN"), "energy_type": "HSE06"},
    ]
    path = dump(tmp_path / "x", rows)
    first, second, third = read_crystals(path)
    assert list(first.targets) == ["formation_energy_per_atom@GGA_GGA+U"]
    assert list(second.targets) == ["formation_energy_per_atom@GGA_GGA+U_R2SCAN"]
    assert first.n_sites == 2
    assert "expected entries['HSE06']" in third.reason
    [chosen, _] = read_crystals(path, where={"thermo_type": "gga_gga+u"})
    assert chosen.labels == {"thermo_type": "GGA_GGA+U"}


def test_two_kinds_of_rows_with_one_id_are_no_store(tmp_path: Path) -> None:
    values = {"formation_energy_per_atom": -2.0}
    kinds = (("GGA_GGA+U", "GGA"), ("R2SCAN", "R2SCAN"))
    path = dump(tmp_path / "x", [samples.thermo("mp-1", values, *kind) for kind in kinds])
    with pytest.raises(StructureError, match=r"--where\), here thermo_type=R2SCAN"):
        build_store(path, tmp_path / "all")
    store = build_store(path, tmp_path / "one", where={"thermo_type": "R2SCAN"})
    assert store.units["formation_energy_per_atom@r2SCAN"] == "eV/atom"
    assert "formation_energy_per_atom@GGA_GGA+U" not in store.units


def test_the_run_type_of_an_entry_is_a_label(tmp_path: Path) -> None:
    rows = [samples.alexandria(name, {"e-form": 1.0}) for name in "ab"]
    rows[0]["parameters"] = {"run_type": "GGA+U", "hubbards": {"Fe": 5.3}}
    rows[1]["parameters"] = {"run_type": "GGA"}
    path = dump(tmp_path / "x", rows)
    assert [c.labels for c in read_crystals(path)] == [{"run_type": "GGA+U"}, {"run_type": "GGA"}]
    assert [c.id for c in read_crystals(path, where={"run_type": "gga"})] == ["b"]


def test_scan_values_of_an_optimade_record_of_alexandria(tmp_path: Path) -> None:
    names = ("_alexandria_energy", "_alexandria_scan_energy")
    row = samples.optimade("agm1", {names[0]: -7.0, names[1]: -30.0})
    [crystal] = read_crystals(dump(tmp_path / "x.json", [row], "data"))
    assert crystal.targets == {"_alexandria_energy@PBE": -7.0, "_alexandria_energy@SCAN": -30.0}
    assert set(crystal.units.values()) == {"eV/cell"}


def test_lines_of_optimade_that_are_no_structures_are_left_out(tmp_path: Path) -> None:
    lines = [
        {"x-optimade": {"meta": {"api_version": "1.2.0"}}},
        {"type": "info", "id": "structures", "properties": {}},
        samples.optimade("agm1", {"_alexandria_energy": -7.0}),
        {"type": "references", "id": "doi", "attributes": {}},
        {"type": "structures", "id": "broken"},
    ]
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    first, second = read_crystals(path)
    assert (first.id, second.id) == ("agm1", "broken")
    assert "missing structure" in second.reason
    assert contract_of_file(path).name == "OPTIMADE responses"


def test_the_energy_of_perovskites_is_of_the_cell_and_unknown_elsewhere(tmp_path: Path) -> None:
    table = {
        "index": [0],
        "columns": ["structure", "e_form"],
        "data": [[samples.STRUCTURE, 1.0]],
    }
    for name, unit in (("matbench_perovskites", "eV/cell"), ("mine", "")):
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(table))
        [crystal] = read_crystals(path)
        assert crystal.units["e_form"] == unit


def test_wbm_as_a_table_of_columns_and_without_initial_structures(tmp_path: Path) -> None:
    rows = [samples.wbm(name, {"energy": -7.0, "bandgap": 1.0}) for name in ("wbm-1", "wbm-2")]
    columns = {key: {str(k): row[key] for k, row in enumerate(rows)} for key in rows[0]}
    path = tmp_path / "x"
    path.write_text(json.dumps(columns))
    first, second = read_crystals(path)
    assert (first.id, second.id) == ("wbm-1", "wbm-2")
    assert first.targets == {"energy": -7.0, "bandgap": 1.0}
    relaxed = {"material_id": "a", "cse": rows[0]["computed_structure_entry"]}
    [crystal] = read_crystals(dump(path, [relaxed]))
    assert crystal.lattice[0, 1] == 5.6


def test_disorder_and_missing_parts_are_reported_row_by_row(tmp_path: Path) -> None:
    mixed = [{"name": "Na", "chemical_symbols": ["Na", "K"], "concentration": [0.5, 0.5]}]
    good = samples.lemat("a", {"energy": 1.0})
    rows = [
        good,
        {**good, "id": "b", "species": json.dumps([*mixed, samples.SPECIES[1]])},
        {**good, "id": "c", "species_at_sites": ["Na", "Xx"]},
        {**good, "id": "d", "lattice_vectors": None},
        {**good, "id": "e", "dimension_types": [1, 1, 0]},
        {**good, "id": "f", "cartesian_site_positions": [[0.0] * 3]},
        {**good, "id": "g", "lattice_vectors": [[1.0, 0, 0]] * 3},
        {**good, "id": "h"},
    ]
    for name, chosen in (("arrays", rows[:3]), ("rows", rows)):
        pq.write_table(pa.Table.from_pylist(chosen), tmp_path / name)
        found = {item.id: item for item in read_crystals(tmp_path / name)}
        assert list(found) == [row["id"] for row in chosen]
        reasons = {k: v.reason for k, v in found.items() if isinstance(v, Rejected)}
        assert "disordered" in reasons["b"]
        assert "unknown element 'Xx'" in reasons["c"]
        assert set(reasons) == ({"b", "c"} if name == "arrays" else set("bcdefg"))
    assert "3 directions" in reasons["e"]
    assert "singular" in reasons["g"]


def test_large_batches_of_parquet_agree_with_rows_one_by_one(tmp_path, monkeypatch) -> None:
    rows = [samples.lemat(f"a{k}", {"energy": float(k)}) for k in range(50)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x", row_group_size=7)
    whole = list(read_crystals(tmp_path / "x"))
    monkeypatch.setattr("cgatjax.structures.archives.parquet._cells", lambda batch: None)
    single = list(read_crystals(tmp_path / "x"))
    for one, other in zip(whole, single, strict=True):
        assert (one.id, one.targets, one.units, one.labels) == (
            other.id, other.targets, other.units, other.labels,
        )  # fmt: skip
        np.testing.assert_allclose(one.frac_coords, other.frac_coords, atol=1e-12)


def test_files_are_recognized_whatever_their_name(tmp_path: Path) -> None:
    text = json.dumps([samples.jarvis("J-1", {"ehull": 0.0})])
    (tmp_path / "a.csv").write_text(text)
    (tmp_path / "b").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "c.json").write_bytes(bz2.compress(text.encode()))
    with zipfile.ZipFile(tmp_path / "d.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("jdft_3d.json", text)
    table = pa.Table.from_pylist([samples.lemat("J-1", {"energy": 1.0})])
    pq.write_table(table, tmp_path / "e.json")
    for name in ("a.csv", "b", "c.json", "d.zip", "e.json"):
        [crystal] = read_crystals(tmp_path / name)
        assert crystal.id == "J-1", name
    assert len(list(read_crystals(tmp_path))) == 4, "without the file that has no known suffix"
    with zipfile.ZipFile(tmp_path / "f.zip", "w") as archive:
        archive.writestr("readme.txt", "x")
    [bad] = read_crystals(tmp_path / "f.zip")
    assert "expected one .json file" in bad.reason


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read every file as a large one, in pieces that cut strings, numbers and escapes."""
    monkeypatch.setattr(json_files, "WHOLE", 1500)
    monkeypatch.setattr(json_stream, "CHUNK", 61)
    monkeypatch.setattr(json_files, "MAX_RATIO", 10**6)


NASTY = r'{"entries": "no list", "b": "}]\"[{", "note": "\\"}'


@pytest.mark.parametrize("layout", ["list", "entries", "data", "lines", "zip"])
@pytest.mark.usefixtures("small_chunks")
def test_large_json_is_streamed(tmp_path: Path, layout: str) -> None:
    rows = [samples.jarvis(f'J-"{k}\\', {"ehull": k / 8, "text": '\\"]}{['}) for k in range(30)]
    rows[3]["mbj_bandgap"] = math.nan
    text = {
        "list": json.dumps(rows, indent=1),
        "entries": json.dumps({"meta": json.loads(NASTY), "entries": rows, "after": [1]}),
        "data": json.dumps({"meta": {"data": []}, "data": rows}),
        "lines": "\n".join(map(json.dumps, rows)) + "\n",
        "zip": json.dumps(rows),
    }[layout]
    path = tmp_path / "x.json"
    if layout == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.json", text)
    else:
        path.write_text(text)
    assert [row["jid"] for batch in row_batches(path) for row in batch] == [r["jid"] for r in rows]
    assert [c.targets["ehull"] for c in read_crystals(path)] == [k / 8 for k in range(30)]


@pytest.mark.usefixtures("small_chunks")
def test_a_large_matbench_table_has_the_same_ids_as_a_small_one(tmp_path: Path) -> None:
    path = write(tmp_path, MATBENCH)
    assert [c.id for c in read_crystals(path)] == [f"mb-mp-e-form-{k}" for k in (1, 2, 3)]


@pytest.mark.usefixtures("small_chunks")
def test_damage_in_a_large_file_is_reported_after_the_crystals_before_it(tmp_path: Path) -> None:
    text = json.dumps([samples.jarvis(f"J-{k}", {}) for k in range(9)])
    path = tmp_path / "x.json"
    path.write_text(text[:-200])
    *crystals, last = read_crystals(path)
    assert [c.id for c in crystals] == [f"J-{k}" for k in range(len(crystals))]
    assert 6 <= len(crystals) <= 8
    assert "cut off" in last.reason
    path.write_text('{"a": 1, "b": ' + "[" * 5000)
    with pytest.raises(InputError, match="expected a list of entries"):
        list(row_batches(path))
    path.write_text(json.dumps([{"a": 1}] * 300))
    with pytest.raises(InputError, match='"structure"'):
        list(row_batches(path))


def test_crystals_are_chosen_by_label(tmp_path: Path) -> None:
    rows = [samples.lemat(str(k), {"energy": 1.0}) for k in range(4)]
    rows[1]["functional"] = "scan"
    rows[2]["cross_compatibility"] = False
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x")
    where = {"functional": "pbesol", "cross_compatibility": "True"}
    assert [c.id for c in read_crystals(tmp_path / "x", where=where)] == ["0", "3"]
    with pytest.raises(ConfigError, match="no label 'run'"):
        list(read_crystals(tmp_path / "x", where={"run": "x"}))


def test_the_page_of_archives_is_up_to_date() -> None:
    script = runpy.run_path(str(Path(__file__).parents[3] / "docs" / "archives.py"))
    page = script["PAGE"].read_text()
    assert page == script["page"](), "run PYTHONPATH=src python docs/archives.py"
    for name in NAMES:
        assert f"`[{name}]`" in page


def test_properties_of_archives_get_one_name_for_a_transfer(tmp_path: Path) -> None:
    path = dump(tmp_path / "x", [samples.matpes("a", {"formation_energy_per_atom": -2.0})])
    rename = {"formation_energy_per_atom@r2SCAN": "e-form@r2SCAN"}
    for targets in (None, ["e-form@r2SCAN"]):
        out = tmp_path / f"store-{targets}"
        store = build_store(path, out, targets=targets, rename=rename)
        assert store.units["e-form@r2SCAN"] == "eV/atom"
        assert "formation_energy_per_atom@r2SCAN" not in store.units
        assert store.target("e-form@r2SCAN").tolist() == [-2.0]
    twice = samples.matpes("a", {"formation_energy_per_atom": -2.0, "bandgap": 1.0})
    clash = {**rename, "bandgap@r2SCAN": "e-form@r2SCAN"}
    with pytest.raises(ConfigError, match="one name"):
        build_store(dump(tmp_path / "y", [twice]), tmp_path / "no", rename=clash)
