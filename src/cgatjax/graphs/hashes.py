"""Hashes of crystal graphs, equal for the same crystal, structure type or reduced formula.

The first two refine colors over the reduced graph as `reduction` does. The *graph* hash starts from
the elements: it is equal for crystals that no network can distinguish, whatever the order of sites,
the orientation or the cell. The *prototype* hash starts from one color for all sites, and a message
depends on the elements only by their equality at both ends: it is equal for all decorations of a
structure type (rock salt with any two elements).

Hashes are comparable between graphs of equal options. Under the released options the graph itself
depends on the choice of cell and on noise (docs/invariances.md), and so do its hashes. Two
different graphs share one of the 2**64 values by accident about once in 1e19 pairs; graphs that
color refinement cannot distinguish share it always.
"""

import hashlib
import math
from collections.abc import Callable

import numpy as np

from cgatjax.graphs.crystal_graph import CrystalGraph
from cgatjax.graphs.graph_arrays import GraphArrays, separate
from cgatjax.graphs.reduction import INCOMING, OUTGOING, mixed, reduce_graph, run_starts

CHUNK = 1024
"""Number of graphs in memory at a time."""

_SAME_ELEMENT = np.uint64(0xD1B54A32D192ED03)


def graph_hash(graph: CrystalGraph) -> int:
    """Compute a 64-bit hash of the graph's crystal, elements included.

    Args:
      graph: graph, reduced or not, with sites in any order and of any cell.

    Raises:
      StructureError: the graph cannot be reduced (see `reduce_graph`).

    Examples:
      >>> chain = CrystalGraph.from_neighbors([11, 17], [[1, 1], [0, 0]], [[1, 1], [1, 1]])
      >>> turned = CrystalGraph.from_neighbors([17, 11], [[1, 1], [0, 0]], [[1, 1], [1, 1]])
      >>> graph_hash(chain) == graph_hash(turned)
      True
    """
    return _hash(graph, with_elements=True)


def prototype_hash(graph: CrystalGraph) -> int:
    """Compute a 64-bit hash of the structure type, without the names of the elements.

    Sites of equal elements remain distinct from sites of different ones, so an ordered alloy does
    not have the hash of its parent lattice.

    Raises:
      StructureError: the graph cannot be reduced (see `reduce_graph`).

    Examples:
      >>> salt = CrystalGraph.from_neighbors([11, 17], [[1, 1], [0, 0]], [[1, 1], [1, 1]])
      >>> other = CrystalGraph.from_neighbors([19, 35], [[1, 1], [0, 0]], [[1, 1], [1, 1]])
      >>> prototype_hash(salt) == prototype_hash(other)
      True
    """
    return _hash(graph, with_elements=False)


def _hash(graph: CrystalGraph, *, with_elements: bool) -> int:
    arrays = GraphArrays.from_graphs([reduce_graph(graph)])
    return int(hash_arrays(arrays, with_elements=with_elements, reduced=True)[0])


def hashes_of(
    take: Callable[[np.ndarray], GraphArrays], n: int, *, with_elements: bool, reduced: bool
) -> np.ndarray:
    """Compute (n,) uint64 hashes of many graphs, read in chunks by `take`, as `Store.take` does.

    They are those of `graph_hash`, or of `prototype_hash` without elements; graphs that are not
    `reduced` yet are reduced first (StructureError if one cannot be).
    """
    hashes = np.empty(n, np.uint64)
    for start in range(0, n, CHUNK):
        positions = np.arange(start, min(start + CHUNK, n))
        hashes[positions] = hash_arrays(
            take(positions), with_elements=with_elements, reduced=reduced
        )
    return hashes


