"""Weights of the reference (`hyllios/CGAT`, PyTorch) in and out, without losing a digit.

One table of names and layouts (`_layout`) serves both directions and every check. Arrays are
NumPy; torch is not needed here.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import traverse_util

from cgatjax.config import ModelConfig
from cgatjax.errors import MismatchError
from cgatjax.nn.hypernetwork import LAYERS, PRODUCER_LAYERS

StateDict = Mapping[str, np.ndarray]


class Unused(dict[str, np.ndarray]):
    """Reference tensors without a place in our network: name -> array. Compared by identity."""

    __hash__ = object.__hash__  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return self is other


class ImportedParams(dict[str, Any]):
    """Parameters (a plain nested dictionary to JAX), with the unused tensors kept beside them.

    Attributes:
      unused: the reference's computed-and-discarded edge attention, for an exact export.
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


class _Entry(NamedTuple):
    """One tensor: the reference's name and shape, our path, and the way between the layouts."""

    name: str
    path: str
    shape: tuple[int, ...]
    to_ours: Callable[[np.ndarray], np.ndarray]
    to_reference: Callable[[np.ndarray], np.ndarray]


def params_from_state_dict(state_dict: StateDict, config: ModelConfig) -> ImportedParams:
    """Converts the reference's weights to ours.

    Args:
      state_dict: name -> array, names with or without the leading "model.".
      config: the network, for instance from `config_from_state_dict`; it must have one target.

    Returns:
      {"encoder": …, "heads": {target: …}}, dtypes kept, `.unused` holding what has no place in it.
      The damping is projected to [0, 1], as the reference does before each forward pass.

    Raises:
      MismatchError: names or shapes do not fit; the message lists all of them.
    """
    arrays = _network_tensors(state_dict)
    used, aside = _layout(config), _unused_layout(config)
    _check_names_and_shapes(arrays, used, aside)
    flat = {}
    for entry in used:
        value = entry.to_ours(arrays[entry.name])
        flat[entry.path] = np.clip(value, 0, 1) if entry.path.endswith("/damping") else value
    unused = Unused({entry.name: arrays[entry.name] for entry in aside})
    return ImportedParams(traverse_util.unflatten_dict(flat, sep="/"), unused)


def state_dict_from_params(
    params: Mapping[str, Any], config: ModelConfig, unused: StateDict | None = None
) -> dict[str, np.ndarray]:
    """Converts our weights to the reference's names and layouts.

    Args:
      params: {"encoder": …, "heads": {target: …}}.
      config: the network; it must have one target.
      unused: the tensors kept aside by the import; by default `params.unused`, else zeros.

    Raises:
      MismatchError: parameters are missing, or have other shapes than the network.
    """
    unused = getattr(params, "unused", {}) if unused is None else unused
    flat = traverse_util.flatten_dict(dict(params), sep="/")
    used = _layout(config)
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
    for entry in _unused_layout(config):
        result[entry.name] = np.asarray(unused.get(entry.name, np.zeros(entry.shape, dtype)))
    return result


