"""Models and training states on disk. Models are safetensors and JSON: nothing in them can run.

A model folder holds `model.safetensors` (parameters, element vectors) and `model.json` (options,
normalisers, units). Training states are orbax checkpoints.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import traverse_util
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from cgatjax.config import GraphConfig, ModelConfig
from cgatjax.data.elements import ElementTable
from cgatjax.data.normalizer import Normalizer
from cgatjax.errors import InputError, MismatchError
from cgatjax.model import Model
from cgatjax.options import from_dict

WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"
FORMAT = 1
_VECTORS, _KNOWN = "element_table/vectors", "element_table/known"


def save_model(path: str | Path, model: Model) -> None:
    """Writes a model into a folder (created if need be)."""
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    flat = traverse_util.flatten_dict({"params": dict(model.params)}, sep="/")
    tensors = {name: np.asarray(value, order="C") for name, value in flat.items()}
    tensors[_VECTORS] = np.ascontiguousarray(model.element_table.vectors)
    tensors[_KNOWN] = np.ascontiguousarray(model.element_table.known)
    save_file(tensors, path / WEIGHTS)
    description = {
        "format": FORMAT,
        "model": model.config.to_dict(),
        "graph": model.graph_config.to_dict(),
        "element_table": model.element_table.name,
        "normalizers": {name: asdict(n) for name, n in model.normalizers.items()},
        "units": dict(model.units),
        "learns_std": list(model.learns_std),
    }
    (path / DESCRIPTION).write_text(json.dumps(description, indent=1))


def load_model(path: str | Path) -> Model:
    """Reads a model from its folder, or from the run folder that holds it as `model/`.

    Raises:
      InputError: there is no model, or a file of it is damaged.
      MismatchError: the weights are not those of the described network; all differences listed.
    """
    folder = Path(path)
    folder = folder / "model" if (folder / "model").is_dir() else folder
    try:
        description = json.loads((folder / DESCRIPTION).read_text())
        tensors = load_file(folder / WEIGHTS)
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(
            f"{path}: expected a run or model folder with {DESCRIPTION} and {WEIGHTS}: {error}"
        ) from error
    try:
        if description["format"] != FORMAT:
            raise InputError(
                f"{folder}: model format {description['format']!r}, this version reads {FORMAT}"
            )
        table = ElementTable(
            name=description["element_table"],
            vectors=tensors.pop(_VECTORS),
            known=tensors.pop(_KNOWN),
        )
        params = traverse_util.unflatten_dict(tensors, sep="/")["params"]
        model = Model(
            config=from_dict(ModelConfig, description["model"]),
            params=params,
            graph_config=from_dict(GraphConfig, description["graph"]),
            element_table=table,
            normalizers={n: Normalizer(**v) for n, v in description["normalizers"].items()},
            units=description["units"],
            learns_std=tuple(description["learns_std"]),
        )
    except (KeyError, TypeError) as error:
        raise InputError(f"{folder}: damaged model description or weights: {error!r}") from error
    check_params(params, model)
    return model


def check_params(params: Mapping[str, Any], model: Model) -> None:
    """Raises MismatchError unless the parameters have the network's names and shapes."""
    expected = _shapes(_expected_params(model))
    found = _shapes(params)
    missing = sorted(set(expected) - set(found))
    unexpected = sorted(set(found) - set(expected))
    misshapen = [
        f"{n}: expected {expected[n]}, got {found[n]}"
        for n in sorted(set(expected) & set(found))
        if expected[n] != found[n]
    ]
    if missing or unexpected or misshapen:
        raise MismatchError(
            f"weights do not fit the network: missing {missing}, unexpected {unexpected}, "
            f"misshapen {misshapen}"
        )


def _expected_params(model: Model) -> Any:
    """The abstract parameters of the network, without computing anything."""
    from cgatjax.data.batching import collate
    from cgatjax.data.graphs import CrystalGraph

    k = model.config.max_shells
    neighbors = np.zeros((1, k), np.int64)
    graph = CrystalGraph.from_neighbors(np.ones(1, np.int64), neighbors, neighbors + 1)
    key = jax.random.key(0)
    return jax.eval_shape(model.net.init, key, collate([graph]))["params"]


def _shapes(params: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    flat = traverse_util.flatten_dict(dict(params), sep="/")
    return {name: tuple(value.shape) for name, value in flat.items()}


class StateFolder:
    """Training states of a run: orbax checkpoints, the newest one kept.

    A state is a dictionary of arrays ("arrays") and of plain numbers ("progress").
    """

    def __init__(self, path: str | Path) -> None:
        import orbax.checkpoint as ocp

        self._ocp = ocp
        options = ocp.CheckpointManagerOptions(max_to_keep=1, enable_async_checkpointing=True)
        self._manager = ocp.CheckpointManager(Path(path).absolute(), options=options)

    def save(self, step: int, arrays: Any, progress: Mapping[str, Any]) -> None:
        """Starts writing a state; an earlier one of the same step is kept."""
        if step in self._manager.all_steps():
            return
        args = self._ocp.args.Composite(
            arrays=self._ocp.args.StandardSave(arrays),
            progress=self._ocp.args.JsonSave(dict(progress)),
        )
        self._manager.save(step, args=args)

    def restore(self, like: Any) -> tuple[Any, dict[str, Any]] | None:
        """The newest state with arrays shaped as `like`, or None if there is none."""
        step = self._manager.latest_step()
        if step is None:
            return None
        abstract = jax.tree.map(self._ocp.utils.to_shape_dtype_struct, like)
        args = self._ocp.args.Composite(
            arrays=self._ocp.args.StandardRestore(abstract), progress=self._ocp.args.JsonRestore()
        )
        found = self._manager.restore(step, args=args)
        return found["arrays"], found["progress"]

    def close(self) -> None:
        """Waits for writing to end."""
        self._manager.wait_until_finished()
        self._manager.close()