def hash_arrays(arrays: GraphArrays, *, with_elements: bool, reduced: bool) -> np.ndarray:
    """Compute (graphs,) uint64 hashes of graphs in memory; arguments as of `hashes_of`.

    A reduced graph takes 10 to 40 us, an unreduced one ten times as long.
    """
    if len(arrays.n_node) == 0:
        return np.zeros(0, np.uint64)
    if not reduced:
        arrays = GraphArrays.from_graphs([reduce_graph(graph) for graph in separate(arrays)])
    owner = np.repeat(np.arange(len(arrays.n_node)), arrays.n_node)
    starts = np.cumsum(arrays.n_node) - arrays.n_node
    # A supercell has the same colors and k times the multiplicities.
    divisor = np.gcd.reduceat(arrays.node_multiplicity, starts)
    multiplicity = (arrays.node_multiplicity // divisor[owner]).astype(np.uint64)
    rows = np.stack([_colors(arrays, owner, multiplicity, with_elements), multiplicity], 1)
    order = np.lexsort((rows[:, 1], rows[:, 0], owner))
    content = memoryview(rows[order].astype("<u8").tobytes())
    row = rows.itemsize * 2
    digests = b"".join(
        hashlib.blake2b(content[row * start : row * (start + n)], digest_size=8).digest()
        for start, n in zip(starts.tolist(), arrays.n_node.tolist(), strict=True)
    )
    return np.frombuffer(digests, "<u8").astype(np.uint64)


def formula_hashes(arrays: GraphArrays) -> np.ndarray:
    """Compute (graphs,) uint64 hashes of the reduced formulas, for any graph options.

    Examples:
      >>> ring = CrystalGraph.from_neighbors([11, 17], [[1, 1], [0, 0]], [[1, 1], [1, 1]])
      >>> double = CrystalGraph.from_neighbors([17, 11] * 2, [[1], [0], [3], [2]], [[1]] * 4)
      >>> len(set(formula_hashes(GraphArrays.from_graphs([ring, double])).tolist()))
      1
    """
    if len(arrays.n_node) == 0:
        return np.zeros(0, np.uint64)
    owner = np.repeat(np.arange(len(arrays.n_node)), arrays.n_node)
    keys, place = np.unique(owner << 8 | arrays.atomic_numbers, return_inverse=True)
    counts = np.bincount(place, arrays.node_multiplicity).astype(np.int64)
    begins = run_starts(keys >> 8)
    lengths = np.diff(begins, append=len(keys))
    counts //= np.repeat(np.gcd.reduceat(counts, begins), lengths)
    content = memoryview(np.stack([keys & 255, counts], 1).astype("<u8").tobytes())
    digests = b"".join(
        hashlib.blake2b(content[16 * first : 16 * (first + n)], digest_size=8).digest()
        for first, n in zip(begins.tolist(), lengths.tolist(), strict=True)
    )
    return np.frombuffer(digests, "<u8").astype(np.uint64)


def _colors(
    arrays: GraphArrays, owner: np.ndarray, multiplicity: np.ndarray, with_elements: bool
) -> np.ndarray:
    """Return (nodes,) uint64 colors after one round more than the refinement needs.

    All graphs are refined at once, each for its own number of rounds. `owner` is the graph of each
    node, `multiplicity` is divided by the greatest common divisor of each graph.
    """
    receiver, source, salt, weight = _directed_edges(arrays, owner, multiplicity)
    numbers = arrays.atomic_numbers.astype(np.uint64)
    if with_elements:
        color = mixed(numbers)
    else:
        color = np.zeros(len(numbers), np.uint64)
        salt = np.where(numbers[receiver] == numbers[source], salt ^ _SAME_ELEMENT, salt)
    # Every round changes all colors, so equal graphs must take equally many: the number of rounds
    # depends on the partition only, not on the number of nodes.
    n_before = np.ones(len(arrays.n_node), np.int64)
    while len(receiver):
        begins = run_starts(receiver)
        nodes = receiver[begins]
        messages = mixed(color[source] ^ salt) * weight
        color[nodes] = mixed(color[nodes] + np.add.reduceat(messages, begins))
        n_classes = _count(color[nodes], owner[nodes], len(n_before))
        unfinished = (n_classes > n_before)[owner[receiver]]
        receiver, source, salt, weight = (
            values[unfinished] for values in (receiver, source, salt, weight)
        )
        n_before = n_classes
    return color


def _count(colors: np.ndarray, owner: np.ndarray, n: int) -> np.ndarray:
    """Return (n,) int64, the number of distinct colors of each owner."""
    order = np.lexsort((colors, owner))
    colors, owner = colors[order], owner[order]
    is_new = np.ones(len(colors), bool)
    is_new[1:] = (colors[1:] != colors[:-1]) | (owner[1:] != owner[:-1])
    return np.bincount(owner[is_new], minlength=n)


def _directed_edges(
    arrays: GraphArrays, owner: np.ndarray, multiplicity: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """List the edges of several graphs as `reduction.directed_edges` does those of one."""
    graph = np.repeat(np.arange(len(arrays.n_edge)), arrays.n_edge)
    start = (np.cumsum(arrays.n_node) - arrays.n_node)[graph]
    center, neighbor = arrays.edge_center + start, arrays.edge_neighbor + start
    # See `reduction` for the weights: sums over edges that are whole numbers modulo 2**64.
    _, kinds = _inverses(arrays.weight_denominator, graph, len(arrays.n_edge))
    common, shares = _inverses(multiplicity, owner, len(arrays.n_node))
    weight = arrays.weight_numerator.astype(np.uint64) * kinds
    incoming = weight * multiplicity[center] * shares[neighbor]
    receiver = np.concatenate([center, neighbor])
    order = receiver.argsort(kind="stable")
    source = np.concatenate([neighbor, center])[order]
    salt = np.concatenate([OUTGOING[arrays.edge_shell], INCOMING[arrays.edge_shell]])[order]
    return (
        receiver[order],
        source,
        salt,
        np.concatenate([weight * common[graph], incoming])[order],
    )


def _inverses(values: np.ndarray, owner: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the least common multiple of each owner's values, and its quotient by each value.

    Both are uint64, modulo 2**64.
    """
    multiples, quotients = np.ones(n, np.uint64), np.ones(len(values), np.uint64)
    # Owners whose values are all 1, the usual case, have multiple and quotients 1.
    largest = np.zeros(n, np.int64)
    np.maximum.at(largest, owner, values.astype(np.int64))
    rows = np.flatnonzero(largest[owner] > 1)
    if len(rows) == 0:
        return multiples, quotients
    keys, place = np.unique(owner[rows] << 32 | values[rows].astype(np.int64), return_inverse=True)
    owners, distinct = keys >> 32, (keys & 0xFFFFFFFF).tolist()
    begins = run_starts(owners).tolist()
    of_keys: list[int] = []
    for first, last in zip(begins, [*begins[1:], len(keys)], strict=True):
        # In Python's unbounded integers, before the modulus: the multiple may exceed 64 bits.
        multiple = math.lcm(*distinct[first:last])
        multiples[owners[first]] = multiple % 2**64
        of_keys += [multiple // value % 2**64 for value in distinct[first:last]]
    quotients[rows] = np.array(of_keys, np.uint64)[place]
    return multiples, quotients
