"""Crystal graph attention network: padded batch -> normalized predictions.

Equations: Schmidt et al., Sci. Adv. 7 (2021) eabi7948, and Hoffmann et al., Digital Discovery 2
(2023) 1368; reference file `CGAT/CGAT.py`.
"""

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from cgatjax.config import ModelConfig
from cgatjax.data.batching import CrystalBatch
from cgatjax.nn.attention import AtomPooling, MultiHeadNetwork
from cgatjax.nn.composition import CompositionNetwork
from cgatjax.nn.hypernetwork import DampedHypernetwork
from cgatjax.nn.mlp import Dense, GatheredRows, ResidualHead, leaky_relu, normal
from cgatjax.nn.segment import attend, graph_index
from cgatjax.structures import ElementTable

if TYPE_CHECKING:
    from cgatjax.nn.message_kernels import ChunkedEdges


class _Edges(NamedTuple):
    """Edge indices of a message-passing step.

    Attributes:
      centers, neighbors: node at either end of each edge.
      senders, receivers: the same two in the configured message direction.
      weights: (edges,) multiplicities as seen by one receiver.
      layout: order of the edges in fused kernels, None for plain ones.
    """

    centers: Array
    neighbors: Array
    senders: Array
    receivers: Array
    weights: Array
    layout: "ChunkedEdges | None"


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
        """Declare the encoder and the heads."""
        self.encoder = Encoder(self.config, self.element_table)
        self.heads = Heads(self.config)

    def __call__(self, batch: CrystalBatch) -> Array | dict[str, Array]:
        """Predict mean and log_std, normalized: (graphs, 2), or {target: …} for several targets."""
        outputs = self.outputs(batch)
        return outputs if len(outputs) > 1 else outputs[self.config.targets[0]]

    def outputs(self, batch: CrystalBatch, mixed: Array | None = None) -> dict[str, Array]:
        """Predict {target: (graphs, 2)}: mean and log_std, normalized."""
        return self.heads(self.encoder(batch, mixed))

    def embed(self, batch: CrystalBatch, mixed: Array | None = None) -> Array:
        """Encode crystals as embeddings, (graphs, `config.embedding_dim`)."""
        return self.encoder(batch, mixed)

    def read_heads(self, embedding: Array) -> dict[str, Array]:
        """Apply the heads alone, to crystal embeddings: {target: (graphs, 2)}."""
        return self.heads(embedding)


class Heads(nn.Module):
    """Residual regression networks, one per target."""

    config: ModelConfig

    @nn.compact
    def __call__(self, embedding: Array) -> dict[str, Array]:
        """Map embeddings (graphs, width) to {target: (graphs, 2)}."""
        widths, rezero, low = self.config.head_widths, self.config.rezero, self.config.low_precision
        return {
            target: ResidualHead(widths, rezero, low, name=target)(embedding)
            for target in self.config.targets
        }


