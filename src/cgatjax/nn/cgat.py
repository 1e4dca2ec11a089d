"""The crystal graph attention network, from a padded batch to normalised predictions.

Equations: Schmidt et al., Sci. Adv. 7 (2021) eabi7948, and Hoffmann et al., Digital Discovery 2
(2023) 1368; reference file `CGAT/CGAT.py`.
"""

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from cgatjax.config import ModelConfig
from cgatjax.data.batching import CrystalBatch
from cgatjax.data.elements import ElementTable
from cgatjax.nn.attention import AtomPooling, MultiHeadNetwork, Part
from cgatjax.nn.composition import CompositionNetwork
from cgatjax.nn.hypernetwork import DampedHypernetwork
from cgatjax.nn.initializers import normal
from cgatjax.nn.mlp import Dense, ResidualHead, leaky_relu
from cgatjax.nn.segment import graph_index, softmax_sum


class _Edges(NamedTuple):
    """What a message-passing step needs to know of the edges.

    `weights` are the multiplicities seen by one receiver. `row` is the state that an edge reads:
    its shell while states depend on the shell only (docs/network.md, saving 1), None once each has
    its own.
    """

    centers: Array
    neighbors: Array
    senders: Array
    receivers: Array
    weights: Array
    row: Array | None


class CGAT(nn.Module):
    """Crystal graph attention network.

    Attributes:
      config: sizes and variants.
      element_table: vectors of the elements, matscholar by default.

    Parameters are {"encoder": …, "heads": {target: …}}; their dtype decides that of the result.
    """

    config: ModelConfig
    element_table: ElementTable = ElementTable.matscholar()

    def setup(self) -> None:
        """Declares the encoder and the heads."""
        self.encoder = Encoder(self.config, self.element_table)
        self.heads = Heads(self.config)

    def __call__(self, batch: CrystalBatch) -> Array | dict[str, Array]:
        """Normalised prediction and log_std: (graphs, 2), or {target: (graphs, 2)} for several."""
        return self.read(self.encoder(batch))

    def embed(self, batch: CrystalBatch) -> Array:
        """Crystal embeddings, (graphs, `config.embedding_dim`)."""
        return self.encoder(batch)

    def read(self, embedding: Array) -> Array | dict[str, Array]:
        """The heads alone, on crystal embeddings computed before."""
        outputs = self.heads(embedding)
        return outputs if len(outputs) > 1 else outputs[self.config.targets[0]]


class Heads(nn.Module):
    """One residual regression network per target."""

    config: ModelConfig

    @nn.compact
    def __call__(self, embedding: Array) -> dict[str, Array]:
        """{target: (graphs, 2)} from (graphs, embedding width)."""
        config = self.config
        low = config.compute == "bfloat16"
        return {
            target: ResidualHead(config.head_widths, config.rezero, low, name=target)(embedding)
            for target in config.targets
        }


class Encoder(nn.Module):
    """Padded batch -> crystal embeddings (graphs, H*D or D)."""

    config: ModelConfig
    element_table: ElementTable

    @nn.compact
    def __call__(self, batch: CrystalBatch) -> Array:
        """Embeds every crystal of the batch, padding included."""
        config = self.config
        low = config.compute == "bfloat16"
        vectors = jnp.asarray(self.element_table.vectors)
        n_graph = batch.graph_mask.shape[0]
        nodes = batch.crystal.nodes
        edges = _edges_of(batch, config)
        h = h0 = Dense(config.node_dim, use_bias=False, name="embedding")(vectors)[nodes["element"]]
        table = self.param(
            "shell_embedding",
            normal(),
            (config.max_shells + 1, config.edge_dim),
        )
        e = e0 = table if edges.row is not None else table[batch.crystal.edges["shell"]]
        for i in range(config.steps):
            node_update = NodeUpdate(config, first=i == 0, name=f"node_{i}")(h, h0, e, edges)
            self.sow("intermediates", f"node_update_{i}", node_update)
            if config.edge_update != "none":
                edge_update = EdgeUpdate(config, first=i == 0, name=f"edge_{i}")(h, e, e0, edges)
                self.sow("intermediates", f"edge_update_{i}", edge_update)
                e = e + edge_update
            h = h + node_update
        composition = self._composition(batch, vectors, n_graph)
        self.sow("intermediates", "composition_vector", composition)
        pooling = AtomPooling(
            config.heads,
            config.pooling_vector_attention,
            config.pooling == "concat",
            low,
            name="pooling",
        )
        graph = graph_index(batch.crystal.n_node, h.shape[0])
        return pooling(h, composition, graph, nodes["weight"])

    def _composition(self, batch: CrystalBatch, vectors: Array, n_graph: int) -> Array:
        config, graphs = self.config, batch.composition
        element, fraction = graphs.nodes["element"], graphs.nodes["fraction"]
        graph = graph_index(graphs.n_node, element.shape[0])
        network = CompositionNetwork(
            config.node_dim, config.composition_steps, config.composition_hidden, name="composition"
        )
        return network(vectors[element], fraction, graphs.receivers, graphs.senders, graph, n_graph)


