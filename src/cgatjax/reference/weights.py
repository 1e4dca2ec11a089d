"""Lossless import and export of the reference's weights (`hyllios/CGAT`, PyTorch).

Both directions and all checks use the table in `layout`. Arrays are NumPy; torch is not needed.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import numpy as np
from flax import traverse_util

from cgatjax.config import ModelConfig
from cgatjax.errors import MismatchError
from cgatjax.reference.layout import Entry, layout, unused_layout

StateDict = Mapping[str, np.ndarray]


class Unused(dict[str, np.ndarray]):
    """Tensors of the reference that the network here does not have; compared by identity."""

    __hash__ = object.__hash__  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return self is other


class ImportedParams(dict[str, Any]):
    """Parameters (a plain nested dictionary to JAX) with the unused tensors of the reference.

    `unused` is its edge attention, kept for an exact export.
    """

    unused: Unused

    def __init__(self, params: Mapping[str, Any], unused: Unused) -> None:
        super().__init__(params)
        self.unused = unused


def _flatten(params: ImportedParams) -> tuple[list[Any], tuple[tuple[str, ...], Unused]]:
    names = tuple(sorted(params))
    return [(jax.tree_util.DictKey(n), params[n]) for n in names], (names, params.unused)


def _unflatten(aux: tuple[tuple[str, ...], Unused], children: Iterable[Any]) -> ImportedParams:
    names, unused = aux
    return ImportedParams(dict(zip(names, children, strict=True)), unused)


jax.tree_util.register_pytree_with_keys(ImportedParams, _flatten, _unflatten)


def params_from_state_dict(state_dict: StateDict, config: ModelConfig) -> ImportedParams:
    """Convert weights of the reference to parameters.

    Args:
      state_dict: name -> array, names with or without the leading "model.".
      config: options of the network, as from `config_from_state_dict`, with one target.

    Returns:
      {"encoder": …, "heads": {target: …}} with the same dtypes, and further tensors in `.unused`.
      The damping is projected to [0, 1], as the reference does before each forward pass.

    Raises:
      MismatchError: names or shapes do not fit; the message lists all differences.
    """
    arrays = _network_tensors(state_dict)
    used, unused_entries = layout(config), unused_layout(config)
    _check_names_and_shapes(arrays, used, unused_entries)
    flat = {}
    for entry in used:
        value = entry.to_ours(arrays[entry.name])
        flat[entry.path] = np.clip(value, 0, 1) if entry.path.endswith("/damping") else value
    unused = Unused({entry.name: arrays[entry.name] for entry in unused_entries})
    return ImportedParams(traverse_util.unflatten_dict(flat, sep="/"), unused)


def state_dict_from_params(
    params: Mapping[str, Any], config: ModelConfig, unused: StateDict | None = None
) -> dict[str, np.ndarray]:
    """Convert parameters to the names and layouts of the reference.

    Args:
      params: {"encoder": …, "heads": {target: …}}.
      config: options of the network, with one target.
      unused: unused tensors from the import; by default `params.unused`, or else zeros.

    Raises:
      MismatchError: missing parameters, or shapes that do not fit the network.
    """
    unused = getattr(params, "unused", {}) if unused is None else unused
    flat = traverse_util.flatten_dict(dict(params), sep="/")
    used = layout(config)
    missing = [e.path for e in used if e.path not in flat]
    if missing:
        raise MismatchError(f"parameters are missing: {missing}")
    result = {}
    for entry in used:
        value = entry.to_reference(np.asarray(flat[entry.path]))
        if value.shape != entry.shape:
            raise MismatchError(
                f"{entry.path}: expected {entry.shape} as {entry.name}, got {value.shape}"
            )
        result[entry.name] = np.ascontiguousarray(value)
    dtype = result["embedding.weight"].dtype
    for entry in unused_layout(config):
        result[entry.name] = np.asarray(unused.get(entry.name, np.zeros(entry.shape, dtype)))
    return result


def config_from_state_dict(state_dict: StateDict, target: str = "target") -> ModelConfig:
    """Infer all sizes and options of the network from names and shapes.

    Args:
      state_dict: name -> array, names with or without the leading "model.".
      target: name of the target, which a state dictionary does not have.

    Raises:
      MismatchError: not a state dictionary of the reference.
    """
    arrays = _network_tensors(state_dict)
    shapes = {name: np.shape(value) for name, value in arrays.items()}
    try:
        node_dim, element_dim = shapes["embedding.weight"]
        rows, edge_dim = shapes["nbr_embedding.weight"]
        heads = shapes["cry_pool.MH_M.fc_in.weight"][0] // node_dim
        node = "graphs.0.Node." if "graphs.0.Node.MH_A.fc_in.weight" in shapes else "graphs.0."
        composition_hidden = shapes["roost.cry_pool.0.gate_nn.fcs.0.weight"][0]
        widths = [
            shapes[f"output_nn.fcs.{i}.weight"][0] for i in range(_count(shapes, "output_nn.fcs."))
        ]
        return ModelConfig(
            targets=(target,),
            node_dim=node_dim,
            edge_dim=edge_dim,
            heads=heads,
            steps=_count(shapes, "graphs."),
            composition_steps=_count(shapes, "roost.graphs."),
            composition_hidden=composition_hidden,
            element_dim=element_dim,
            max_shells=rows - 1,
            vector_attention=shapes[node + "MH_A.fc_out.weight"][0] == heads * node_dim,
            pooling_vector_attention=shapes["cry_pool.MH_A.fc_out.weight"][0] == heads * node_dim,
            pooling="concat" if shapes["output_nn.fcs.0.weight"][1] == heads * node_dim else "mean",
            message_direction="center_to_neighbor",
            edge_update=_edge_update(shapes),
            rezero="output_nn.rezeros.0.alpha" in shapes,
            head_widths=tuple(widths),
        )
    except (KeyError, ValueError, IndexError) as error:
        raise MismatchError(
            f"expected a state dictionary of the reference network, got {len(arrays)} tensors such "
            f"as {sorted(arrays)[:3]}: {error}"
        ) from error


def _network_tensors(state_dict: StateDict) -> dict[str, np.ndarray]:
    """Strip "model." from names, and drop mean and std of the Lightning module."""
    stripped = {name.removeprefix("model."): np.asarray(v) for name, v in state_dict.items()}
    return {name: v for name, v in stripped.items() if name not in ("mean", "std")}


def _count(shapes: Mapping[str, Any], prefix: str) -> int:
    found = {name[len(prefix) :].split(".")[0] for name in shapes if name.startswith(prefix)}
    return len(found)


def _edge_update(shapes: Mapping[str, Any]) -> Any:
    if any(".Edge.Pooling_NN.Hyper." in name for name in shapes):
        return "hyper"
    return "shell" if any(".Edge." in name for name in shapes) else "none"


def _check_names_and_shapes(arrays: StateDict, *layouts: list[Entry]) -> None:
    expected = {entry.name: entry.shape for layout in layouts for entry in layout}
    missing = [f"{n} {s}" for n, s in expected.items() if n not in arrays]
    unexpected = [f"{n} {np.shape(v)}" for n, v in arrays.items() if n not in expected]
    misshapen = [
        f"{n}: expected {s}, got {np.shape(arrays[n])}"
        for n, s in expected.items()
        if n in arrays and np.shape(arrays[n]) != s
    ]
    if missing or unexpected or misshapen:
        parts = {"missing": missing, "unexpected": unexpected, "misshapen": misshapen}
        listing = "; ".join(
            f"{what} ({len(names)}): {names}" for what, names in parts.items() if names
        )
        raise MismatchError(f"expected the weights of the network; {listing}")
