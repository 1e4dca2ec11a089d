import numpy as np
import pytest

import cgatjax as cg
from cgatjax.data.compositions import element_fractions
from cgatjax.data.graph_list import GraphList
from cgatjax.errors import InputError
from cgatjax.simple_models import composition_features, feature_names
from cgatjax.structures.element_properties import ELEMENT_PROPERTIES, element_properties


def fractions(**amounts: float) -> np.ndarray:
    row = np.zeros(104)
    for symbol, amount in amounts.items():
        row[{"H": 1, "O": 8, "Na": 11, "Cl": 17, "Fe": 26, "Lr": 103}[symbol]] = amount
    return row / row.sum()


def feature(name: str, row: np.ndarray) -> float:
    return composition_features(row[None])[0, feature_names().index(name)]


def test_statistics_are_weighted_by_fraction() -> None:
    water = fractions(H=2, O=1)
    assert feature("number of elements", water) == 2
    assert feature("mean of atomic_number", water) == pytest.approx(10 / 3)
    # |1 - 10/3| * 2/3 + |8 - 10/3| * 1/3
    assert feature("deviation of atomic_number", water) == pytest.approx(28 / 9)
    assert feature("min of atomic_number", water) == 1
    assert feature("max of atomic_number", water) == 8
    assert feature("range of atomic_number", water) == 7
    assert feature("fraction of H", water) == pytest.approx(2 / 3)


def test_elements_without_a_value_do_not_count() -> None:
    table = element_properties()[:, ELEMENT_PROPERTIES.index("bulk_modulus")]
    assert np.isnan(table[8])
    assert np.isfinite(table[26])
    rust = fractions(Fe=2, O=3)
    assert feature("mean of bulk_modulus", rust) == pytest.approx(table[26])
    assert np.isnan(feature("mean of bulk_modulus", fractions(O=1)))


@pytest.mark.parametrize(
    ("symbol", "outer", "valence"),
    [("O", (2, 4, 0, 0), 6), ("Fe", (2, 0, 6, 0), 8), ("Zn", (2, 0, 10, 0), 2)],
)
def test_electrons(symbol: str, outer: tuple[int, ...], valence: int) -> None:
    row = element_properties()[{"O": 8, "Fe": 26, "Zn": 30}[symbol]]
    assert tuple(row[-5:]) == (*outer, valence)


def test_known_values_are_further_features() -> None:
    both = np.stack([fractions(H=2, O=1), fractions(Na=1, Cl=1)])
    names = feature_names(["e-form_pbe"])
    found = composition_features(both, [np.array([-1.0, np.nan])])
    assert found.shape == (2, len(names))
    np.testing.assert_array_equal(found[:, names.index("e-form_pbe")], [-1, np.nan])


def test_a_data_set_has_the_features_of_its_compositions() -> None:
    crystals = list(cg.ionic_crystals(12, seed=1))
    config = cg.GraphConfig.recommended()
    graphs = [cg.featurize(crystal, config) for crystal in crystals]
    reduced = [cg.reduce_graph(graph) for graph in graphs]
    expected = np.stack(
        [np.bincount(c.atomic_numbers, minlength=104) / c.n_sites for c in crystals]
    )
    for some in (graphs, reduced):
        data = GraphList(some, config)
        np.testing.assert_allclose(element_fractions(data), expected, atol=1e-15)
        np.testing.assert_array_equal(
            composition_features(data), composition_features(element_fractions(data))
        )


def test_other_shapes_are_refused() -> None:
    with pytest.raises(InputError, match=r"fractions \(crystals, 104\), got \(2, 3\)"):
        composition_features(np.ones((2, 3)))
    with pytest.raises(InputError, match=r"expected \(1,\) values, got \(2,\)"):
        composition_features(fractions(Na=1)[None], [np.zeros(2)])