class NodeUpdate(nn.Module):
    """What one step adds to the node states: Hyper of the attention-weighted messages."""

    config: ModelConfig
    first: bool

    @nn.compact
    def __call__(self, h: Array, h0: Array, e: Array, edges: _Edges) -> Array:
        """(nodes, D) from states h, start states h0 (nodes, D) and edge states e (rows, R)."""
        config = self.config
        low = config.compute == "bfloat16"
        parts = ((h, edges.receivers), (e, edges.row), (h, edges.senders))
        scores, messages = _scores_and_messages(config, config.node_dim, parts)
        mixed = softmax_sum(scores, messages, edges.receivers, h.shape[0], weights=edges.weights)
        hyper = DampedHypernetwork(config.node_dim, self.first, low, name="update")
        return hyper(mixed.mean(1), h, h0)


class EdgeUpdate(nn.Module):
    """What one step adds to the edge states (or to the rows of the shell table)."""

    config: ModelConfig
    first: bool

    @nn.compact
    def __call__(self, h: Array, e: Array, e0: Array, edges: _Edges) -> Array:
        """(rows, R) from node states h (nodes, D) and edge states e, start e0 (rows, R)."""
        config = self.config
        low = config.compute == "bfloat16"
        if config.edge_update == "shell":
            x = e
        else:
            parts = ((h, edges.centers), (e, edges.row), (h, edges.neighbors))
            scores, messages = _scores_and_messages(config, config.edge_dim, parts)
            shares = nn.softmax(scores, axis=1)
            x = (shares * messages).sum(1)
        if config.edge_update == "hyper":
            hyper = DampedHypernetwork(config.edge_dim, self.first, low, name="update")
            return hyper(x / config.heads, e, e0)
        x = leaky_relu(Dense(config.edge_dim, low_precision=low, name="dense_0")(x))
        return Dense(config.edge_dim, low_precision=low, name="dense_1")(x)


def _scores_and_messages(
    config: ModelConfig, features: int, parts: tuple[Part, ...]
) -> tuple[Array, Array]:
    """The two multi-head networks of a step, submodules "attention" and "message" of the caller."""
    hidden = int((2 * config.node_dim + config.edge_dim) / 1.5)
    low = config.compute == "bfloat16"
    score_width = features if config.vector_attention else 1
    attention = MultiHeadNetwork(hidden, score_width, config.heads, low, name="attention")
    message = MultiHeadNetwork(hidden, features, config.heads, low, name="message")
    return attention(*parts), message(*parts)


def _edges_of(batch: CrystalBatch, config: ModelConfig) -> _Edges:
    """Edges in the configured message direction.

    The batch counts neighbours of one centre site. Seen from one site of the neighbour's class
    the same edges number weight * n_center / n_neighbor (docs/network.md, saving 4).
    """
    centers, neighbors = batch.crystal.receivers, batch.crystal.senders
    weight = batch.crystal.edges["weight"]
    depends_on_shell_only = config.edge_update in ("shell", "none")
    row = batch.crystal.edges["shell"] if depends_on_shell_only else None
    if config.message_direction == "neighbor_to_center":
        return _Edges(centers, neighbors, neighbors, centers, weight, row)
    sites = batch.crystal.nodes["weight"]
    weight = weight * sites[centers] / sites[neighbors]
    return _Edges(centers, neighbors, centers, neighbors, weight, row)
