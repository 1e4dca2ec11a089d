from collections import Counter

import numpy as np
import pytest
from tests.doc_tables import agrees, table_under

from cgatjax.errors import ConfigError, TargetError
from cgatjax.structures.crystal import Crystal, check_crystal
from cgatjax.synthetic.dataset import TARGETS, fidelity_report, ionic_crystals
from cgatjax.synthetic.lattice_sums import pair_distances


@pytest.fixture(scope="module")
def crystals():
    return ionic_crystals()


def test_thousands_of_valid_crystals_have_unique_ids(crystals):
    assert len(crystals) > 6000
    assert len({crystal.id for crystal in crystals}) == len(crystals)
    assert all(check_crystal(crystal) is None for crystal in crystals)


def test_every_crystal_has_every_target(crystals):
    for crystal in crystals:
        assert tuple(crystal.targets) == TARGETS
        assert np.isfinite(list(crystal.targets.values())).all()
        volume = crystal.targets["volume@low"]
        assert crystal.volume / crystal.n_sites == pytest.approx(volume, rel=1e-12)


def test_sizes_and_compositions_are_diverse(crystals):
    sizes = Counter(crystal.n_sites for crystal in crystals)
    assert len(sizes) >= 10
    assert max(sizes) <= 20
    kinds = Counter(len(set(crystal.atomic_numbers.tolist())) for crystal in crystals)
    assert set(kinds) == {2, 3, 4}
    assert min(kinds.values()) >= 300
    elements = Counter(z for c in crystals for z in set(c.atomic_numbers.tolist()))
    assert len(elements) >= 60
    assert min(elements.values()) >= 20
    types = Counter(crystal.id.rsplit("-", 2)[0] for crystal in crystals)
    assert len(types) == 40
    assert max(types.values()) < 0.1 * len(crystals)


def test_no_two_atoms_are_too_close(crystals):
    for crystal in crystals[:400]:
        distance = pair_distances(crystal.lattice, crystal.frac_coords, 5.0)
        assert 1.4 < distance.min() < 4.0, crystal.id


def test_energies_and_volumes_are_typical_of_ionic_solids(crystals):
    values = {name: np.array([c.targets[name] for c in crystals]) for name in TARGETS}
    for fidelity in ("low", "high"):
        assert -5 < values[f"e-form@{fidelity}"].min() < -4
        assert values[f"e-form@{fidelity}"].max() < 1
        assert values[f"volume@{fidelity}"].min() > 4
        assert values[f"volume@{fidelity}"].max() < 110


def test_the_same_arguments_give_the_same_crystals(crystals):
    few = ionic_crystals(50)
    for one, other in zip(few, crystals, strict=False):
        assert one.id == other.id
        assert one.targets == other.targets
        np.testing.assert_array_equal(one.lattice, other.lattice)
        np.testing.assert_array_equal(one.frac_coords, other.frac_coords)
        np.testing.assert_array_equal(one.atomic_numbers, other.atomic_numbers)


def test_another_seed_gives_other_crystals_with_the_same_values(crystals):
    by_id = {crystal.id: crystal for crystal in crystals}
    others = ionic_crystals(50, seed=1)
    assert [c.id for c in others] != [c.id for c in crystals[:50]]
    assert all(by_id[crystal.id].targets == crystal.targets for crystal in others)


def test_crystals_share_no_memory():
    one, _ = ionic_crystals(2)
    one.frac_coords[:] = 0
    assert ionic_crystals(1)[0].frac_coords.any()


@pytest.mark.parametrize("n", [-1, 10**6])
def test_numbers_out_of_range_are_refused(n):
    with pytest.raises(ConfigError, match=f"got {n}"):
        ionic_crystals(n)


def test_negative_seeds_are_refused():
    with pytest.raises(ConfigError, match="seed"):
        ionic_crystals(3, seed=-1)


def test_the_difference_of_the_fidelities_is_learnable(crystals):
    report = fidelity_report(crystals)
    energy = report["e-form"]
    assert 0.9 < energy["pearson"] < 0.995
    assert 0.9 < energy["spearman"] < 0.995
    assert energy["std"] > 0.8
    assert 0.05 < energy["std_learnable"] < 0.3 * energy["std_composition"]
    assert energy["std_learnable_scaled"] <= energy["std_learnable"]
    volume = report["volume"]
    assert 0.98 < volume["pearson"] < 0.999
    assert 0.2 < volume["std_learnable"] < 0.3 * volume["std_composition"]


def pair(low, high, numbers=(11, 17)):
    targets = {"e-form@low": low, "e-form@high": high, "volume@low": low}
    return Crystal(
        id="x",
        lattice=np.eye(3),
        frac_coords=np.zeros((len(numbers), 3)),
        atomic_numbers=np.array(numbers, np.uint8),
        targets={**targets, "volume@high": high},
    )


def test_fidelity_report_by_hand():
    """High = low + 1 for one composition and low + 3 for the other: a function of composition."""
    crystals = [pair(1, 2), pair(3, 4), pair(2, 5, (19, 17)), pair(4, 7, (19, 17))]
    report = fidelity_report(crystals)["e-form"]
    assert report["std_difference"] == pytest.approx(1.0)
    assert report["std_learnable"] == pytest.approx(0.0, abs=1e-12)
    assert report["std"] == pytest.approx(np.std([2, 4, 5, 7]))
    assert report["pearson"] == pytest.approx(np.corrcoef([1, 3, 2, 4], [2, 4, 5, 7])[0, 1])
    assert report["spearman"] == pytest.approx(np.corrcoef([0, 2, 1, 3], [0, 1, 2, 3])[0, 1])
    assert report["std_composition"] == pytest.approx(1.0)


def test_fidelity_report_needs_all_values():
    with pytest.raises(TargetError, match="at least two"):
        fidelity_report([pair(1, 2)])
    with pytest.raises(TargetError, match=r"'e-form@high'.*1 have none.*'x'"):
        fidelity_report([pair(1, 2), pair(1, np.nan)])


def test_the_numbers_of_the_page(crystals):
    page = "docs/synthetic_data.md"
    elements = [set(crystal.atomic_numbers.tolist()) for crystal in crystals]
    sizes = [crystal.n_sites for crystal in crystals]
    found = Counter(element for several in elements for element in several)
    kinds = Counter(map(len, elements))
    expected = {
        "crystals": [len(crystals)],
        "structure types": [len({c.id.rsplit("-", 2)[0] for c in crystals})],
        "elements": [len(found)],
        "compositions": [kinds[2], kinds[3], kinds[4]],
    }
    contents = dict(table_under(page, "Contents", "")[1:])
    for name, values in expected.items():
        shown = contents[name] if name == "compositions" else contents[name].split()[0].strip(",")
        assert agrees(shown, values), name
    assert f"{min(sizes)} to {max(sizes)} sites" in contents["structure types"]
    assert f"in {min(found.values())} crystals or more" in contents["elements"]
    columns = fidelity_report(crystals).values()
    lines = table_under(page, "Relation between the two fidelities", "")[1:]
    for (_, *cells), *values in zip(lines, *(c.values() for c in columns), strict=True):
        assert all(agrees(cell, [v]) for cell, v in zip(cells, values, strict=True)), values