class Encoder(nn.Module):
    """Crystal encoder: padded batch -> embeddings (graphs, H*D or D)."""

    config: ModelConfig
    element_table: ElementTable

    @nn.compact
    def __call__(self, batch: CrystalBatch, mixed: Array | None = None) -> Array:
        """Embed every crystal; `mixed` are known attention-weighted messages of the first step."""
        config = self.config
        batch = _with_plain_padding(batch)
        edges = _edges_of(batch, config)
        vectors = jnp.asarray(self.element_table.vectors)
        h = h_start = self._start(vectors, batch.crystal.nodes["element"])
        shells = (config.max_shells + 1, config.edge_dim)
        table = self.param("shell_embedding", normal(), shells)
        e = e_start = GatheredRows(table, batch.crystal.edges["shell"])
        remat = nn.remat if config.rematerialize else lambda module: module
        node_step, edge_step = remat(NodeUpdate), remat(EdgeUpdate)
        for i in range(config.steps):
            # h <- h + Hyper(agg; z) and e <- e + update, both from the h and e before this step.
            step = node_step(config, first=i == 0, name=f"node_{i}")
            node_update = step(h, h_start, e, edges, mixed if i == 0 else None)
            self.sow("intermediates", f"node_update_{i}", node_update)
            if config.edge_update == "shell":
                # e depends on the shell alone: K + 1 rows at every depth (saving 1).
                shell_update = ShellUpdate(config, name=f"edge_{i}")(e.rows)
                self.sow("intermediates", f"edge_update_{i}", shell_update)
                e = GatheredRows(e.rows + shell_update, e.index)
            elif config.edge_update != "none":
                edge_update = edge_step(config, i == 0, name=f"edge_{i}")(h, e, e_start, edges)
                self.sow("intermediates", f"edge_update_{i}", edge_update)
                e = GatheredRows(e.gather() + edge_update)
            h = GatheredRows(h.gather() + node_update)
        return self._pooled(h.gather(), batch, vectors)

    def _start(self, vectors: Array, element: Array) -> GatheredRows:
        """Project element vectors to start states h0 = W v (no bias).

        h0 is a function of the element: where there are more nodes than elements, the first step's
        networks see one row an element (saving 5).
        """
        table = Dense(self.config.node_dim, use_bias=False, name="embedding")(vectors)
        if len(element) > len(table):
            return GatheredRows(table, element)
        return GatheredRows(table[element])

    def _pooled(self, h: Array, batch: CrystalBatch, vectors: Array) -> Array:
        """Pool node states (nodes, D) by attention, given the composition vectors."""
        config, graphs = self.config, batch.composition
        element, fraction = graphs.nodes["element"], graphs.nodes["fraction"]
        network = CompositionNetwork(
            config.node_dim, config.composition_steps, config.composition_hidden, name="composition"
        )
        composition = network(
            vectors[element],
            fraction,
            graphs.receivers,
            graphs.senders,
            graph_index(graphs.n_node, element.shape[0]),
            batch.graph_mask.shape[0],
        )
        self.sow("intermediates", "composition_vector", composition)
        pooling = AtomPooling(
            config.heads,
            config.pooling_vector_attention,
            config.pooling == "concat",
            config.low_precision,
            name="pooling",
        )
        graph = graph_index(batch.crystal.n_node, h.shape[0])
        # A node counts as often as there are sites of its class (saving 4).
        return pooling(h, composition, graph, batch.crystal.nodes["weight"])


class NodeUpdate(nn.Module):
    """Node update of one step: Hyper of the attention-weighted messages."""

    config: ModelConfig
    first: bool

    @nn.compact
    def __call__(
        self,
        h: GatheredRows,
        start: GatheredRows,
        e: GatheredRows,
        edges: _Edges,
        mixed: Array | None = None,
    ) -> Array:
        """Compute (nodes, D) from states h and start states of nodes, and states e of edges."""
        if mixed is None:
            mixed = self._mixed(h, e, edges)
        return _hypernetwork(self.config, self.config.node_dim, self.first)(mixed, start)

    def _mixed(self, h: GatheredRows, e: GatheredRows, edges: _Edges) -> Array:
        """Weight the messages by attention, (nodes, D)."""
        config = self.config
        parts = (h.regather(edges.receivers), e, h.regather(edges.senders))
        attention, message = edge_networks(config, config.node_dim)
        size = len(h.gather())
        # Batches keep edges in the order of their centers.
        ascending = config.message_direction == "neighbor_to_center"
        if edges.layout is None:
            scores, messages = attention(*parts), message(*parts)
            self.sow("intermediates", "scores", scores)
            mixed = attend(scores, messages, edges.receivers, size, edges.weights, ascending)
        else:
            from cgatjax.nn.message_kernels import Options, gathered_messages

            networks = attention.factors(*parts), message.factors(*parts)
            options = Options(size, ascending, config.low_precision)
            ends = edges.receivers, edges.weights
            mixed = gathered_messages(networks, parts, ends, edges.layout, options)
        return mixed.mean(0)


class EdgeUpdate(nn.Module):
    """Edge update of one step: attention over the heads, then a network."""

    config: ModelConfig
    first: bool

    @nn.compact
    def __call__(
        self, h: GatheredRows, e: GatheredRows, start: GatheredRows, edges: _Edges
    ) -> Array:
        """Compute (edges, R) from states h of nodes, and states e and start states of edges."""
        config = self.config
        # The edge networks read [center | e | neighbor] whatever way the messages run.
        parts = (h.regather(edges.centers), e, h.regather(edges.neighbors))
        attention, message = edge_networks(config, config.edge_dim)
        x = (nn.softmax(attention(*parts), axis=0) * message(*parts)).sum(0)
        if config.edge_update == "attention":
            return _two_layers(config, x)
        hyper = _hypernetwork(config, config.edge_dim, self.first)
        return hyper(x / config.heads, start)


class ShellUpdate(nn.Module):
    """Update of the rows of the shell table, where edge states depend on the shell alone."""

    config: ModelConfig

    @nn.compact
    def __call__(self, table: Array) -> Array:
        """Map (shells, R) to (shells, R)."""
        return _two_layers(self.config, table)


