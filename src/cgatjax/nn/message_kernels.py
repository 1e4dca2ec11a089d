"""GPU kernel of the messages of a step: edge networks and weighted softmax sum, in Pallas (Triton).

The plain path writes the hidden states (heads, edges, hidden) of both edge networks to memory and
sums over receivers with scattered additions. Here a program takes a tile of edges and one head: it
gathers and adds the projections, applies LeakyReLU and the second layers, and reduces each chunk of
edges of one receiver to the largest score, the sum of shares and the sum of weighted messages
(online softmax). Chunks, some ten times fewer than edges, are combined outside.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as plgpu

from cgatjax.nn.edge_network import EdgeNetwork
from cgatjax.nn.mlp import LEAKY_SLOPE, GatheredRows, matmul_precision
from cgatjax.nn.segment import attend, segment_sum

CHUNK = 8
"""Edges of a chunk, all of one receiver."""
LOWEST = -1e30
"""Score in place of minus infinity, whose differences would be NaN."""


class Tiling(NamedTuple):
    """Sizes of the kernel's tiles.

    Attributes:
      edges: edges of a tile, a multiple of `CHUNK`.
      hidden: hidden channels of a tile.
      warps: warps per program.
      stages: depth of the software pipeline.
    """

    edges: int = 64
    hidden: int = 32
    warps: int = 8
    stages: int = 2


class Options(NamedTuple):
    """Options of `fused_messages`.

    Attributes:
      size: number of receivers.
      ascending: True if the receivers never decrease.
      low_precision: bfloat16 factors of the second layers.
      precision: JAX's name of the precision of float32 products.
      tiling: sizes of the tiles.
      interpret: run without a GPU, for tests.
    """

    size: int
    ascending: bool
    low_precision: bool = False
    precision: str | None = None
    tiling: Tiling = Tiling()
    interpret: bool = False


class ChunkedEdges(NamedTuple):
    """Edges in the order of their receivers, in chunks that are filled up with empty slots.

    Attributes:
      edge: (slots,) edge of each slot, 0 for an empty one.
      weight: (slots,) multiplicity, 0 for an empty slot.
      receiver: (slots / CHUNK,) receiver of each chunk; `size` for an unused one.
      used: (1,) number of slots in use.
    """

    edge: Array
    weight: Array
    receiver: Array
    used: Array


def chunked(receivers: Array, weights: Array, size: int, tile: int) -> ChunkedEdges:
    """Lay out edges in chunks.

    Args:
      receivers: (edges,) receiver of each edge, in any order.
      weights: (edges,) multiplicities.
      size: number of receivers.
      tile: number that the number of slots is a multiple of.
    """
    receivers, weights = jnp.asarray(receivers), jnp.asarray(weights)
    order = jnp.argsort(receivers)
    receiver = receivers[order]
    counts = jnp.zeros(size, jnp.int32).at[receivers].add(1)
    chunks = -(-counts // CHUNK)
    place = jnp.arange(len(order)) - (jnp.cumsum(counts) - counts)[receiver]
    slot = (jnp.cumsum(chunks) - chunks)[receiver] * CHUNK + place
    # Every receiver leaves at most CHUNK - 1 slots of its last chunk empty.
    most = len(order) + size * (CHUNK - 1)
    slots = -(-most // tile) * tile
    return ChunkedEdges(
        edge=jnp.zeros(slots, jnp.int32).at[slot].set(order.astype(jnp.int32)),
        weight=jnp.zeros(slots, weights.dtype).at[slot].set(weights[order]),
        receiver=jnp.full(slots // CHUNK, size, jnp.int32).at[slot // CHUNK].set(receiver),
        used=chunks.sum(keepdims=True) * CHUNK,
    )


def is_supported(hidden: int, features: int, tiling: Tiling = Tiling()) -> bool:  # noqa: B008
    """True for the widths of edge networks that the tiles fit."""
    return hidden % tiling.hidden == 0 and features >= 16 and features & (features - 1) == 0


def _cast(x: Array, options: Options) -> Array:
    return x.astype(jnp.bfloat16) if options.low_precision else x


def _reduce_tile(
    parts: int, hidden: int, features: int, real: Any, options: Options, *refs: Any
) -> None:
    """Program of one tile of edges and one head: reads its blocks, writes the sums of its chunks.

    Args:
      parts: number of gathered inputs.
      hidden: hidden channels of the networks.
      features: channels of scores and messages.
      real: dtype of the sums.
      options: precision and tiles.
      *refs: weights, number of slots in use, index of each part, both networks, three outputs.
    """
    tile, step = options.tiling.edges, options.tiling.hidden
    weight_ref, used_ref, *refs_left = refs
    index_refs, networks = refs_left[:parts], refs_left[parts:-3]
    index = [ref[...] for ref in index_refs]
    scoring, telling = networks[: parts + 3], networks[parts + 3 :]

    def layer(network: list[Any], total: Array, first: Array) -> Array:
        *row_refs, bias_ref, kernel_ref, _ = network
        block = pl.ds(first, step)
        x = sum(
            (ref[i, block] for ref, i in zip(row_refs, index, strict=True)),
            bias_ref[block][None],
        )
        x = jnp.where(x >= 0, x, LEAKY_SLOPE * x)
        kernel = kernel_ref[block, :]
        return total + jnp.dot(_cast(x, options), kernel, preferred_element_type=real)

    def add(i: Array, totals: tuple[Array, Array]) -> tuple[Array, Array]:
        first = i * step
        return layer(scoring, totals[0], first), layer(telling, totals[1], first)

    # A tile beyond the last slot in use has nothing to do.
    is_used = pl.program_id(0) * tile < used_ref[0]
    start = jnp.zeros((tile, features), real)
    steps = is_used.astype(jnp.int32) * (hidden // step)
    scores, values = jax.lax.fori_loop(0, steps, add, (start, start))
    weight = weight_ref[...][:, None]
    # An empty slot must not be the largest of its chunk.
    scores = jnp.where(weight > 0, scores + scoring[-1][...][None], LOWEST)
    values = values + telling[-1][...][None]
    by_chunk = (tile // CHUNK, CHUNK, features)
    scores = scores.reshape(by_chunk)
    largest = scores.max(1)
    shares = jnp.exp(scores - largest[:, None])
    shares = shares * jnp.broadcast_to(weight, (tile, features)).reshape(by_chunk)
    for ref, found in zip(
        refs_left[-3:],
        (largest, shares.sum(1), (shares * values.reshape(by_chunk)).sum(1)),
        strict=True,
    ):
        ref[...] = found


def chunk_sums(
    attention: EdgeNetwork,
    message: EdgeNetwork,
    indices: tuple[Array, ...],
    edges: ChunkedEdges,
    options: Options,
) -> tuple[Array, Array, Array]:
    """Reduce every chunk: largest score, sum of shares, sum of shares times messages.

    Args:
      attention: network of the scores, one per channel.
      message: network of the messages, of as many features.
      indices: (edges,) row of each part for every edge.
      edges: layout of the edges.
      options: precision and tiles.

    Returns:
      (heads, chunks, features) each; sums of an unused chunk are zero.
    """
    heads, hidden, features = attention.kernel_out.shape
    slots, parts, real = len(edges.edge), len(indices), attention.bias_in.dtype
    tile = options.tiling.edges

    def whole(array: Array) -> pl.BlockSpec:
        shape = array.shape[1:]
        return pl.BlockSpec((None, *shape), lambda i, head: (head, *(0 for _ in shape)))

    per_slot = pl.BlockSpec((tile,), lambda i, head: (i,))
    arrays = [
        array
        for network in (attention, message)
        for array in (
            *network.rows,
            network.bias_in,
            _cast(network.kernel_out, options),
            network.bias_out,
        )
    ]
    out = pl.BlockSpec((None, tile // CHUNK, features), lambda i, head: (head, i, 0))
    call = pl.pallas_call(
        functools.partial(_reduce_tile, parts, hidden, features, real, options),
        [jax.ShapeDtypeStruct((heads, slots // CHUNK, features), real)] * 3,
        grid=(slots // tile, heads),
        in_specs=[
            per_slot,
            pl.BlockSpec((1,), lambda i, head: (0,)),
            *[per_slot] * parts,
            *map(whole, arrays),
        ],
        out_specs=[out] * 3,
        compiler_params=plgpu.CompilerParams(
            num_warps=options.tiling.warps, num_stages=options.tiling.stages
        ),
        interpret=options.interpret,
    )
    with jax.default_matmul_precision(options.precision):
        largest, total, mixed = call(
            edges.weight, edges.used, *(index[edges.edge] for index in indices), *arrays
        )
    return largest, total, mixed


def combine_chunks(largest: Array, total: Array, mixed: Array, receiver: Array, size: int) -> Array:
    """Combine the chunks of each receiver: (heads, chunks, features) -> (heads, size, features)."""

    def head(largest: Array, total: Array, mixed: Array) -> Array:
        # One more segment is that of the unused chunks.
        top = jax.ops.segment_max(largest, receiver, size + 1, indices_are_sorted=True)
        share = jnp.exp(largest - top[receiver])
        total = segment_sum(share * total, receiver, size + 1, ascending=True)[:size]
        mixed = segment_sum(share * mixed, receiver, size + 1, ascending=True)[:size]
        return mixed / jnp.where(total > 0, total, 1)

    return jax.vmap(head)(largest, total, mixed)


Networks = tuple[EdgeNetwork, EdgeNetwork]
"""Attention and message network."""
Edges = tuple[tuple[Array, ...], Array, Array]
"""(edges,) row of every part, receiver and multiplicity of each edge."""


def gathered_messages(
    networks: Networks,
    parts: tuple[GatheredRows, ...],
    edges: tuple[Array, Array],
    layout: ChunkedEdges,
    options: Options,
) -> Array:
    """Compute `fused_messages` of gathered parts, of which some may have no gather.

    Args:
      networks: attention and message network.
      parts: inputs of both.
      edges: (edges,) receiver and multiplicity of each edge.
      layout: order of the edges.
      options: sizes and precision; those of where this is traced are added.
    """
    every = jnp.arange(len(edges[0]))
    indices = tuple(every if part.index is None else part.index for part in parts)
    options = options._replace(
        precision=matmul_precision(),
        interpret=jax.default_backend() == "cpu",  # in tests
    )
    found: Array = fused_messages(networks, (indices, *edges), layout, options)
    return found


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def fused_messages(
    networks: Networks, edges: Edges, layout: ChunkedEdges, options: Options
) -> Array:
    """Attention-weighted messages of all edges to each receiver: (heads, size, features).

    Under differentiation `plain_messages` takes its place: a gradient reads scores and messages of
    all edges, so that writing them once is less work than computing them twice.
    """
    sums = chunk_sums(*networks, edges[0], layout, options)
    return combine_chunks(*sums, layout.receiver, options.size)


def plain_messages(networks: Networks, edges: Edges, options: Options) -> Array:
    """Compute the same as `fused_messages` in plain JAX."""
    indices, receivers, weights = edges
    scores, values = (network.apply(indices, options.low_precision) for network in networks)
    return attend(scores, values, receivers, options.size, weights, options.ascending)


def _forward(
    networks: Networks, edges: Edges, layout: ChunkedEdges, options: Options
) -> tuple[Array, Any]:
    with jax.default_matmul_precision(options.precision):
        return jax.vjp(lambda networks: plain_messages(networks, edges, options), networks)


def _backward(options: Options, pull_back: Any, gradient: Array) -> tuple[Networks, None, None]:
    return *pull_back(gradient), None, None


fused_messages.defvjp(_forward, _backward)
