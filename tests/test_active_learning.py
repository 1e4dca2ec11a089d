"""Acquisition of the crystals to compute next, and farthest-point sampling."""

import dataclasses

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cgatjax as cg
from cgatjax.active_learning import farthest_points, select
from cgatjax.data.graph_list import GraphList
from cgatjax.errors import InputError, MismatchError
from cgatjax.inference import domain
from cgatjax.inference.domain import nearest_distances
from cgatjax.inference.prediction import embed, predict


def test_uncertainty_acquires_the_largest_standard_deviations(trained_model, train_set):
    found = select(trained_model, train_set, 5, by="uncertainty")
    stds = predict(trained_model, train_set).std
    excluded = {e.id for e in found.excluded}
    expected = [i for i in np.argsort(-stds) if train_set.ids[i] not in excluded][:5]
    assert found.positions.tolist() == expected
    assert found.ids == [train_set.ids[i] for i in expected]
    np.testing.assert_allclose(found.stds, stds[expected], rtol=1e-6)
    assert np.isnan(found.distances).all()
    assert (found.unit, found.std_note[:9]) == ("eV/atom", "aleatoric")


@pytest.mark.parametrize("by", ["diversity", "both"])
def test_each_acquisition_is_the_best_given_those_before(trained_model, train_set, valid_set, by):
    found = select(trained_model, train_set, 6, by=by, known=[valid_set])
    points, centers = embed(trained_model, train_set), embed(trained_model, valid_set)
    weights = predict(trained_model, train_set).std if by == "both" else np.ones(len(train_set))
    excluded = {e.id for e in found.excluded}
    free = np.array([name not in excluded for name in train_set.ids])
    for place, distance in zip(found.positions, found.distances, strict=True):
        every = np.linalg.norm(points[:, None] - centers[None], axis=2).min(1)
        assert distance == pytest.approx(every[place], rel=1e-3)
        scores = np.where(free, weights * every, -1)
        assert scores[place] == pytest.approx(scores.max(), rel=1e-3)
        centers = np.concatenate([centers, points[place : place + 1]])
        free[place] = False


def test_known_crystals_are_excluded_by_id_and_by_graph_hash(trained_model, ionic_store):
    everything = ionic_store.all()
    first = everything.select(np.arange(40))
    found = select(trained_model, everything, 10, known=[first])
    assert not set(found.ids) & set(first.ids)
    by_id = [e for e in found.excluded if "id" in e.reason]
    assert {e.id for e in by_id} == set(first.ids)
    assert len({*found.ids}) == 10


def test_the_same_crystal_in_another_cell_is_excluded(trained_model):
    crystal, other = cg.ionic_crystals(2, seed=3)
    doubled = dataclasses.replace(
        crystal,
        id="doubled",
        lattice=1.1 * crystal.lattice * np.array([[2], [1], [1]]),
        frac_coords=np.concatenate([crystal.frac_coords, crystal.frac_coords + np.eye(3)[0]])
        / np.array([2, 1, 1]),
        atomic_numbers=np.tile(crystal.atomic_numbers, 2),
    )
    graphs = [cg.featurize(c, trained_model.graph_config) for c in (crystal, doubled, other)]
    pool = GraphList(graphs, trained_model.graph_config)
    found = select(trained_model, pool, 2, by="diversity")
    assert set(found.ids) == {crystal.id, other.id}
    assert found.excluded == [("doubled", f"the same crystal as candidate {crystal.id!r}")]
    known = GraphList(graphs[:1], trained_model.graph_config)
    found = select(trained_model, pool, 1, by="both", known=[known])
    assert found.ids == [other.id]
    assert found.excluded[1] == ("doubled", f"the same crystal as known {crystal.id!r}")


def test_invalid_acquisitions_are_refused(trained_model, train_set):
    with pytest.raises(InputError, match=r"expected a count in 1\.\.\d+, got 1000"):
        select(trained_model, train_set, 1000)
    with pytest.raises(InputError, match=r"\['e-form@low'\], got 'volume'"):
        select(trained_model, train_set, 1, target="volume")
    with pytest.raises(InputError, match="got 'luck'"):
        select(trained_model, train_set, 1, by="luck")
    certain = trained_model.replace(predicts_std=())
    with pytest.raises(InputError, match="standard deviations of 'e-form@low'; none: "):
        select(certain, train_set, 1)
    assert np.isnan(select(certain, train_set, 1, by="diversity").stds).all()
    foreign = GraphList([cg.featurize(c) for c in cg.ionic_crystals(2)], cg.GraphConfig.released())
    with pytest.raises(MismatchError, match="other options"):
        select(trained_model, foreign, 1)
    with pytest.raises(MismatchError, match="other options"):
        select(trained_model, train_set, 1, known=[foreign])


def test_an_ensemble_acquires_by_the_spread_of_its_members(trained_model, train_set):
    noise = np.random.default_rng(0)
    perturbed = jax.tree.map(lambda p: p + 0.05 * noise.normal(size=p.shape), trained_model.params)
    other = trained_model.replace(params=jax.tree.map(np.float32, perturbed))
    ensemble = cg.Predictor.of([trained_model, other])
    found = select(ensemble, train_set, 3, by="uncertainty")
    stds = predict(ensemble, train_set).std
    np.testing.assert_allclose(found.stds, stds[found.positions], rtol=1e-6)
    assert found.std_note.startswith("ensemble of 2")
    assert (np.diff(found.stds) <= 0).all()
    # Diversity uses the embeddings of the first member.
    alone = select(trained_model, train_set, 3, by="diversity")
    assert select(ensemble, train_set, 3, by="diversity").ids == alone.ids