def _two_layers(config: ModelConfig, x: Array) -> Array:
    """Apply Dense -> LeakyReLU -> Dense, submodules "dense_0" and "dense_1" of the caller."""
    low = config.low_precision
    x = leaky_relu(Dense(config.edge_dim, low_precision=low, name="dense_0")(x))
    return Dense(config.edge_dim, low_precision=low, name="dense_1")(x)


def _hypernetwork(config: ModelConfig, width: int, first: bool) -> DampedHypernetwork:
    """Make the hypernetwork of an update, submodule of the caller."""
    low, fused = config.low_precision, runs_fused_kernels(config)
    return DampedHypernetwork(width, first, low, fused, name="update")


def edge_networks(config: ModelConfig, features: int) -> tuple[MultiHeadNetwork, MultiHeadNetwork]:
    """Make the attention and message networks, submodules of the caller."""
    hidden, low = _hidden_width(config), config.low_precision
    score_width = features if config.vector_attention else 1
    attention = MultiHeadNetwork(hidden, score_width, config.heads, low, name="attention")
    return attention, MultiHeadNetwork(hidden, features, config.heads, low, name="message")


def _hidden_width(config: ModelConfig) -> int:
    """Width of the hidden layer of edge networks (reference: `CGAT.py`)."""
    return int((2 * config.node_dim + config.edge_dim) / 1.5)


def runs_fused_kernels(config: ModelConfig) -> bool:
    """True if the fused kernels are chosen and there is a GPU to run them."""
    return config.kernels == "pallas" and jax.default_backend() == "gpu"


def _edge_layout(
    config: ModelConfig, receivers: Array, weights: Array, size: int
) -> "ChunkedEdges | None":
    """Lay out edges for the fused kernel of messages, where it is used."""
    if not (runs_fused_kernels(config) and config.vector_attention):
        return None
    from cgatjax.nn.message_kernels import Tiling, chunked, is_supported

    if not is_supported(_hidden_width(config), config.node_dim):
        return None
    return chunked(receivers, weights, size, Tiling().edges)


def _with_plain_padding(batch: CrystalBatch) -> CrystalBatch:
    """Replace the weights of padding by ones.

    A weight of NaN or 0 there would reach real crystals through gradients: 0 * NaN is NaN.
    """

    def plain(values: dict[str, Array], name: str, real: Array) -> dict[str, Array]:
        return {**values, name: jnp.where(real, values[name], 1)}

    crystal, composition = batch.crystal, batch.composition
    mask = jnp.asarray(batch.graph_mask)
    real = mask[graph_index(crystal.n_node, len(crystal.nodes["weight"]))]
    crystal = crystal._replace(
        nodes=plain(crystal.nodes, "weight", real),
        edges=plain(crystal.edges, "weight", real[crystal.receivers]),
    )
    real = mask[graph_index(composition.n_node, len(composition.nodes["fraction"]))]
    composition = composition._replace(nodes=plain(composition.nodes, "fraction", real))
    return dataclasses.replace(batch, crystal=crystal, composition=composition)


def _edges_of(batch: CrystalBatch, config: ModelConfig) -> _Edges:
    """Orient the edges of a batch in the configured message direction."""
    # jraph's messages run from senders to receivers; a batch stores those of the paper's direction.
    centers, neighbors = batch.crystal.receivers, batch.crystal.senders
    sites = batch.crystal.nodes["weight"]
    senders, receivers, weights = oriented(
        config.message_direction,
        (centers, neighbors),
        (sites[centers], sites[neighbors]),
        batch.crystal.edges["weight"],
    )
    layout = _edge_layout(config, receivers, weights, len(sites))
    return _Edges(centers, neighbors, senders, receivers, weights, layout)


def oriented(
    direction: str, ends: tuple[Any, Any], sites: tuple[Any, Any], weight: Any
) -> tuple[Any, Any, Any]:
    """Senders, receivers and edge weights of a message direction; NumPy or JAX arrays.

    A graph stores the number of neighbors that one site of the center's class has along an edge.
    Between two classes of n_c and n_n sites there are n_c * weight such pairs, so that one site of
    the neighbor's class has weight * n_c / n_n of them (docs/concepts/network.md, saving 4).

    Args:
      direction: of `ModelConfig.message_direction`.
      ends: center and neighbor of each edge.
      sites: number of sites of the center's and of the neighbor's class.
      weight: (edges,) neighbors of one center.
    """
    center, neighbor = ends
    if direction == "neighbor_to_center":
        return neighbor, center, weight
    return center, neighbor, weight * sites[0] / sites[1]
