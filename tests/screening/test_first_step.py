"""The shared first step gives the predictions of candidates computed one by one."""

import logging

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.networks import TWO_STEPS
from tests.screening.conftest import BATCH, PEROVSKITE, ROCK_SALT

import cgatjax as cg
from cgatjax.data.graph_list import GraphList
from cgatjax.inference.predictor import Predictor
from cgatjax.screening import first_step as module
from cgatjax.screening.decorated_batches import DecoratedPredictor
from cgatjax.screening.first_step import first_step
from cgatjax.screening.templates import Assignments, Template, template_of
from cgatjax.synthetic.prototypes import find_prototype, prototypes

SHARE = cg.GraphConfig.recommended()
POOL = (8, 9, 22, 38, 56)
PAPER = {"edge_update": "attention", "message_direction": "neighbor_to_center"}
SCALAR = {"edge_update": "none", "vector_attention": False}


def made(template: Template, **changes) -> cg.Model:
    config = cg.ModelConfig.small(**{**TWO_STEPS, **changes})
    model = cg.init_model(config, GraphList([template.graph], SHARE), target="x")
    return model.replace(normalizers={"x": cg.Normalizer(mean=0.0, std=1.0)})


def predictions(model, template, numbers, assignments):
    predict = DecoratedPredictor(Predictor.of(model), template, "x", BATCH, assignments)
    return predict(numbers)[0]


def library(name: str, by: str = "element") -> Template:
    return template_of(find_prototype(name), SHARE, by)


@pytest.mark.parametrize(
    "variant",
    [
        pytest.param({}, id="released", marks=pytest.mark.long),
        pytest.param(PAPER, id="paper"),
        pytest.param({"edge_update": "hyper"}, id="hyper", marks=pytest.mark.long),
        pytest.param(SCALAR, id="scalar", marks=pytest.mark.long),
    ],
)
def test_shared_and_separate_first_steps_agree_in_float64(variant) -> None:
    with jax.enable_x64(True):
        template = Template.of(PEROVSKITE, SHARE)
        model = made(template, **variant)
        wide = jax.tree.map(lambda x: np.asarray(x, np.float64), model.params)
        model, assignments = model.replace(params=wide), Assignments((POOL,) * 3)
        assert first_step(model, template, assignments) is not None
        numbers = assignments.at(0, assignments.n)
        shared = predictions(model, template, numbers, assignments)
        separate = predictions(model, template, numbers, None)
    assert np.ptp(separate) > 1e-3
    assert np.abs(shared - separate).max() < 1e-12


TEMPLATES = [library("ilmenite"), library("k2nif4", "orbit")]


@pytest.fixture(scope="module")
def models() -> list[cg.Model]:
    return [made(template) for template in TEMPLATES]


@given(st.integers(0, 1), st.randoms(use_true_random=False))
def test_any_lists_of_elements_in_float32(models, number, random) -> None:
    """Lists of 4, 5, … elements with elements in common, on prototypes of two shapes."""
    template, model = TEMPLATES[number], models[number]
    numbers = range(1, 95)
    pools = tuple(tuple(random.sample(numbers, 4 + k)) for k in range(len(template.classes)))
    assignments = Assignments(pools)
    chosen = range(0, assignments.n, assignments.n // 15)
    rows = np.concatenate([assignments.at(k, k + 1) for k in chosen])
    shared = predictions(model, template, rows, assignments)
    separate = predictions(model, template, rows, None)
    np.testing.assert_allclose(shared, separate, rtol=1e-5, atol=1e-6)


def test_nothing_is_shared_where_it_would_not_pay_or_not_be_exact(monkeypatch, caplog) -> None:
    caplog.set_level(logging.INFO, "cgatjax")
    salt, perovskite = Template.of(ROCK_SALT, SHARE), Template.of(PEROVSKITE, SHARE)
    many = Assignments((POOL,) * 3)
    assert first_step(made(salt), salt, Assignments((POOL,) * 2)) is None
    assert "ax: few candidates share a message of the first step" in caplog.text
    model = made(perovskite)
    steep = jax.tree.map(np.array, model.params)
    steep["encoder"]["node_0"]["attention"]["kernel_out"] *= 1e6
    assert first_step(model.replace(params=steep), perovskite, many) is None
    assert "attention scores of the first step differ by too much" in caplog.text
    monkeypatch.setattr(module, "TABLE_BYTES", 1000)
    assert first_step(model, perovskite, many) is None
    assert "the messages of all pairs of elements exceed 0 MiB; each candidate" in caplog.text


@pytest.mark.parametrize("by", ["element", "orbit"])
def test_all_other_classes_are_neighbors_of_each_class(by) -> None:
    """After one step all states therefore differ between decorations (docs/performance.md)."""
    for prototype in prototypes():
        template = template_of(prototype, SHARE, by)
        of_node, graph = template.node_class, template.graph
        pairs = {*zip(of_node[graph.edge_center], of_node[graph.edge_neighbor], strict=True)}
        n = len(template.classes)
        assert {(c, d) for c in range(n) for d in range(n) if c != d} <= pairs
    assert len(prototypes()) == 40
