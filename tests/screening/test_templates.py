"""Templates: one reduced graph for all decorations of a prototype."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.crystals import sound

from cgatjax.config import GraphConfig
from cgatjax.graphs.crystal_graph import featurize
from cgatjax.graphs.hashes import graph_hash
from cgatjax.screening.templates import Template
from cgatjax.structures.crystal import Crystal

SHARE = GraphConfig.recommended()
FCC = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
PEROVSKITE = Crystal(
    id="perovskite",
    lattice=4.0 * np.eye(3),
    frac_coords=np.array([[0, 0, 0], [1, 1, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]]) / 2,
    atomic_numbers=np.array([38, 22, 8, 8, 8], np.uint8),
)
ROCK_SALT = Crystal(
    id="rock salt",
    lattice=5.6 * FCC,
    frac_coords=np.array([[0, 0, 0], [0.5, 0.5, 0.5]]),
    atomic_numbers=np.array([11, 17], np.uint8),
)
HEUSLER = Crystal(
    id="heusler",
    lattice=6.0 * FCC,
    frac_coords=np.array([[0, 0, 0], [2, 2, 2], [1, 1, 1], [3, 3, 3]]) / 4,
    atomic_numbers=np.array([25, 13, 29, 29], np.uint8),
)


def test_by_element_there_is_one_class_per_element() -> None:
    template = Template.of(PEROVSKITE, SHARE)
    assert template.classes == ("Sr", "Ti", "O")
    assert template.counts.tolist() == [1, 1, 3]
    assert template.site_class.tolist() == [0, 1, 2, 2, 2]
    assert template.node_class.tolist() == [0, 1, 2]
    assert sound(template.graph).n_nodes == 3


def test_by_orbit_sites_of_one_element_are_split_if_the_graph_distinguishes_them() -> None:
    cut = GraphConfig()  # cuts a shell, so that the three oxygens are no longer equivalent
    assert Template.of(PEROVSKITE, SHARE, "orbit").classes == ("Sr", "Ti", "O")
    names = Template.of(PEROVSKITE, cut, "orbit").classes
    assert names[:3] == ("Sr", "Ti", "O1")
    assert len(names) == 4


def test_sites_of_different_classes_are_not_merged_even_with_equal_elements() -> None:
    """The Heusler structure with one element has one node; its template of three classes three."""
    copper = Crystal(
        id="copper",
        lattice=HEUSLER.lattice,
        frac_coords=HEUSLER.frac_coords,
        atomic_numbers=np.array([29, 29, 29, 29], np.uint8),
    )
    assert Template.of(copper, SHARE).graph.n_nodes == 1
    template = Template.of(HEUSLER, SHARE)
    assert template.graph.n_nodes == 3
    assert template.decorated([29, 29, 29]).atomic_numbers.tolist() == [29] * 4


def test_a_decoration_has_the_assigned_elements_on_its_sites() -> None:
    crystal = Template.of(PEROVSKITE, SHARE).decorated(np.array([56, 40, 16]))
    assert crystal.id == "perovskite:Ba-Zr-S"
    assert crystal.atomic_numbers.tolist() == [56, 40, 16, 16, 16]
    assert (crystal.frac_coords == PEROVSKITE.frac_coords).all()


def test_permutations_of_equivalent_classes() -> None:
    assert Template.of(ROCK_SALT, SHARE).permutations.tolist() == [[1, 0]]
    # Sr and Ti have one site each, but 12 and 6 oxygen neighbors.
    assert Template.of(PEROVSKITE, SHARE).permutations.tolist() == []
    # Mn and Al of a full Heusler crystal: each has 8 copper neighbors.
    assert Template.of(HEUSLER, SHARE).permutations.tolist() == [[1, 0, 2]]


@given(st.lists(st.sampled_from([3, 11, 13, 29]), min_size=3, max_size=3))
def test_permuted_decorations_have_the_same_graph_hash(numbers) -> None:
    template = Template.of(HEUSLER, SHARE)
    numbers = np.array(numbers)
    hashes = {
        graph_hash(featurize(template.decorated(row), SHARE))
        for row in (numbers, *(numbers[p] for p in template.permutations))
    }
    assert len(hashes) == 1


def test_limits_of_classes_and_permutations(monkeypatch) -> None:
    from cgatjax.errors import InputError
    from cgatjax.screening import templates

    monkeypatch.setattr(templates, "MOST_CLASSES", 2)
    with pytest.raises(InputError, match="at most 2 classes, got 3"):
        Template.of(PEROVSKITE, SHARE)
    monkeypatch.setattr(templates, "MOST_PERMUTATIONS", 1)
    assert Template.of(ROCK_SALT, SHARE).permutations.shape == (0, 2)
