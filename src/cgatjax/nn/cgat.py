"""The crystal graph attention network, from a padded batch to normalized predictions.

Equations: Schmidt et al., Sci. Adv. 7 (2021) eabi7948, and Hoffmann et al., Digital Discovery 2
(2023) 1368; reference file `CGAT/CGAT.py`.
"""

import dataclasses
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from cgatjax.config import ModelConfig
from cgatjax.data.batching import CrystalBatch
from cgatjax.nn.attention import AtomPooling, MultiHeadNetwork, attend
from cgatjax.nn.composition import CompositionNetwork
from cgatjax.nn.hypernetwork import DampedHypernetwork
from cgatjax.nn.initializers import normal
from cgatjax.nn.mlp import Dense, Part, ResidualHead, leaky_relu, rows_of, seen
from cgatjax.nn.segment import Each, Index, graph_index, read
from cgatjax.structures.elements import ElementTable


class _Edges(NamedTuple):
    """What a message-passing step needs to know of the edges.

    `weights` are the multiplicities that one receiver sees. Where all sites have as many edges,
    centers need no array of indices.
    """

    centers: Index
    neighbors: Index
    senders: Index
    receivers: Index
    weights: Array


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
        """Normalized prediction and log_std: (graphs, 2), or {target: (graphs, 2)} for several."""
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
        batch = _with_plain_padding(batch)
        nodes = batch.crystal.nodes
        edges = _edges_of(batch, config)
        h = start = self._start(vectors, nodes["element"])
        table = self.param(
            "shell_embedding",
            normal(),
            (config.max_shells + 1, config.edge_dim),
        )
        e = e_start = (table, batch.crystal.edges["shell"])
        again = nn.remat if config.rematerialize else lambda module: module
        node_step, edge_step = again(NodeUpdate), again(EdgeUpdate)
        for i in range(config.steps):
            node_update = node_step(config, first=i == 0, name=f"node_{i}")(h, start, e, edges)
            self.sow("intermediates", f"node_update_{i}", node_update)
            if config.edge_update == "shell":
                shell_update = ShellUpdate(config, name=f"edge_{i}")(e[0])
                self.sow("intermediates", f"edge_update_{i}", shell_update)
                e = (e[0] + shell_update, e[1])
            elif config.edge_update != "none":
                edge_update = edge_step(config, i == 0, name=f"edge_{i}")(h, e, e_start, edges)
                self.sow("intermediates", f"edge_update_{i}", edge_update)
                e = (rows_of(e) + edge_update, None)
            h = (rows_of(h) + node_update, None)
        composition = self._composition(batch, vectors, n_graph)
        self.sow("intermediates", "composition_vector", composition)
        pooling = AtomPooling(
            config.heads,
            config.pooling_vector_attention,
            config.pooling == "concat",
            low,
            name="pooling",
        )
        sites = rows_of(h)
        graph = graph_index(batch.crystal.n_node, sites.shape[0])
        return pooling(sites, composition, graph, nodes["weight"])

    def _start(self, vectors: Array, element: Array) -> Part:
        """Start states, one row an element where that is fewer (docs/network.md, saving 5)."""
        table = Dense(self.config.node_dim, use_bias=False, name="embedding")(vectors)
        return (table, element) if len(element) > len(table) else (table[element], None)

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
    def __call__(self, h: Part, start: Part, e: Part, edges: _Edges) -> Array:
        """(nodes, D) from states h, start states (both of nodes) and states e (of edges)."""
        config = self.config
        parts = (seen(h, edges.receivers), e, seen(h, edges.senders))
        scores, messages = _scores_and_messages(config, config.node_dim, parts)
        self.sow("intermediates", "scores", scores)
        size = len(rows_of(h))
        ascending = config.message_direction == "neighbor_to_center"  # edges are so by center
        mixed = attend(scores, messages, edges.receivers, size, edges.weights, ascending)
        low = config.compute == "bfloat16"
        hyper = DampedHypernetwork(config.node_dim, self.first, low, name="update")
        return hyper(mixed.mean(0), start)


class EdgeUpdate(nn.Module):
    """What one step adds to the edge states: attention over the heads, then a network."""

    config: ModelConfig
    first: bool

    @nn.compact
    def __call__(self, h: Part, e: Part, start: Part, edges: _Edges) -> Array:
        """(edges, R) from states h (of nodes), and e and start states (both of edges)."""
        config = self.config
        parts = (seen(h, edges.centers), e, seen(h, edges.neighbors))
        scores, messages = _scores_and_messages(config, config.edge_dim, parts)
        x = (nn.softmax(scores, axis=0) * messages).sum(0)
        if config.edge_update == "attention":
            return _two_layers(config, x)
        low = config.compute == "bfloat16"
        hyper = DampedHypernetwork(config.edge_dim, self.first, low, name="update")
        return hyper(x / config.heads, start)


class ShellUpdate(nn.Module):
    """What one step adds to the rows of the shell table, where edges know their shell only."""

    config: ModelConfig

    @nn.compact
    def __call__(self, table: Array) -> Array:
        """(shells, R) -> (shells, R)."""
        return _two_layers(self.config, table)


def _two_layers(config: ModelConfig, x: Array) -> Array:
    """Dense -> LeakyReLU -> Dense, submodules "dense_0" and "dense_1" of the caller."""
    low = config.compute == "bfloat16"
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


def _with_plain_padding(batch: CrystalBatch) -> CrystalBatch:
    """The batch with ones for the weights of padding: whatever stood there cannot spread."""

    def plain(values: dict[str, Array], name: str, counts: Array) -> dict[str, Array]:
        real = jnp.asarray(batch.graph_mask)[graph_index(counts, len(values[name]))]
        return {**values, name: jnp.where(real, values[name], 1)}

    crystal, composition = batch.crystal, batch.composition
    crystal = crystal._replace(
        nodes=plain(crystal.nodes, "weight", crystal.n_node),
        edges=plain(crystal.edges, "weight", crystal.n_edge),
    )
    composition = composition._replace(
        nodes=plain(composition.nodes, "fraction", composition.n_node)
    )
    return dataclasses.replace(batch, crystal=crystal, composition=composition)


def _edges_of(batch: CrystalBatch, config: ModelConfig) -> _Edges:
    """Edges in the configured message direction.

    The batch counts neighbors of one center site. Seen from one site of the neighbor's class
    the same edges number weight * n_center / n_neighbor (docs/network.md, saving 4).
    """
    centers: Index = Each(batch.in_degree) if batch.in_degree else batch.crystal.receivers
    neighbors = batch.crystal.senders
    weight = batch.crystal.edges["weight"]
    if config.message_direction == "neighbor_to_center":
        return _Edges(centers, neighbors, neighbors, centers, weight)
    sites = batch.crystal.nodes["weight"]
    weight = weight * read(sites, centers) / sites[neighbors]
    return _Edges(centers, neighbors, centers, neighbors, weight)
