"""What is chosen next: the right crystals in the right order, and never one that is known."""

import dataclasses

import jax
import numpy as np
import pytest

import cgatjax as cg
from cgatjax.active_learning import select
from cgatjax.data.datasets import GraphList
from cgatjax.errors import InputError, MismatchError
from cgatjax.inference.prediction import embed, predict


@pytest.fixture(scope="module")
def model(trained):
    return trained[0]


@pytest.fixture(scope="module")
def pool(sets):
    return sets[0]


def test_uncertainty_takes_the_largest_standard_deviations(model, pool):
    found = select(model, pool, 5, by="uncertainty")
    stds = predict(model, pool).std
    left_out = {e.id for e in found.excluded}
    expected = [i for i in np.argsort(-stds) if pool.ids[i] not in left_out][:5]
    assert found.positions.tolist() == expected
    assert found.ids == [pool.ids[i] for i in expected]
    np.testing.assert_allclose(found.stds, stds[expected], rtol=1e-6)
    assert np.isnan(found.distances).all()
    assert (found.unit, found.std_note[:9]) == ("eV/atom", "aleatoric")


@pytest.mark.parametrize("by", ["diversity", "both"])
def test_each_choice_is_the_best_given_the_ones_before(model, pool, sets, by):
    known = sets[1]
    found = select(model, pool, 6, by=by, known=[known])
    points, covered = embed(model, pool), embed(model, known)
    weights = predict(model, pool).std if by == "both" else np.ones(len(pool))
    left_out = {e.id for e in found.excluded}
    free = np.array([name not in left_out for name in pool.ids])
    for place, distance in zip(found.positions, found.distances, strict=True):
        every = np.linalg.norm(points[:, None] - covered[None], axis=2).min(1)
        assert distance == pytest.approx(every[place], rel=1e-3)
        scores = np.where(free, weights * every, -1)
        assert scores[place] == pytest.approx(scores.max(), rel=1e-3)
        covered = np.concatenate([covered, points[place : place + 1]])
        free[place] = False


def test_known_crystals_are_left_out_by_id_and_by_graph(model, ionic_store):
    everything = ionic_store.all()
    first, rest = everything.select(np.arange(40)), everything
    found = select(model, rest, 10, known=[first])
    assert not set(found.ids) & set(first.ids)
    by_id = [e for e in found.excluded if "id" in e.reason]
    assert {e.id for e in by_id} == set(first.ids)
    assert len({*found.ids}) == 10


def test_the_same_crystal_in_another_cell_is_no_candidate(model):
    crystal, other = cg.ionic_crystals(2, seed=3)
    doubled = dataclasses.replace(
        crystal,
        id="doubled",
        lattice=1.1 * crystal.lattice * np.array([[2], [1], [1]]),
        frac_coords=np.concatenate([crystal.frac_coords, crystal.frac_coords + np.eye(3)[0]])
        / np.array([2, 1, 1]),
        atomic_numbers=np.tile(crystal.atomic_numbers, 2),
    )
    graphs = [cg.featurize(c, model.graph_config) for c in (crystal, doubled, other)]
    pool = GraphList(graphs, model.graph_config)
    found = select(model, pool, 2, by="diversity")
    assert set(found.ids) == {crystal.id, other.id}
    assert found.excluded == [("doubled", f"the same crystal as candidate {crystal.id!r}")]
    known = GraphList(graphs[:1], model.graph_config)
    found = select(model, pool, 1, by="both", known=[known])
    assert found.ids == [other.id]
    assert found.excluded[1] == ("doubled", f"the same crystal as known {crystal.id!r}")


def test_what_cannot_be_chosen_is_refused(model, pool, sets):
    with pytest.raises(InputError, match=r"expected to choose 1\.\.\d+ crystals, got 1000"):
        select(model, pool, 1000)
    with pytest.raises(InputError, match=r"\['e-form@low'\], got 'volume'"):
        select(model, pool, 1, target="volume")
    with pytest.raises(InputError, match="got 'luck'"):
        select(model, pool, 1, by="luck")
    certain = model.replace(predicts_std=())
    with pytest.raises(InputError, match="standard deviations of 'e-form@low'; none: "):
        select(certain, pool, 1)
    assert np.isnan(select(certain, pool, 1, by="diversity").stds).all()
    foreign = GraphList([cg.featurize(c) for c in cg.ionic_crystals(2)], cg.GraphConfig.released())
    with pytest.raises(MismatchError, match="other options"):
        select(model, foreign, 1)
    with pytest.raises(MismatchError, match="other options"):
        select(model, pool, 1, known=[foreign])


def test_an_ensemble_chooses_by_the_spread_of_its_members(model, pool):
    noise = np.random.default_rng(0)
    shaken = jax.tree.map(lambda p: p + 0.05 * noise.normal(size=p.shape), model.params)
    other = model.replace(params=jax.tree.map(np.float32, shaken))
    ensemble = cg.Predictor.of([model, other])
    found = select(ensemble, pool, 3, by="uncertainty")
    stds = predict(ensemble, pool).std
    np.testing.assert_allclose(found.stds, stds[found.positions], rtol=1e-6)
    assert found.std_note.startswith("ensemble of 2")
    assert (np.diff(found.stds) <= 0).all()
    alone = select(model, pool, 3, by="diversity")
    assert select(ensemble, pool, 3, by="diversity").ids == alone.ids  # its first member's space