LINE = np.array([[0.0], [1.0], [2.0], [6.0], [10.0]])


def sampled(*args, **options):
    positions, distances = farthest_points(*args, **options)
    return positions.tolist(), distances.round(12).tolist()


def test_farthest_points_on_a_line_by_hand():
    # The mean is 3.8: 2 is nearest to it, then 10 is 8 away, then 6 is 4 away, then 0, then 1.
    assert sampled(LINE, 5) == ([2, 4, 3, 0, 1], [np.inf, 8, 4, 2, 1])


def test_initial_centers_are_not_chosen_again():
    assert sampled(LINE, 2, centers=np.array([[0.0], [11.0]])) == ([3, 2], [5, 2])


def test_weights_multiply_distances():
    weights = np.array([1.0, 3.0, 1.0, 1.0, 1.0])
    # 1 has the largest weight; then the products are 1, -, 1, 5, 9, and then 1, -, 1, 4.
    assert sampled(LINE, 3, weights=weights) == ([1, 4, 3], [np.inf, 9, 4])
    centers = np.array([[0.0]])  # products 0, 3, 2, 6, 10; then 0, 3, 2, 4
    assert sampled(LINE, 2, weights=weights, centers=centers) == ([4, 3], [10, 4])


def test_equal_points_are_chosen_last_and_once():
    points = np.array([[1.0, 1.0]] * 3 + [[4.0, 5.0]])
    positions, distances = sampled(points, 4)
    assert sorted(positions) == [0, 1, 2, 3]
    assert distances[1] == 5
    assert distances[2:] == [0, 0]


@given(st.integers(0, 10**6))
def test_each_choice_is_the_farthest_point(seed):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(rng.integers(1, 12), 3))
    centers = rng.normal(size=(rng.integers(1, 4), 3))
    positions, distances = farthest_points(points, len(points), centers=centers)
    assert sorted(positions) == list(range(len(points)))
    for k, (position, distance) in enumerate(zip(positions, distances, strict=True)):
        known = np.concatenate([centers, points[positions[:k]]])
        every = np.linalg.norm(points[:, None] - known[None], axis=2).min(1)
        assert distance == pytest.approx(every.max(), abs=1e-7)
        assert every[position] == pytest.approx(every.max(), abs=1e-7)


def test_nearest_distances_do_not_depend_on_the_block_size(monkeypatch):
    rng = np.random.default_rng(0)
    points, centers = rng.normal(size=(50, 4)) + 1e3, rng.normal(size=(23, 4)) + 1e3
    whole = nearest_distances(points, centers)
    every = np.linalg.norm(points[:, None] - centers[None], axis=2).min(1)
    np.testing.assert_allclose(whole, every, rtol=1e-10)
    monkeypatch.setattr(domain, "BLOCK", 7)
    np.testing.assert_allclose(nearest_distances(points, centers), whole, rtol=1e-12)


def test_no_centers_and_no_points():
    assert nearest_distances(LINE, np.empty((0, 1))).tolist() == [np.inf] * 5
    assert sampled(np.empty((0, 2)), 0) == ([], [])


def test_invalid_points_counts_and_weights_are_refused():
    with pytest.raises(InputError, match=r"0\.\.5, got 6"):
        farthest_points(LINE, 6)
    with pytest.raises(InputError, match="finite"):
        farthest_points(np.array([[np.nan]]), 1)
    with pytest.raises(InputError, match="finite"):
        farthest_points(LINE, 1, weights=-np.ones(5))
    with pytest.raises(InputError, match=r"\(5, 1\) and \(1, 2\)"):
        farthest_points(LINE, 1, centers=np.ones((1, 2)))


def test_a_selection_is_shown_as_a_small_table_and_a_data_frame(trained_model, train_set):
    found = select(trained_model, train_set, 6, by="uncertainty")
    lines = repr(found).splitlines()
    assert lines[0] == "Selection of 6 crystals by uncertainty, 0 excluded"
    assert lines[2].split()[0] == found.ids[0]
    assert lines[-1] == "... 1 more"
    frame = found.to_frame()
    assert frame["id"].tolist() == found.ids
    assert frame["e-form@low:std"].tolist() == found.stds.tolist()


def test_unseen_elements_of_the_selection(trained_model, caplog):
    crystal, other = cg.ionic_crystals(2, seed=3)
    strange = np.where(crystal.atomic_numbers == crystal.atomic_numbers[0], 96,
                       crystal.atomic_numbers).astype(np.uint8)  # fmt: skip
    crystal = dataclasses.replace(crystal, atomic_numbers=strange)
    graphs = [cg.featurize(c, trained_model.graph_config) for c in (crystal, other)]
    found = select(trained_model, GraphList(graphs, trained_model.graph_config), 2)
    assert dict(zip(found.ids, found.unseen, strict=True)) == {crystal.id: ("Cm",), other.id: ()}
    assert "1 of 2 structures contains elements never seen in training: Cm" in caplog.text
