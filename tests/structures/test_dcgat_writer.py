import json

import numpy as np
import pytest

from cgatjax.errors import InputError
from cgatjax.structures.crystal import Crystal
from cgatjax.structures.dcgat import entry_of, write_dcgat
from cgatjax.structures.readers import read_crystals
from cgatjax.synthetic.dataset import ionic_crystals


@pytest.mark.parametrize("suffix", [".json", ".json.gz", ".json.bz2"])
def test_what_is_written_is_read_back_to_the_last_digit(tmp_path, suffix):
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


def test_a_missing_value_is_left_out_and_read_as_nan(tmp_path):
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


def test_another_name_or_nothing_to_write(tmp_path):
    with pytest.raises(InputError, match=r"\.json"):
        write_dcgat(ionic_crystals(1), tmp_path / "crystals.csv")
    with pytest.raises(InputError, match="at least one"):
        write_dcgat([], tmp_path / "none.json")
