import bz2
import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest

from cgatjax.errors import InputError
from cgatjax.structures.archives.json_files import read_json
from cgatjax.structures.crystal import Crystal, Rejected
from cgatjax.structures.dcgat import entry_of, write_dcgat
from cgatjax.structures.readers import read_crystals
from cgatjax.synthetic.dataset import ionic_crystals


def entry(name="mp-1", symbols=("Na", "Cl"), *, occu=1.0, data=None, **changes) -> dict:
    """Rock salt as pymatgen writes a ComputedStructureEntry, with the given sites' elements."""
    sites = [
        {"species": [{"element": symbol, "occu": occu}], "abc": [0.5 * i] * 3, "properties": {}}
        for i, symbol in enumerate(symbols)
    ]
    structure = {
        "@class": "Structure",
        "lattice": {"matrix": [[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]], "pbc": [True] * 3},
        "sites": sites,
    }
    made = {"energy": 0.0, "entry_id": name, "structure": structure}
    return {**made, "data": {"e-form": -2.0, "volume": 22.0} if data is None else data, **changes}


def write(path: Path, document: object) -> Path:
    compress = {".gz": gzip.compress, ".bz2": bz2.compress}.get(path.suffix, bytes)
    path.write_bytes(compress(json.dumps(document).encode()))
    return path


def read(path: Path, targets=None) -> list[Crystal | Rejected]:
    return list(read_json(path, targets))


@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "a.json.bz2"])
def test_entries_become_arrays(tmp_path, name):
    path = write(tmp_path / name, {"entries": [entry(), entry("mp-2", "OO")], "note": "x"})
    first, second = read(path)
    assert (first.id, second.id) == ("mp-1", "mp-2")
    np.testing.assert_array_equal(first.lattice, 2.8 * (1 - np.eye(3)))
    np.testing.assert_array_equal(first.frac_coords, [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert (first.lattice.dtype, first.frac_coords.dtype) == (np.float64, np.float64)
    assert first.atomic_numbers.dtype == np.uint8
    assert first.atomic_numbers.tolist() == [11, 17]
    assert second.atomic_numbers.tolist() == [8, 8]
    assert first.targets == {"e-form": -2.0, "volume": 22.0}
    assert first.source == str(path)


def test_a_bare_list_of_entries(tmp_path):
    (crystal,) = read(write(tmp_path / "a.json", [entry()]))
    assert crystal.n_sites == 2


def test_ids_come_from_the_entry_its_data_or_its_position(tmp_path):
    entries = [
        entry(None, data={"id": "b", "mat_id": "c"}),
        entry(None, data={"mat_id": "c"}),
        entry(None, data={}),
        entry("d", data={"id": "b"}),
    ]
    path = write(tmp_path / "a.json.gz", {"entries": entries})
    assert [crystal.id for crystal in read(path)] == ["b", "c", "a:3", "d"]


def test_named_targets_are_nan_where_missing(tmp_path):
    values = [{"gap": 1}, {"gap": None}, {"gap": "na"}, {"gap": math.nan}, {"gap": math.inf}, {}]
    path = write(tmp_path / "a.json", {"entries": [entry(data=data) for data in values]})
    found = [crystal.targets["gap"] for crystal in read(path, ["gap"])]
    np.testing.assert_equal(found, [1.0] + 5 * [math.nan])
    assert [crystal.targets for crystal in read(path)] == [{"gap": 1.0}] + 5 * [{}]


def test_float_noise_in_an_occupancy_and_oxidation_states_are_no_disorder(tmp_path):
    made = entry(occu=1.0 + 1e-12)
    made["structure"]["sites"][0]["species"][0]["oxidation_state"] = 1.0
    (crystal,) = read(write(tmp_path / "a.json", [made]))
    assert isinstance(crystal, Crystal)


def without(made: dict, *keys: str) -> dict:
    inner = made
    for key in keys[:-1]:
        inner = inner[key]
    del inner[keys[-1]]
    return made


def with_structure(**changes) -> dict:
    made = entry()
    made["structure"].update(changes)
    return made


BAD = {
    "unknown element": (entry(symbols=("Na", "Xx")), "unknown element 'Xx'"),
    "element beyond the table": (entry(symbols=["Rf"]), "unknown element 'Rf'"),
    "partial occupancy": (entry(occu=0.5), "disordered site"),
    "two species": (
        with_structure(sites=[{"species": [{"element": "H", "occu": 0.5}] * 2, "abc": [0, 0, 0]}]),
        "disordered site",
    ),
    "vacancy": (with_structure(sites=[{"species": [], "abc": [0, 0, 0]}]), "disordered site"),
    "no structure": (entry(structure=None), "missing structure"),
    "no lattice": (without(entry(), "structure", "lattice"), "no 'lattice'"),
    "no matrix": (without(entry(), "structure", "lattice", "matrix"), "no 'matrix'"),
    "no sites": (with_structure(sites=[]), "no sites"),
    "singular lattice": (with_structure(lattice={"matrix": [[1, 0, 0]] * 3}), "singular lattice"),
    "ragged lattice": (with_structure(lattice={"matrix": [[1, 0], [1]]}), "no pymatgen dict"),
    "flat lattice": (with_structure(lattice={"matrix": [[1, 0], [0, 1]]}), r"\(3, 3\) lattice"),
    "slab": (
        with_structure(lattice={"matrix": np.eye(3).tolist(), "pbc": [True, True, False]}),
        "3 directions",
    ),
    "nan": (
        with_structure(lattice={"matrix": [[math.nan, 0, 0], [0, 1, 0], [0, 0, 1]]}),
        "NaN or infinity",
    ),
    "no list": (with_structure(sites=7), "no pymatgen dict"),
    "data": (entry(data=[1]), '"data"'),
    "word": ("word", "expected an entry"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_entry_is_reported_and_the_next_one_read(tmp_path, what):
    bad, message = BAD[what]
    path = write(tmp_path / "a.json", {"entries": [bad, entry("mp-2")]})
    rejected, crystal = read(path)
    assert isinstance(rejected, Rejected)
    assert rejected.id == ("a:1" if what == "word" else "mp-1")
    assert rejected.source == str(path)
    with pytest.raises(Exception, match=message):
        raise rejected.error()
    assert crystal.id == "mp-2"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b'{"entries": [', "expected JSON"),
        (b'{"entries": [NaN', "expected JSON"),
        (b'{"structures": []}', r"keys \['structures'\]"),
        (b'{"entries": 3}', "expected DCGAT"),
        (b'{"entries": []}', "empty"),
        (b'{"entries": [{"a": 1}]}', '"structure"'),
        (b'"word"', "got a str"),
        (b"3", "got a int"),
        ("\xe9".encode("latin-1"), "expected JSON"),
    ],
)
def test_files_that_are_not_dcgat(tmp_path, content, message):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read(tmp_path / "a.json")


@pytest.mark.parametrize("name", ["a.json.bz2", "a.json.gz"])
def test_truncated_and_damaged_archives(tmp_path, name):
    path = write(tmp_path / name, {"entries": [entry(str(i)) for i in range(50)]})
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"not compressed", whole[:10] + b"x" * 50):
        path.write_bytes(content)
        with pytest.raises(InputError, match="damaged"):
            read(path)


