"""Network: a CGAT without weights, as pure functions of parameters and batches.

Programs are compiled once for each network and kept in one bounded cache, which training and
screening share (`compiled`), and on disk between processes (`runtime.compilation_cache`).
"""

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jax import Array

from cgatjax.config import ModelConfig
from cgatjax.data.batching import CrystalBatch, collate
from cgatjax.graphs.crystal_graph import CrystalGraph
from cgatjax.nn.cgat import CGAT, edge_networks
from cgatjax.nn.mlp import Dense, Draw, GatheredRows, recording
from cgatjax.nn.segment import graph_index
from cgatjax.runtime.compilation_cache import keep_compiled_programs
from cgatjax.structures import SYMBOLS, ElementTable

Params = Any
"""Parameters {"encoder": …, "heads": {target: …}}."""
Method = Literal["apply", "embed", "composition"]
"""Method of `Network` on batches: the whole network, the encoder, or the atomic fractions alone."""
T = TypeVar("T")
MATMUL_PRECISION = {"float32": "highest", "tf32": "tensorfloat32", "bfloat16": "tensorfloat32"}
"""`ModelConfig.precision` -> JAX's precision of products of float32 factors.

JAX's own default rounds them to TF32 on recent GPUs and to bfloat16 on TPUs. With "bfloat16" these
are the few products that the layers leave in float32.
"""


class AttentionScores(NamedTuple):
    """Attention scores of a batch, before the softmax.

    Attributes:
      embedding: (graphs, `config.embedding_dim`).
      steps: (heads, edges, channels or 1) of each message-passing step.
      pooling: (heads, nodes, channels or 1).
    """

    embedding: Array
    steps: tuple[Array, ...]
    pooling: Array


