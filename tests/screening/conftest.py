"""A trained network of the smallest size, and prototypes to decorate."""

from pathlib import Path

import jax
import numpy as np
import pytest

import cgatjax as cg
from cgatjax.model.training_record import TrainingRecord
from cgatjax.structures.crystal import Crystal

BATCH = 16
"""Batch size of all screening tests, so that they share compilations."""
PEROVSKITE = Crystal(
    id="abx3",
    lattice=4.0 * np.eye(3),
    frac_coords=np.array([[0, 0, 0], [1, 1, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]]) / 2,
    atomic_numbers=np.array([38, 22, 8, 8, 8], np.uint8),
)
ROCK_SALT = Crystal(
    id="ax",
    lattice=2.8 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]),
    frac_coords=np.array([[0, 0, 0], [0.5, 0.5, 0.5]]),
    atomic_numbers=np.array([11, 17], np.uint8),
)
ELEMENTS = {"Sr": ("Ca", "Sr", "Ba", "La"), "Ti": ("Ti", "Zr", "Sr", "Al"), "O": ("O", "F", "S")}


@pytest.fixture(scope="session")
def model(trained_model) -> cg.Model:
    """The trained network, as if all elements had been in its training set."""
    return trained_model.replace(record=TrainingRecord(training=np.ones(104, np.int64)))


@pytest.fixture(scope="session")
def ensemble(model) -> cg.Predictor:
    """Ensemble of two slightly different members."""
    other = model.replace(params=jax.tree.map(lambda x: x * 1.01, model.params))
    return cg.Predictor.of([model, other])


def files(folder: Path) -> dict[str, bytes]:
    """Contents of all files in a folder, by relative path."""
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}
