"""Predictions on one shared graph equal predictions of the decorations one by one."""

import time

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.networks import TWO_STEPS
from tests.screening.conftest import BATCH, PEROVSKITE, ROCK_SALT

import cgatjax as cg
from cgatjax.config import GPConfig
from cgatjax.data.graph_list import GraphList
from cgatjax.errors import MismatchError
from cgatjax.inference.gp_fitting import fit_gp
from cgatjax.inference.predictor import Predictor
from cgatjax.screening import decorated_batches
from cgatjax.screening.decorated_batches import (
    MIN_BATCH,
    DecoratedPredictor,
    TemplateArrays,
    decorated_batch,
    suitable_batch,
)
from cgatjax.screening.templates import Template, template_of
from cgatjax.synthetic.prototypes import find_prototype

SHARE, CUT = cg.GraphConfig.recommended(), cg.GraphConfig()
VARIANTS = {
    "shell": {},
    "attention": {"edge_update": "attention", "message_direction": "neighbor_to_center"},
    "hyper": {"edge_update": "hyper"},
    "none": {"edge_update": "none", "pooling": "mean", "composition_steps": 0},
}


def random_assignments(template: Template, n: int = 21) -> np.ndarray:
    """Random assignments; some put the same element on several classes."""
    random = np.random.default_rng(0)
    return random.choice([8, 9, 22, 38, 103], (n, len(template.classes))).astype(np.uint8)


def one_by_one(predictor, template, numbers):
    """Mean and std from separate structures, featurized and reduced with their elements."""
    crystals = [template.decorated(row) for row in numbers]
    found = cg.predict(predictor, crystals, batch_size=BATCH)
    return found.mean, found.std


@pytest.mark.parametrize("prototype", [PEROVSKITE, ROCK_SALT], ids=["abx3", "ax"])
def test_predictions_are_those_of_separate_structures(model, prototype) -> None:
    template, predictor = Template.of(prototype, SHARE), Predictor.of(model)
    numbers = random_assignments(template)
    mean, std = DecoratedPredictor(predictor, template, "e-form@low", BATCH)(numbers)
    expected_mean, expected_std = one_by_one(predictor, template, numbers)
    assert np.abs(mean - expected_mean).max() < 1e-6 * max(np.abs(expected_mean).max(), 1)
    assert np.abs(std - expected_std).max() < 1e-6
    assert (std > 0).all()


@pytest.mark.parametrize(
    ("name", "by"), [("spinel", "element"), ("k2nif4", "orbit"), ("elpasolite", "element")]
)
def test_predictions_for_structure_types_of_the_library(model, name, by) -> None:
    template, predictor = template_of(find_prototype(name), SHARE, by), Predictor.of(model)
    numbers = random_assignments(template)
    mean, _ = DecoratedPredictor(predictor, template, "e-form@low", BATCH)(numbers)
    expected, _ = one_by_one(predictor, template, numbers)
    np.testing.assert_allclose(mean, expected, rtol=1e-5, atol=1e-6)


def test_the_bits_do_not_depend_on_the_number_of_cores(model, monkeypatch) -> None:
    template = Template.of(PEROVSKITE, SHARE)
    predict = DecoratedPredictor(Predictor.of(model), template, "e-form@low", BATCH)
    numbers, done = random_assignments(template, 5 * BATCH + 3), []
    found = []
    for n in (1, 3):
        monkeypatch.setattr(decorated_batches, "cores", lambda n=n: n)
        found.append(predict(numbers, done.append))
    np.testing.assert_array_equal(found[0], found[1])
    assert done == [*[BATCH] * 5, 3] * 2