@dataclass(frozen=True)
class Network:
    """A crystal graph attention network without weights: sizes and variants, and element
    vectors.
    """

    config: ModelConfig
    element_table: ElementTable = field(default_factory=ElementTable.matscholar)

    @property
    def module(self) -> CGAT:
        """Flax module of the network."""
        return CGAT(self.config, self.element_table)

    def init(self, seed: int) -> Params:
        """Draw fresh parameters, NumPy arrays in float32.

        Seed and path decide a parameter. The network is traced only: nothing is compiled.
        """
        drawn = {}
        for path, (draw, shape) in _draws(self).items():
            words = np.frombuffer(hashlib.sha256(path.encode()).digest(), np.uint32)
            random = np.random.default_rng([seed, *words.tolist()])
            drawn[path] = np.asarray(draw(random, shape), np.float32)
        return traverse_util.unflatten_dict(drawn, sep="/")

    def param_shapes(self) -> Params:
        """Return the abstract parameters (shapes and dtypes), without computing anything."""
        shapes = {
            path: jax.ShapeDtypeStruct(shape, np.float32)
            for path, (_, shape) in _draws(self).items()
        }
        return traverse_util.unflatten_dict(shapes, sep="/")

    def apply(
        self, params: Params, batch: CrystalBatch, mixed: Array | None = None
    ) -> dict[str, Array]:
        """Predict {target: (graphs, 2)}: mean and log_std, normalized.

        `mixed` are the (nodes, D) attention-weighted messages of the first step, if they are known.
        """
        return self._call(params, batch, "outputs", mixed=mixed)

    def embed(
        self, params: Params, batch: CrystalBatch, mixed: Array | None = None
    ) -> dict[str, Array]:
        """Encode crystals as {"embedding": (graphs, `config.embedding_dim`)}; as `apply`."""
        return {"embedding": self._call(params, batch, "embed", mixed=mixed)}

    def first_messages(
        self, params: Params, receivers: Array, shells: Array, senders: Array
    ) -> tuple[Array, Array]:
        """Compute scores (heads, edges, channels or 1) and messages (heads, edges, D) of the first
        step.

        They depend on the atomic numbers at both ends of an edge and its shell alone, (edges,)
        each.
        """
        config, encoder = self.config, params["encoder"]
        start = Dense(config.node_dim, use_bias=False)
        with jax.default_matmul_precision(MATMUL_PRECISION[config.precision]):
            table: Any = start.apply({"params": encoder["embedding"]}, self.element_table.vectors)
            parts = (
                GatheredRows(table, receivers),
                GatheredRows(encoder["shell_embedding"], shells),
                GatheredRows(table, senders),
            )
            found: Any = tuple(
                network.apply({"params": encoder["node_0"][network.name]}, *parts)
                for network in edge_networks(config, config.node_dim)
            )
        return found[0], found[1]

    def composition(self, params: Params, batch: CrystalBatch) -> dict[str, Array]:
        """Collect atomic fractions as {"composition": (graphs, 104)}; no parameters are used."""
        del params
        graphs = batch.composition
        nodes, count = graphs.nodes["element"], len(graphs.n_node)
        owner = graph_index(graphs.n_node, len(nodes))
        empty = jnp.zeros((count, len(SYMBOLS)), graphs.nodes["fraction"].dtype)
        return {"composition": empty.at[owner, nodes].add(graphs.nodes["fraction"])}

    def read_heads(self, params: Params, embedding: Array) -> dict[str, Array]:
        """Apply the heads to crystal embeddings; only the heads' parameters are used."""
        return self._call(params, embedding, "read_heads")

    def attention(self, params: Params, batch: CrystalBatch) -> AttentionScores:
        """Collect the attention scores that the encoder sows on its way to the embedding."""
        # Fused kernels keep no scores.
        network = replace(self, config=self.config.replace(kernels="xla"))
        found = network._call(params, batch, "embed", mutable=["intermediates"])
        embedding, sown = found[0], found[1]["intermediates"]["encoder"]
        steps = tuple(sown[f"node_{i}"]["scores"][0] for i in range(self.config.steps))
        return AttentionScores(embedding, steps, sown["pooling"]["scores"][0])

    def jitted(self, method: Method | Literal["read_heads", "attention", "first_messages"]) -> Any:
        """Compile a method for arrays; equal networks share the program."""
        return compiled(_jitted, self, method)

    def _call(self, params: Params, argument: Any, method: str, **options: Any) -> Any:
        # Set while the network is traced; gradients of its products have the same precision.
        with jax.default_matmul_precision(MATMUL_PRECISION[self.config.precision]):
            return self.module.apply({"params": params}, argument, method=method, **options)


@functools.lru_cache(maxsize=16)
def _draws(network: Network) -> dict[str, tuple[Draw, tuple[int, ...]]]:
    """Trace a network for the initializer and the shape of each parameter."""
    # Recomputation would hide the initializers' arrays, and has no parameters of its own.
    network = replace(network, config=network.config.replace(rematerialize=False))
    # One site that is its own neighbor in every shell is enough to trace the network.
    shells = np.arange(1, network.config.max_shells + 1)[None]
    graph = CrystalGraph.from_neighbors(np.ones(1, np.int64), np.zeros_like(shells), shells)
    found = {}

    def trace() -> None:
        with recording() as drawn:
            params = network.module.init(jax.random.key(0), collate([graph]))["params"]
        draw_of = {id(array): draw for array, draw in drawn}
        for path, array in traverse_util.flatten_dict(params, sep="/").items():
            found[path] = draw_of[id(array)], array.shape

    jax.eval_shape(trace)
    return found


@functools.lru_cache(maxsize=16)
def compiled(make: Callable[..., T], *key: Any) -> T:
    """Make compiled functions, or return those of an equal earlier call.

    Compiling a step takes as long as hundreds of steps of a small network; the members of an
    ensemble, and trainings that differ in seeds and data alone, compile once. The key is hashable
    and holds everything that decides the program; often a `Network` is part of it.
    """
    keep_compiled_programs()
    return make(*key)


def _jitted(network: Network, method: str) -> Callable[..., Any]:
    return jax.jit(getattr(network, method))