def test_real_archives(shared):
    path = shared / "data" / "alexandria_sample.json.gz"
    crystals = read(path, ["e-form", "volume"])
    assert len(crystals) == 98
    assert crystals[0].id == "agm005268319"
    for crystal in crystals:
        assert crystal.volume / crystal.n_sites == pytest.approx(
            crystal.targets["volume"], rel=1e-3
        )


def test_real_archives_agree_with_pymatgen(shared):
    core = pytest.importorskip("pymatgen.core")
    path = shared / "data" / "alexandria_sample.json.gz"
    entries = json.loads(gzip.decompress(path.read_bytes()))["entries"]
    for made, crystal in zip(entries[:20], read(path), strict=False):
        structure = core.Structure.from_dict(made["structure"])
        np.testing.assert_array_equal(crystal.frac_coords, structure.frac_coords)
        np.testing.assert_array_equal(crystal.lattice, structure.lattice.matrix)
        assert crystal.atomic_numbers.tolist() == list(structure.atomic_numbers)


def test_the_energy_of_an_entry_is_read_only_by_name(tmp_path):
    entries = [
        entry("a", energy=-7.0, correction=-0.5),
        entry("b", energy=-7.0, data={"energy": -3.0}),
        entry("c", energy=None, correction=None),
        entry("d", energy=-7.0, correction=None),
    ]
    path = write(tmp_path / "a.json", {"entries": entries})
    assert [c.targets["energy"] for c in read(path, ["energy"])[:2]] == [-7.5, -3.0]
    last = [c.targets["energy"] for c in read(path, ["energy"])[2:]]
    assert (math.isnan(last[0]), last[1]) == (True, -7.0)
    assert "energy" not in read(path)[0].targets


# Documents with properties beside the structure.


def document(name: str, **values) -> dict:
    return {"material_id": name, "structure": entry()["structure"], **values}


@pytest.mark.parametrize(
    "wrap", [list, lambda d: {"data": d, "meta": {}}, lambda d: {"entries": d}]
)
def test_documents_of_the_materials_project(tmp_path, wrap):
    values = {"band_gap": 4.0, "volume": 43.9, "energy_per_atom": -3.5, "is_metal": False}
    made = [document("mp-1", **values), document("mp-2", band_gap=None, nsites=2)]
    first, second = read(write(tmp_path / "a.json", wrap(made)))
    assert (first.id, second.id) == ("mp-1", "mp-2")
    assert first.targets == {"band_gap": 4.0, "volume": 43.9, "energy_per_atom": -3.5}
    assert first.units == {"band_gap": "eV", "energy_per_atom": "eV/atom", "volume": "A^3/cell"}
    assert second.targets == {}