def test_an_interrupt_cancels_the_batches_to_come(model, monkeypatch) -> None:
    template = Template.of(PEROVSKITE, SHARE)
    predict = DecoratedPredictor(Predictor.of(model), template, "e-form@low", BATCH)
    monkeypatch.setattr(decorated_batches, "cores", lambda: 1)
    function, params = predict._passes[0]
    calls = []

    def counted(*args):
        calls.append(1)
        time.sleep(0.05)
        return function(*args)

    predict._passes = [(counted, params)]

    def advance(n: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        predict(random_assignments(template, 20 * BATCH), advance)
    assert len(calls) < 10


def test_ensemble_predictions_are_those_of_separate_structures(ensemble) -> None:
    template = Template.of(PEROVSKITE, SHARE)
    numbers = random_assignments(template)
    predict = DecoratedPredictor(ensemble, template, "e-form@low", BATCH)
    mean, std = predict(numbers)
    expected_mean, expected_std = one_by_one(ensemble, template, numbers)
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(std, expected_std, rtol=1e-4, atol=1e-6)
    assert predict(numbers[:0])[0].shape == (0,)


def test_a_gaussian_process_reads_the_embeddings(model, train_set) -> None:
    target = "e-form@low"
    process = fit_gp(
        cg.embed(model, train_set, batch_size=BATCH),
        train_set.target(target),
        GPConfig(inducing=8, steps=0),
    )
    predictor = Predictor.of(model, "gp", {target: process})
    template = Template.of(PEROVSKITE, SHARE)
    numbers = random_assignments(template)
    mean, std = DecoratedPredictor(predictor, template, target, BATCH)(numbers)
    expected_mean, expected_std = one_by_one(predictor, template, numbers)
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(std, expected_std, rtol=1e-4, atol=1e-6)


def test_float64_predictions_agree_to_rounding() -> None:
    with jax.enable_x64(True):
        check_in_float64("attention", CUT, "orbit")


@pytest.mark.long
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("options", [SHARE, CUT], ids=["share", "cut"])
@pytest.mark.parametrize("by", ["element", "orbit"])
def test_all_variants_in_float64(variant, options, by) -> None:
    with jax.enable_x64(True):
        check_in_float64(variant, options, by)


def check_in_float64(variant, options, by) -> None:
    template = Template.of(PEROVSKITE, options, by)
    config = cg.ModelConfig.small(**{**TWO_STEPS, **VARIANTS[variant]})
    graphs = GraphList([template.graph], options)
    model = cg.init_model(config, graphs, target="x")
    model = model.replace(
        params=jax.tree.map(lambda x: np.asarray(x, np.float64), model.params),
        normalizers={"x": cg.Normalizer(mean=0.0, std=1.0)},
    )
    numbers, predictor = random_assignments(template), Predictor.of(model)
    mean, _ = DecoratedPredictor(predictor, template, "x", BATCH)(numbers)
    crystals = [cg.featurize(template.decorated(row), options) for row in numbers]
    # Not by `cg.predict`: its input threads do not see the float64 setting of this thread.
    batch = cg.collate([cg.reduce_graph(graph) for graph in crystals])
    expected = model.network.jitted("apply")(model.params, batch)["x"][: len(numbers), 0]
    assert np.ptp(expected) > 1e-3
    assert np.abs(mean - expected).max() < 1e-12


@given(st.lists(st.lists(st.integers(1, 5), min_size=3, max_size=3), min_size=6, max_size=6))
def test_the_composition_graphs_are_those_of_the_crystals(rows) -> None:
    """Compared as sets of (crystal, element, fraction) and of (crystal, element, element)."""
    template = Template.of(PEROVSKITE, SHARE)
    numbers = np.array(rows, np.uint8)
    made = jax.device_get(decorated_batch(TemplateArrays.of(template), numbers).composition)
    n_real = made.n_node[:-1].sum()
    owner = np.repeat(np.arange(len(rows)), made.n_node[:-1])
    element = made.nodes["element"]
    nodes = set(zip(owner, element[:n_real], made.nodes["fraction"][:n_real].round(5), strict=True))
    expected_nodes, expected_edges = set(), []
    for k, row in enumerate(rows):
        for z in set(row):
            share = sum(c for c, other in zip((1, 1, 3), row, strict=True) if other == z) / 5
            expected_nodes.add((k, z, np.float32(share).round(5)))
            expected_edges += [(k, z, other) for other in set(row) - {z}]
    assert nodes == expected_nodes
    assert made.n_node.sum() == len(element)
    n_edges = made.n_edge[:-1].sum()
    receivers, senders = made.receivers[:n_edges], made.senders[:n_edges]
    edges = zip(owner[receivers], element[receivers], element[senders], strict=True)
    assert sorted(edges) == sorted(expected_edges)
    assert (owner[receivers] == owner[senders]).all()
    assert (np.diff(made.receivers) >= 0).all()
    assert (made.receivers[n_edges:] >= n_real).all()


def test_graphs_with_more_neighbors_than_shells_are_refused(model) -> None:
    template = Template.of(PEROVSKITE, SHARE.replace(max_neighbors=30))
    with pytest.raises(MismatchError, match=r"at most 24 neighbors .*, got 30"):
        DecoratedPredictor(Predictor.of(model), template, "e-form@low")


def test_batches_are_smaller_for_larger_networks() -> None:
    template = Template.of(PEROVSKITE, SHARE)
    small, released = cg.ModelConfig.small(), cg.ModelConfig.released()
    assert suitable_batch(small, template) > suitable_batch(released, template) >= MIN_BATCH
