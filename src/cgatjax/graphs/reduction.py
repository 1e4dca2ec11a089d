"""Exact reduction of a graph: one node per class of sites, one edge per kind of neighbor.

Color refinement (1-dimensional Weisfeiler-Leman) splits the sites by element, then repeatedly by
the *sum of edge weights* to and from the sites of every (shell, color), until nothing splits. Sites
of one color have equal states after any number of message-passing steps, in either message
direction, so one of them represents all (docs/concepts/network.md, exact savings 3 and 4).

The sums are those of 64-bit hashes times whole numbers, modulo 2**64: weights are scaled by the
least common multiple of their denominators, so that equal sums of fractions are recognized
without rounding. Two different neighborhoods agree by accident once in about 1e15 comparisons.
"""

import math
from fractions import Fraction

import numpy as np

from cgatjax.config import GraphConfig
from cgatjax.errors import StructureError
from cgatjax.graphs.crystal_graph import CrystalGraph, featurize
from cgatjax.structures import Crystal, Rejected

_MAX_UINT16 = 65535
_WORD = 2**64
# Constants of splitmix64.
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def graph_or_rejected(
    crystal: Crystal, config: GraphConfig, *, reduce: bool = True
) -> CrystalGraph | Rejected:
    """Featurize a crystal and merge its equal sites if `reduce`; one that cannot be used is
    rejected.
    """
    try:
        graph = featurize(crystal, config)
    except StructureError as error:
        return Rejected(id=crystal.id, source=crystal.source, reason=str(error))
    return reduce_graph(graph) if reduce else graph


def reduce_graph(graph: CrystalGraph) -> CrystalGraph:
    """Merge sites that no message passing can distinguish, and edges with equal messages.

    Args:
      graph: a graph, unreduced or not; a second reduction changes nothing.

    Returns:
      A graph whose nodes are classes of the nodes of `graph`, numbered by their first node. Its
      edges are ordered by (center, shell, neighbor); weights are per *one* site of the center's
      class.

    Raises:
      StructureError: a weight of the reduced graph does not fit a fraction of two uint16.

    Examples:
      >>> chain = CrystalGraph.from_neighbors([11, 11], [[1, 1], [0, 0]], [[1, 1], [1, 1]])
      >>> small = reduce_graph(chain)
      >>> small.n_nodes, small.node_multiplicity.tolist(), small.edge_weight.tolist()
      (1, [2], [2.0])
    """
    node_class, first = _numbered_by_first(_stable_colors(graph))
    multiplicity = np.bincount(node_class, weights=graph.node_multiplicity)
    center, shell, neighbor, numerator, denominator = _merged_edges(graph, node_class, first)
    return CrystalGraph.packed(
        graph.id,
        graph.max_neighbors,
        atomic_numbers=graph.atomic_numbers[first],
        node_multiplicity=multiplicity,
        site_class=node_class[graph.site_class],
        edge_center=center,
        edge_neighbor=neighbor,
        edge_shell=shell,
        weight_numerator=numerator,
        weight_denominator=denominator,
    )


def _stable_colors(graph: CrystalGraph) -> np.ndarray:
    """Return (nodes,) uint64 colors of the coarsest equitable partition."""
    color = mixed(graph.atomic_numbers.astype(np.uint64))
    receiver, source, salt, weight = directed_edges(graph)
    begins = run_starts(receiver)
    n_classes = _count(color)
    # At most as many rounds as nodes: each splits a class, or is the last.
    while n_classes < graph.n_nodes:
        # Sum over the edges of a node of hash(color, shell, direction) * weight. The sum does not
        # depend on the order of the edges, nor on whether equal edges are merged.
        messages = mixed(color[source] ^ salt)
        messages *= weight
        # The old color enters, so that a round only ever splits classes.
        color = mixed(color + np.add.reduceat(messages, begins))
        before, n_classes = n_classes, _count(color)
        if n_classes == before:
            break
    return color


def directed_edges(graph: CrystalGraph) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """List every edge twice, outgoing and incoming, ordered by the node at its near end.

    The arrays (2 * edges,) are that node, the node at the other end, a hash of shell and direction,
    and the weight per site of the node, times one whole number (modulo 2**64).
    """
    # Both directions: the partition then serves networks of either message direction, and has 0.65
    # of the nodes of real crystals (released graphs) where one direction alone would have 0.64.
    outgoing, incoming = _scaled_weights(graph)
    receiver = np.concatenate([graph.edge_center, graph.edge_neighbor])
    order = receiver.argsort(kind="stable")
    source = np.concatenate([graph.edge_neighbor, graph.edge_center])[order]
    salt = np.concatenate([OUTGOING[graph.edge_shell], INCOMING[graph.edge_shell]])[order]
    return receiver[order], source, salt, np.concatenate([outgoing, incoming])[order]


