"""Numbers of a small training: 200 losses, and gradients of each layer in the first step.

Nothing here is a default: every option that changes a number is written out, so that the stored
values stay valid when defaults change. Plain gradient descent at a low rate is not chaotic, so that
rounding does not grow: over 200 steps two versions of JAX differ by 6e-7 (at three times the rate
by 4e-3). Adam divides gradients of zero by zero, which amplifies it. The gradients are in double
precision, where a change of a layer stands out from rounding.
"""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import traverse_util

import cgatjax as cg
from cgatjax.data.batching import collate

STORED = Path(__file__).with_name("stored.json")
TARGET = "e-form@low"
CRYSTALS, STEPS = 48, 200
GRAPH = {
    "max_neighbors": 24,
    "shell_tolerance": 3e-4,
    "tolerance_kind": "relative",
    "split_shell": "share",
    "max_radius": 18.0,
}
NETWORK = {
    "node_dim": 16,
    "edge_dim": 12,
    "heads": 2,
    "steps": 2,
    "composition_steps": 1,
    "composition_hidden": 16,
    "elements": "matscholar",
    "element_dim": 200,
    "max_shells": 24,
    "vector_attention": True,
    "pooling_vector_attention": True,
    "pooling": "concat",
    "message_direction": "center_to_neighbor",
    "edge_update": "shell",
    "rezero": False,
    "head_widths": (32, 16),
    "precision": "float32",
}
TRAINING = {
    "batch_size": CRYSTALS,
    "accumulate": 1,
    "loss": "l2",
    "optimizer": "sgd",
    "learning_rate": 1e-4,
    "momentum": 0.9,
    "weight_decay": 0.0,
    "clip_norm": None,
    "schedule": "constant",
    "seed": 0,
}
LAST_EDGES = f"edge_update_{NETWORK['steps'] - 1}"
"""What the last edge update makes; no output reads it, so that the gradients get a term of it."""
Numbers = dict[str, np.ndarray]


class Gate:
    """The training whose numbers are stored.

    Attributes:
      model: before the first step, with weights that do not depend on the initialization.
    """

    def __init__(self, folder: Path) -> None:
        """Make the crystals, in an empty folder, and the model."""
        crystals = cg.ionic_crystals(CRYSTALS, seed=0)
        store = cg.build_store(crystals, folder / "store", cg.GraphConfig(**GRAPH))
        self._data = store.all()
        model = cg.init_model(cg.ModelConfig(**NETWORK), store, target=TARGET, seed=0)
        rng = np.random.default_rng(0)
        params = {name: _random(rng, v) for name, v in sorted(flat(model).items())}
        self.model = _with(model, params)
        with jax.enable_x64(True):
            batch = collate([store.graph(k) for k in range(CRYSTALS)])
        values = self._data.target(TARGET)
        values = (values - values.mean()) / values.std()

        def loss(params: Any) -> jax.Array:
            outputs, sown = model.network.module.apply(
                {"params": params}, batch, method="outputs", mutable=["intermediates"]
            )
            mean = outputs[TARGET][:CRYSTALS, 0]
            last = sown["intermediates"]["encoder"][LAST_EDGES][0]
            return ((mean - values) ** 2).mean() + (last**2).mean()

        self._gradient = jax.jit(jax.grad(loss))

    def losses(self, model: cg.Model, steps: int = STEPS) -> np.ndarray:
        """Return the loss of each step; a step is an epoch."""
        config = cg.TrainConfig(**TRAINING, epochs=steps, validate_every=steps)
        _, history = cg.fit(model, self._data, self._data, config)
        return np.array([row["train_loss"] for row in history.rows])

    def gradients(self, model: cg.Model) -> np.ndarray:
        """Return the norm of the gradient of each layer, in double precision."""
        with jax.enable_x64(True):
            params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), dict(model.params))
            found = traverse_util.flatten_dict(dict(self._gradient(params)), sep="/")
        squares = {k: (np.asarray(v, np.float64) ** 2).sum() for k, v in found.items()}
        return np.array(
            [
                np.sqrt(sum(v for k, v in squares.items() if layer_of(k) == layer))
                for layer in layers(model)
            ]
        )

    def numbers(self, model: cg.Model) -> Numbers:
        """Return losses and gradients."""
        return {"losses": self.losses(model), "gradients": self.gradients(model)}


def _random(rng: np.random.Generator, value: Any) -> np.ndarray:
    """Draw weights of the size of their inputs; vectors vary around their initial values."""
    drawn = rng.standard_normal(np.shape(value))
    if np.ndim(value) >= 2:
        return (drawn / np.sqrt(np.shape(value)[-2])).astype(np.float32)
    return np.asarray(np.asarray(value) + 0.1 * drawn, np.float32)


def _with(model: cg.Model, params: dict[str, np.ndarray]) -> cg.Model:
    return model.replace(params=traverse_util.unflatten_dict(params, sep="/"))


def flat(model: cg.Model) -> dict[str, np.ndarray]:
    """Return the parameters by path."""
    return traverse_util.flatten_dict(dict(model.params), sep="/")


def layer_of(path: str) -> str:
    """Return the layer of a parameter: its path without the last name."""
    return path.rpartition("/")[0]


def layers(model: cg.Model) -> list[str]:
    """List the layers, sorted."""
    return sorted({layer_of(path) for path in flat(model)})


def changed(model: cg.Model, layer: str, factor: float) -> cg.Model:
    """Multiply the parameters of one layer by a factor."""
    params = {
        k: (v * factor).astype(v.dtype) if layer_of(k) == layer else v
        for k, v in flat(model).items()
    }
    return _with(model, params)


def difference(found: Numbers, stored: Numbers) -> dict[str, float]:
    """Return the largest relative differences of losses and of gradients."""
    return {
        name: float(
            np.max(
                np.abs(values - stored[name][: len(values)])
                / np.maximum(np.abs(stored[name][: len(values)]), SMALLEST[name])
            )
        )
        for name, values in found.items()
    }


SMALLEST = {"losses": 1e-3, "gradients": 1e-7}
"""Values below these are compared absolutely."""


def load() -> Numbers:
    """Read the stored numbers."""
    content = json.loads(STORED.read_text())
    return {name: np.array(content[name]) for name in ("losses", "gradients")}
