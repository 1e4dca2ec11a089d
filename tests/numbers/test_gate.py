"""A change of what is computed is noticed: losses, gradients."""

import json

import numpy as np
import pytest
from tests.numbers.gate import STEPS, STORED, Gate, changed, difference, layers, load

BOUNDS = {"losses": 1e-5, "gradients": 1e-8}
"""Largest relative differences. Other versions of JAX change the losses by 6e-7, and the gradients,
in double precision, by less than the digits that are stored."""
CHANGE = 1 + 1e-4


@pytest.fixture(scope="module")
def gate(tmp_path_factory) -> Gate:
    return Gate(tmp_path_factory.mktemp("gate"))


def passes(found: dict[str, float]) -> bool:
    return all(value <= BOUNDS[name] for name, value in found.items())


def test_losses_of_200_steps_and_gradients_are_the_stored_ones(gate):
    assert json.loads(STORED.read_text())["layers"] == layers(gate.model)
    found = gate.numbers(gate.model)
    assert len(found["losses"]) == STEPS
    assert found["losses"][-1] < found["losses"][0]
    assert passes(difference(found, load())), difference(found, load())


def test_a_change_of_one_part_in_ten_thousand_of_any_layer_is_noticed(gate):
    assert (load()["gradients"] > 0).all()
    found = {
        name: difference({"gradients": gate.gradients(changed(gate.model, name, CHANGE))}, load())
        for name in layers(gate.model)
    }
    assert not {name: d for name, d in found.items() if passes(d)}


def test_differences_are_relative():
    stored = {"losses": np.array([2.0, 1.0])}
    assert difference({"losses": np.array([2.0, 1.01])}, stored)["losses"] == pytest.approx(0.01)