def test_a_single_document(tmp_path):
    (crystal,) = read(write(tmp_path / "a.json", document("mp-1", energy=-7.0)), ["energy"])
    assert (crystal.targets, crystal.units) == ({"energy": -7.0}, {"energy": "eV/cell"})


def test_documents_of_jarvis(tmp_path):
    atoms = {
        "lattice_mat": (4.0 * np.eye(3)).tolist(),
        "coords": [[0, 0, 0], [0.5, 0.5, 0.5]],
        "elements": ["Cs", "Cl"],
        "cartesian": False,
    }
    cartesian = {**atoms, "cartesian": True, "coords": [[0, 0, 0], [2, 2, 2]]}
    values = {"formation_energy_peratom": "-2.2", "mbj_bandgap": "na", "spg_number": "221"}
    made = [
        {"jid": "JVASP-1", "atoms": atoms, **values},
        {"jid": "JVASP-2", "atoms": cartesian, "mbj_bandgap": 5.0},
        {"jid": "JVASP-3", "atoms": {"coords": []}},
    ]
    first, second, third = read(write(tmp_path / "a.json", made))
    assert (first.id, second.id, third.id) == ("JVASP-1", "JVASP-2", "JVASP-3")
    assert first.targets == {"formation_energy_peratom": -2.2}
    assert second.targets == {"mbj_bandgap": 5.0}
    np.testing.assert_allclose(first.frac_coords, second.frac_coords)
    assert first.atomic_numbers.tolist() == [55, 17]
    assert "lattice_mat" in third.reason


def test_numbers_as_strings(tmp_path):
    entries = [entry("a", data={"gap": "1.5", "note": "x"}), entry("b", data={"gap": "1.5 eV"})]
    path = write(tmp_path / "a.json", entries)
    assert [crystal.targets for crystal in read(path)] == [{"gap": 1.5}, {}]
    first, second = read(path, ["gap"])
    assert first.targets == {"gap": 1.5}
    assert second.reason == "property 'gap': expected a number, got '1.5 eV'"


# Writing.


@pytest.mark.parametrize("suffix", [".json", ".json.gz", ".json.bz2"])
def test_written_crystals_are_read_back_exactly(tmp_path, suffix):
    crystals = ionic_crystals(20)
    path = write_dcgat(crystals, tmp_path / "new" / f"ionic{suffix}")
    back = list(read_crystals(path))
    assert [crystal.id for crystal in back] == [crystal.id for crystal in crystals]
    for one, other in zip(back, crystals, strict=True):
        np.testing.assert_array_equal(one.lattice, other.lattice)
        np.testing.assert_array_equal(one.frac_coords, other.frac_coords)
        np.testing.assert_array_equal(one.atomic_numbers, other.atomic_numbers)
        assert dict(one.targets) == dict(other.targets)


@pytest.mark.parametrize("suffix", [".json.gz", ".json.bz2"])
def test_the_same_crystals_give_the_same_bytes(tmp_path, suffix):
    first = write_dcgat(ionic_crystals(3), tmp_path / f"a{suffix}")
    second = write_dcgat(iter(ionic_crystals(3)), tmp_path / f"b{suffix}")
    assert first.read_bytes() == second.read_bytes()


def test_pymatgen_reads_an_entry():
    computed_entries = pytest.importorskip("pymatgen.entries.computed_entries")
    crystal = ionic_crystals(1)[0]
    entry = computed_entries.ComputedStructureEntry.from_dict(entry_of(crystal))
    assert entry.entry_id == crystal.id
    assert entry.data["e-form@high"] == crystal.targets["e-form@high"]
    assert [site.specie.Z for site in entry.structure] == crystal.atomic_numbers.tolist()


def test_a_missing_value_is_omitted_and_read_as_nan(tmp_path):
    targets = {"e-form": float("nan"), "volume": 2.0}
    crystal = Crystal(
        id="a",
        lattice=3 * np.eye(3),
        frac_coords=np.zeros((1, 3)),
        atomic_numbers=np.array([11], np.uint8),
        targets=targets,
    )
    path = write_dcgat([crystal], tmp_path / "one.json")
    data = json.loads(path.read_text())["entries"][0]["data"]
    assert data == {"volume": 2.0, "id": "a", "decomposition": "Na"}
    (back,) = read_crystals(path, targets=["e-form", "volume"])
    assert np.isnan(back.targets["e-form"])
    assert back.targets["volume"] == 2.0


def test_writing_to_another_suffix_or_nothing_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"\.json"):
        write_dcgat(ionic_crystals(1), tmp_path / "crystals.csv")
    with pytest.raises(InputError, match="at least one"):
        write_dcgat([], tmp_path / "none.json")
