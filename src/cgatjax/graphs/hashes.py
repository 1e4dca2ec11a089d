"""Hashes of crystal graphs, equal for the same crystal or for the same structure type.

Both hashes refine colors over the reduced graph as `reduction` does. The *graph* hash starts from
the elements: it is equal for crystals that no network can distinguish, whatever the order of sites,
the orientation or the cell. The *prototype* hash starts from one color for all sites, and a message
depends on the elements only by their equality at both ends: it is equal for all decorations of a
structure type (rock salt with any two elements).

Hashes are comparable between graphs of equal options. Under the released options the graph itself
depends on the choice of cell and on noise (docs/invariances.md), and so do its hashes. Two
different graphs share one of the 2**64 values by accident about once in 1e19 pairs; graphs that
color refinement cannot distinguish share it always.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator

import numpy as np

from cgatjax.graphs.crystal_graph import CrystalGraph
from cgatjax.graphs.graph_arrays import EDGE_COLUMNS, NODE_COLUMNS, GraphArrays
from cgatjax.graphs.reduction import directed_edges, mixed, reduce_graph, run_starts

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
    return _hash(reduce_graph(graph), with_elements=True)


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
    return _hash(reduce_graph(graph), with_elements=False)


def hashes_of(
    take: Callable[[np.ndarray], GraphArrays], n: int, *, with_elements: bool, reduced: bool
) -> np.ndarray:
    """Compute (n,) uint64 hashes of many graphs, read in chunks; about 0.1 ms each.

    Args:
      take: returns the graphs at int64 positions, as `Store.take` does.
      n: number of graphs; positions are 0..n - 1.
      with_elements: `graph_hash` if True, `prototype_hash` if False.
      reduced: True if the graphs are reduced already.

    Raises:
      StructureError: a graph cannot be reduced.
    """
    hashes = np.empty(n, np.uint64)
    for start in range(0, n, CHUNK):
        positions = np.arange(start, min(start + CHUNK, n))
        for row, graph in zip(positions, _graphs(take(positions)), strict=True):
            whole = graph if reduced else reduce_graph(graph)
            hashes[row] = _hash(whole, with_elements=with_elements)
    return hashes


def _graphs(arrays: GraphArrays) -> Iterator[CrystalGraph]:
    """Yield the graphs one by one."""
    nodes, edges = np.cumsum(arrays.n_node), np.cumsum(arrays.n_edge)
    for k, (last_node, last_edge) in enumerate(zip(nodes, edges, strict=True)):
        where = {name: slice(last_node - arrays.n_node[k], last_node) for name in NODE_COLUMNS}
        where |= {name: slice(last_edge - arrays.n_edge[k], last_edge) for name in EDGE_COLUMNS}
        columns = {name: getattr(arrays, name)[part] for name, part in where.items()}
        # Any assignment of sites will do: hashes use the multiplicities only.
        sites = np.repeat(np.arange(arrays.n_node[k]), columns["node_multiplicity"])
        yield CrystalGraph(site_class=sites.astype(np.uint16), **columns)


def _hash(graph: CrystalGraph, *, with_elements: bool) -> int:
    """Hash the sorted (color, multiplicity) pairs of a reduced graph's nodes."""
    # A supercell has the same colors and k times the multiplicities.
    divisor = np.gcd.reduce(graph.node_multiplicity)
    graph = dataclasses.replace(graph, node_multiplicity=graph.node_multiplicity // divisor)
    rows = np.stack([_colors(graph, with_elements), graph.node_multiplicity.astype(np.uint64)], 1)
    order = np.lexsort((rows[:, 1], rows[:, 0]))
    content = rows[order].astype("<u8").tobytes()
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def _colors(graph: CrystalGraph, with_elements: bool) -> np.ndarray:
    """Return (nodes,) uint64 colors after one round more than the refinement needs."""
    receiver, source, salt, weight = directed_edges(graph)
    begins = run_starts(receiver)
    numbers = graph.atomic_numbers.astype(np.uint64)
    if with_elements:
        color = mixed(numbers)
    else:
        color = np.zeros(graph.n_nodes, np.uint64)
        salt = np.where(numbers[receiver] == numbers[source], salt ^ _SAME_ELEMENT, salt)
    # Every round changes all colors, so equal graphs must take equally many: the number of rounds
    # depends on the partition only, not on the number of nodes.
    n_before, n_classes = 0, 1
    while n_classes > n_before:
        messages = mixed(color[source] ^ salt) * weight
        color = mixed(color + np.add.reduceat(messages, begins))
        n_before, n_classes = n_classes, len(set(color.tolist()))
    return color