def config_from_state_dict(state_dict: StateDict, target: str = "target") -> ModelConfig:
    """Infers every size and option of the network from names and shapes.

    What the tensors do not tell is the name of the target, which is asked for.

    Raises:
      MismatchError: this is not a CGAT state dictionary.
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
            f"this is not a state dictionary of the reference network: {error} "
            f"(found {len(arrays)} tensors, for instance {sorted(arrays)[:3]})"
        ) from error


def _network_tensors(state_dict: StateDict) -> dict[str, np.ndarray]:
    """The network's tensors without "model."; the Lightning module's mean and std are left out."""
    stripped = {name.removeprefix("model."): np.asarray(v) for name, v in state_dict.items()}
    return {name: v for name, v in stripped.items() if name not in ("mean", "std")}


def _count(shapes: Mapping[str, Any], prefix: str) -> int:
    found = {name[len(prefix) :].split(".")[0] for name in shapes if name.startswith(prefix)}
    return len(found)


def _edge_update(shapes: Mapping[str, Any]) -> Any:
    if any(".Edge.Pooling_NN.Hyper." in name for name in shapes):
        return "hyper"
    return "shell" if any(".Edge." in name for name in shapes) else "none"


def _check_names_and_shapes(arrays: StateDict, *layouts: list[_Entry]) -> None:
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
        raise MismatchError(f"the weights do not fit the network: {listing}")


def _layout(config: ModelConfig) -> list[_Entry]:
    """Every tensor that is a parameter of ours."""
    D, R, target = config.node_dim, config.edge_dim, config.targets[0]
    if len(config.targets) != 1:
        raise MismatchError(f"the reference has one target, the network has {config.targets}")
    entries = [
        _dense_weight("embedding.weight", "encoder/embedding/kernel", config.element_dim, D),
        _same("nbr_embedding.weight", "encoder/shell_embedding", (config.max_shells + 1, R)),
    ]
    for i in range(config.steps):
        node = f"graphs.{i}." if config.edge_update == "none" else f"graphs.{i}.Node."
        entries += _message_networks(node, f"encoder/node_{i}", config, D)
        entries += _hyper(f"{node}Pooling_NN.", f"encoder/node_{i}/update", D, first=i == 0)
        entries += _edge_entries(i, config)
    entries += _composition_entries(config)
    score = D if config.pooling_vector_attention else 1
    entries += _multi_head(
        "cry_pool.MH_A", "encoder/pooling/attention", 2 * D, D, score, config.heads
    )
    entries += _multi_head("cry_pool.MH_M", "encoder/pooling/message", D, D, D, config.heads)
    return entries + _head_entries(config, f"heads/{target}")


def _unused_layout(config: ModelConfig) -> list[_Entry]:
    """The edge attention that the released code computes and throws away."""
    if config.edge_update != "shell":
        return []
    return [
        entry
        for i in range(config.steps)
        for entry in _message_networks(f"graphs.{i}.Edge.", "", config, config.edge_dim)
    ]


def _edge_entries(i: int, config: ModelConfig) -> list[_Entry]:
    R, name, path = config.edge_dim, f"graphs.{i}.Edge.", f"encoder/edge_{i}"
    entries = []
    if config.edge_update in ("attention", "hyper"):
        entries += _message_networks(name, path, config, R)
    if config.edge_update == "hyper":
        entries += _hyper(f"{name}Pooling_NN.", f"{path}/update", R, first=i == 0)
    elif config.edge_update != "none":
        entries += _dense(f"{name}Pooling_NN.fcs.0", f"{path}/dense_0", R, R)
        entries += _dense(f"{name}Pooling_NN.fc_out", f"{path}/dense_1", R, R)
    return entries


def _message_networks(name: str, path: str, config: ModelConfig, features: int) -> list[_Entry]:
    fan_in = 2 * config.node_dim + config.edge_dim
    hidden, heads = int(fan_in / 1.5), config.heads
    score = features if config.vector_attention else 1
    return _multi_head(
        f"{name}MH_A", f"{path}/attention", fan_in, hidden, score, heads
    ) + _multi_head(f"{name}MH_M", f"{path}/message", fan_in, hidden, features, heads)


def _composition_entries(config: ModelConfig) -> list[_Entry]:
    D, hidden, path = config.node_dim, config.composition_hidden, "encoder/composition"
    entries = _dense("roost.embedding", f"{path}/embedding", config.element_dim, D - 1)
    for i in range(config.composition_steps):
        name = f"roost.graphs.{i}.pooling.0."
        entries.append(_scalar(f"{name}pow", f"{path}/step_{i}/attention/power"))
        entries += _two_layer(f"{name}gate_nn", f"{path}/step_{i}/attention/gate", 2 * D, hidden, 1)
        entries += _two_layer(f"{name}message_nn", f"{path}/step_{i}/message", 2 * D, hidden, D)
    entries.append(_scalar("roost.cry_pool.0.pow", f"{path}/pooling/power"))
    return entries + _two_layer("roost.cry_pool.0.gate_nn", f"{path}/pooling/gate", D, hidden, 1)


def _head_entries(config: ModelConfig, path: str) -> list[_Entry]:
    entries = []
    dims = (config.embedding_dim, *config.head_widths)
    for i, (before, after) in enumerate(itertools.pairwise(dims)):
        entries += _dense(f"output_nn.fcs.{i}", f"{path}/layer_{i}", before, after)
        if before != after:
            name, ours = f"output_nn.res_fcs.{i}.weight", f"{path}/skip_{i}/kernel"
            entries.append(_dense_weight(name, ours, before, after))
        if config.rezero:
            entries.append(_scalar(f"output_nn.rezeros.{i}.alpha", f"{path}/alpha_{i}"))
    return entries + _dense("output_nn.fc_out", f"{path}/out", dims[-1], 2)


def _hyper(name: str, path: str, width: int, first: bool) -> list[_Entry]:
    entries = [] if first else [_scalar(f"{name}damping", f"{path}/damping")]
    for i in range(LAYERS):
        inner = "" if i == LAYERS - 1 else "hyper_linear."
        producer, ours = (
            f"{name}Hyper.layers.{i}.{inner}hypo_params.net.",
            f"{path}/hyper/layer_{i}",
        )
        for j in range(PRODUCER_LAYERS):
            source = f"{producer}{j}.net.0"
            entries += _pair(source, f"{ours}/kernel_{j}", f"{ours}/bias_{j}", width, width)
        entries += _produced(f"{producer}{PRODUCER_LAYERS}", ours, width)
    return entries


def _produced(name: str, path: str, width: int) -> list[_Entry]:
    """The layer that makes weights [out, in], one after another, and then the biases [out]."""
    size = width * width + width

    def to_ours(flat: np.ndarray) -> np.ndarray:
        weights = flat[: width * width].reshape(width, width, -1)
        stacked = np.concatenate([weights, flat[width * width :].reshape(width, 1, -1)], 1)
        return stacked.transpose(2, 1, 0)

    def to_reference(tensor: np.ndarray) -> np.ndarray:
        stacked = tensor.transpose(2, 1, 0)
        return np.concatenate([stacked[:, :-1].reshape(width * width, -1), stacked[:, -1]])

    return [
        _Entry(f"{name}.weight", f"{path}/kernel_out", (size, width), to_ours, to_reference),
        _Entry(
            f"{name}.bias",
            f"{path}/bias_out",
            (size,),
            lambda bias: to_ours(bias[:, None])[0],
            lambda matrix: to_reference(matrix[None])[:, 0],
        ),
    ]


def _two_layer(name: str, path: str, before: int, hidden: int, after: int) -> list[_Entry]:
    first = _pair(f"{name}.fcs.0", f"{path}/kernel_in", f"{path}/bias_in", before, hidden)
    return first + _dense(f"{name}.fc_out", f"{path}/out", hidden, after)


def _multi_head(
    name: str, path: str, fan_in: int, hidden: int, features: int, heads: int
) -> list[_Entry]:
    """torch stores grouped 1x1 convolutions: (heads * out, in, 1), the heads one after another."""
    wide = heads * hidden
    return [
        _Entry(
            f"{name}.fc_in.weight",
            f"{path}/kernel_in",
            (wide, fan_in, 1),
            lambda w: w[:, :, 0].T,
            lambda w: w.T[:, :, None],
        ),
        _same(f"{name}.fc_in.bias", f"{path}/bias_in", (wide,)),
        _Entry(
            f"{name}.fc_out.weight",
            f"{path}/kernel_out",
            (heads * features, hidden, 1),
            lambda w: w[:, :, 0].reshape(heads, features, hidden).swapaxes(1, 2),
            lambda w: w.swapaxes(1, 2).reshape(heads * features, hidden, 1),
        ),
        _Entry(
            f"{name}.fc_out.bias",
            f"{path}/bias_out",
            (heads * features,),
            lambda b: b.reshape(heads, features),
            lambda b: b.reshape(heads * features),
        ),
    ]


def _dense(name: str, path: str, before: int, after: int) -> list[_Entry]:
    return _pair(name, f"{path}/kernel", f"{path}/bias", before, after)


def _pair(name: str, kernel: str, bias: str, before: int, after: int) -> list[_Entry]:
    weight = _dense_weight(f"{name}.weight", kernel, before, after)
    return [weight, _same(f"{name}.bias", bias, (after,))]


def _dense_weight(name: str, path: str, before: int, after: int) -> _Entry:
    return _Entry(name, path, (after, before), np.transpose, np.transpose)


def _scalar(name: str, path: str) -> _Entry:
    return _Entry(name, path, (1,), lambda a: a.reshape(()), lambda a: a.reshape(1))


def _same(name: str, path: str, shape: tuple[int, ...]) -> _Entry:
    return _Entry(name, path, shape, np.asarray, np.asarray)
