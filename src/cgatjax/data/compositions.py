"""Compositions of data sets as element fractions."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from cgatjax.graphs.graph_arrays import GraphArrays
from cgatjax.structures import SYMBOLS

BLOCK = 16384
"""Crystals read at a time."""


class HasGraphs(Protocol):
    """Interface of data sets whose compositions are read."""

    def __len__(self) -> int: ...

    def take(self, positions: np.ndarray, /) -> GraphArrays:
        """Return the graphs at the given positions."""


def element_fractions(data: HasGraphs) -> np.ndarray:
    """Compute the element fractions (crystals, 104) of all crystals, float64 by atomic number.

    Rows sum to 1, column 0 is zero. 0.8 kB a crystal: for large data sets, take `fraction_blocks`.
    """
    blocks = [block for _, block in fraction_blocks(data)]
    return np.concatenate(blocks) if blocks else np.zeros((0, len(SYMBOLS)))


def fraction_blocks(data: HasGraphs) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the positions and the element fractions of blocks of crystals, in order."""
    for start in range(0, len(data), BLOCK):
        block = slice(start, min(start + BLOCK, len(data)))
        yield block, fractions_of(data.take(np.arange(block.start, block.stop)))


def fractions_of(arrays: GraphArrays) -> np.ndarray:
    """Compute the element fractions (graphs, 104) of graphs, reduced or not."""
    n, size = len(arrays.n_node), len(SYMBOLS)
    owner = np.repeat(np.arange(n), arrays.n_node)
    cells = owner * size + arrays.atomic_numbers
    counts = np.bincount(cells, arrays.node_multiplicity, minlength=n * size).reshape(n, size)
    return counts / counts.sum(1, keepdims=True)
