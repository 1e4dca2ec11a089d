"""Layout of the reference's tensors: names, shapes and positions among the parameters here.

Import, export and all checks use this one table.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from cgatjax.config import ModelConfig
from cgatjax.errors import MismatchError
from cgatjax.nn.hypernetwork import LAYERS, PRODUCER_LAYERS


class Entry(NamedTuple):
    """Tensor of the reference: name, shape, path among the parameters here, and conversions."""

    name: str
    path: str
    shape: tuple[int, ...]
    to_ours: Callable[[np.ndarray], np.ndarray]
    to_reference: Callable[[np.ndarray], np.ndarray]


def layout(config: ModelConfig) -> list[Entry]:
    """List the tensors that correspond to parameters here."""
    D, R, target = config.node_dim, config.edge_dim, config.targets[0]
    if len(config.targets) != 1:
        raise MismatchError(f"expected one target, as in the reference, got {config.targets}")
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


def unused_layout(config: ModelConfig) -> list[Entry]:
    """List the tensors of the edge attention that the released code computes without using it."""
    if config.edge_update != "shell":
        return []
    return [
        entry
        for i in range(config.steps)
        for entry in _message_networks(f"graphs.{i}.Edge.", "", config, config.edge_dim)
    ]


def _edge_entries(i: int, config: ModelConfig) -> list[Entry]:
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


def _message_networks(name: str, path: str, config: ModelConfig, features: int) -> list[Entry]:
    fan_in = 2 * config.node_dim + config.edge_dim
    hidden, heads = int(fan_in / 1.5), config.heads
    score = features if config.vector_attention else 1
    return _multi_head(
        f"{name}MH_A", f"{path}/attention", fan_in, hidden, score, heads
    ) + _multi_head(f"{name}MH_M", f"{path}/message", fan_in, hidden, features, heads)


def _composition_entries(config: ModelConfig) -> list[Entry]:
    D, hidden, path = config.node_dim, config.composition_hidden, "encoder/composition"
    entries = _dense("roost.embedding", f"{path}/embedding", config.element_dim, D - 1)
    for i in range(config.composition_steps):
        name = f"roost.graphs.{i}.pooling.0."
        entries.append(_scalar(f"{name}pow", f"{path}/step_{i}/attention/power"))
        entries += _two_layer(f"{name}gate_nn", f"{path}/step_{i}/attention/gate", 2 * D, hidden, 1)
        entries += _two_layer(f"{name}message_nn", f"{path}/step_{i}/message", 2 * D, hidden, D)
    entries.append(_scalar("roost.cry_pool.0.pow", f"{path}/pooling/power"))
    return entries + _two_layer("roost.cry_pool.0.gate_nn", f"{path}/pooling/gate", D, hidden, 1)


def _head_entries(config: ModelConfig, path: str) -> list[Entry]:
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


def _hyper(name: str, path: str, width: int, first: bool) -> list[Entry]:
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


def _produced(name: str, path: str, width: int) -> list[Entry]:
    """List the layer whose output is the flattened weights [out, in], then the biases [out]."""
    size = width * width + width

    def to_ours(flat: np.ndarray) -> np.ndarray:
        weights = flat[: width * width].reshape(width, width, -1)
        stacked = np.concatenate([weights, flat[width * width :].reshape(width, 1, -1)], 1)
        return stacked.transpose(2, 1, 0)

    def to_reference(tensor: np.ndarray) -> np.ndarray:
        stacked = tensor.transpose(2, 1, 0)
        return np.concatenate([stacked[:, :-1].reshape(width * width, -1), stacked[:, -1]])

    return [
        Entry(f"{name}.weight", f"{path}/kernel_out", (size, width), to_ours, to_reference),
        Entry(
            f"{name}.bias",
            f"{path}/bias_out",
            (size,),
            lambda bias: to_ours(bias[:, None])[0],
            lambda matrix: to_reference(matrix[None])[:, 0],
        ),
    ]


def _two_layer(name: str, path: str, before: int, hidden: int, after: int) -> list[Entry]:
    first = _pair(f"{name}.fcs.0", f"{path}/kernel_in", f"{path}/bias_in", before, hidden)
    return first + _dense(f"{name}.fc_out", f"{path}/out", hidden, after)


def _multi_head(
    name: str, path: str, fan_in: int, hidden: int, features: int, heads: int
) -> list[Entry]:
    """List grouped 1x1 convolutions: (heads * out, in, 1) in torch, with the heads concatenated."""
    wide = heads * hidden
    return [
        Entry(
            f"{name}.fc_in.weight",
            f"{path}/kernel_in",
            (wide, fan_in, 1),
            lambda w: w[:, :, 0].T,
            lambda w: w.T[:, :, None],
        ),
        _same(f"{name}.fc_in.bias", f"{path}/bias_in", (wide,)),
        Entry(
            f"{name}.fc_out.weight",
            f"{path}/kernel_out",
            (heads * features, hidden, 1),
            lambda w: w[:, :, 0].reshape(heads, features, hidden).swapaxes(1, 2),
            lambda w: w.swapaxes(1, 2).reshape(heads * features, hidden, 1),
        ),
        Entry(
            f"{name}.fc_out.bias",
            f"{path}/bias_out",
            (heads * features,),
            lambda b: b.reshape(heads, features),
            lambda b: b.reshape(heads * features),
        ),
    ]


def _dense(name: str, path: str, before: int, after: int) -> list[Entry]:
    return _pair(name, f"{path}/kernel", f"{path}/bias", before, after)


def _pair(name: str, kernel: str, bias: str, before: int, after: int) -> list[Entry]:
    weight = _dense_weight(f"{name}.weight", kernel, before, after)
    return [weight, _same(f"{name}.bias", bias, (after,))]


def _dense_weight(name: str, path: str, before: int, after: int) -> Entry:
    return Entry(name, path, (after, before), np.transpose, np.transpose)


def _scalar(name: str, path: str) -> Entry:
    return Entry(name, path, (1,), lambda a: a.reshape(()), lambda a: a.reshape(1))


def _same(name: str, path: str, shape: tuple[int, ...]) -> Entry:
    return Entry(name, path, shape, np.asarray, np.asarray)