def _scaled_weights(graph: CrystalGraph) -> tuple[np.ndarray, np.ndarray]:
    """Return edge weights per site of the center and of the neighbor, times one whole number.

    With multiplicities m, an edge of weight w per site of the center has the weight
    w * m[center] / m[neighbor] per site of the neighbor.
    """
    # w * lcm(denominators) and, for `incoming`, times lcm(multiplicities) are whole numbers; both
    # results carry the same factors, as colors compare sums over both.
    numerator = graph.weight_numerator.astype(np.uint64)
    _, kinds = _inverses(graph.weight_denominator)
    weight = numerator * kinds
    multiplicity = graph.node_multiplicity.astype(np.uint64)
    common, shares = _inverses(multiplicity)
    incoming = weight * multiplicity[graph.edge_center] * shares[graph.edge_neighbor]
    return weight * np.uint64(common % _WORD), incoming


def _inverses(values: np.ndarray) -> tuple[int, np.ndarray]:
    """Return the least common multiple of whole numbers and, modulo 2**64, its quotient by each."""
    if values.max() == 1:  # the usual case of unreduced graphs
        return 1, np.ones(len(values), dtype=np.uint64)
    # In Python's unbounded integers, before the modulus: the multiple may exceed 64 bits.
    distinct = sorted(set(values.tolist()))
    multiple = math.lcm(*distinct)
    quotient = np.zeros(distinct[-1] + 1, dtype=np.uint64)
    quotient[distinct] = [multiple // value % _WORD for value in distinct]
    return multiple, quotient[values]


def mixed(words: np.ndarray) -> np.ndarray:
    """Hash uint64 words of any shape one to one (finalizer of splitmix64, Steele et al. 2014)."""
    words = words + _GOLDEN
    words ^= words >> np.uint64(30)
    words *= _MIX_1
    words ^= words >> np.uint64(27)
    words *= _MIX_2
    words ^= words >> np.uint64(31)
    return words


OUTGOING, INCOMING = mixed(np.arange(512, dtype=np.uint64) << np.uint64(32)).reshape(2, 256)
"""Hashes of (direction, shell index), combined with the color at the other end."""


def run_starts(ordered: np.ndarray) -> np.ndarray:
    """Return the index of the first of each run of equal values."""
    is_new = np.ones(len(ordered), dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=is_new[1:])
    return is_new.nonzero()[0]


def _count(colors: np.ndarray) -> int:
    # For tens of values a Python set is faster than `np.unique`, which sorts.
    return len(set(colors.tolist()))


def _numbered_by_first(colors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the class of each node, in order of appearance, and the first node of each class."""
    words = colors.tolist()
    first: dict[int, int] = {}
    for node, word in enumerate(words):
        first.setdefault(word, node)
    number = {word: index for index, word in enumerate(first)}
    return np.array([number[word] for word in words]), np.array(list(first.values()))


def _merged_edges(
    graph: CrystalGraph, node_class: np.ndarray, first: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Return one edge for each (center, shell, neighbor) of classes, with the sum of weights."""
    # All nodes of a class have the same sums, so those of its first node are enough.
    is_first = np.zeros(graph.n_nodes, dtype=bool)
    is_first[first] = True
    kept = is_first[graph.edge_center].nonzero()[0]
    # One sortable integer: center (16 bits), shell (8 bits), neighbor (16 bits).
    key = node_class[graph.edge_center[kept]] << 24
    key += graph.edge_shell[kept].astype(np.int64) << 16
    key += node_class[graph.edge_neighbor[kept]]
    order = key.argsort()
    key = key[order]
    kept = kept[order]
    begins = run_starts(key)
    numerator, denominator = _sums(
        graph.weight_numerator[kept], graph.weight_denominator[kept], begins
    )
    if max(numerator.max(), denominator.max()) > _MAX_UINT16:
        edge = int(np.argmax(np.maximum(numerator, denominator)))
        raise StructureError(
            f"{graph.id!r}: the merged weight {numerator[edge]}/{denominator[edge]} does not fit a "
            f"fraction of numbers up to {_MAX_UINT16}; store this crystal unreduced"
        )
    key = key[begins]
    return key >> 24, (key >> 16) & 255, key & _MAX_UINT16, numerator, denominator


def _sums(
    numerator: np.ndarray, denominator: np.ndarray, begins: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the exact sums, as reduced fractions, over the runs that begin at `begins`."""
    total = np.add.reduceat(numerator, begins, dtype=np.int64)
    common = denominator[begins].astype(np.int64)
    if denominator.max() == 1:
        return total, common
    is_mixed = np.maximum.reduceat(denominator, begins) != np.minimum.reduceat(denominator, begins)
    ends = np.append(begins[1:], len(numerator))
    # Rare: equal edges of an unreduced graph lie in one shell of one site, and share a denominator.
    for run in np.flatnonzero(is_mixed):
        edges = range(begins[run], ends[run])
        fraction = sum(
            (Fraction(int(numerator[e]), int(denominator[e])) for e in edges), Fraction()
        )
        total[run], common[run] = fraction.numerator, fraction.denominator
    divisor = np.gcd(total, common)
    return total // divisor, common // divisor
