"""Batches of a data set in a seeded order, few shapes, assembled ahead in a thread."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from cgatjax.data.batching import BatchBudget, CrystalBatch, assemble
from cgatjax.data.pipeline import map_in_order
from cgatjax.data.subsets import Crystals
from cgatjax.errors import InputError

AHEAD = 3
"""Batches assembled before they are asked for."""
_SPREAD = 2.0
"""A budget holds this many standard deviations more than an average batch."""


class Planned(NamedTuple):
    """One batch to come: positions in the data set, and its padded size."""

    positions: np.ndarray
    budget: BatchBudget


@dataclass
class Waste:
    """How much of the batches was padding."""

    used: np.ndarray = field(default_factory=lambda: np.zeros(2))
    padded: np.ndarray = field(default_factory=lambda: np.zeros(2))

    def add(self, planned: Planned, sizes: np.ndarray) -> None:
        """Counts one batch."""
        self.used += sizes[planned.positions, :2].sum(0)
        self.padded += (planned.budget.nodes, planned.budget.edges)

    @property
    def fraction(self) -> tuple[float, float]:
        """Share of padding among nodes and edges."""
        nodes, edges = 1 - self.used / np.maximum(self.padded, 1)
        return float(nodes), float(edges)


def choose_budgets(sizes: np.ndarray, batch_size: int) -> tuple[BatchBudget, ...]:
    """The padded sizes for a data set: a full one, and a quarter for the rests.

    A full budget holds `batch_size` crystals of average size plus two standard deviations of
    their sum, and any single crystal. A batch that would not fit ends early, so two shapes (and
    with validation four compilations) serve a whole run.

    Args:
      sizes: (crystals, 4) nodes, edges, composition nodes, composition edges.
      batch_size: crystals per batch.
    """
    full = min(batch_size, len(sizes))
    counts = [full] if full < 16 else [-(-full // 4), full]
    return tuple(_budget(sizes, n) for n in counts)


def _budget(sizes: np.ndarray, n: int) -> BatchBudget:
    expected = n * sizes.mean(0) + _SPREAD * n**0.5 * sizes.std(0)
    largest = np.sort(sizes, axis=0)[-n:].sum(0)
    needed = np.maximum(np.minimum(expected, largest), sizes.max(0)).astype(int)
    steps = np.array([16, 64, 8, 16])
    rounded = -(-(needed + 2) // steps) * steps
    return BatchBudget(n + 1, *(int(v) for v in rounded))


def plan(sizes: np.ndarray, order: np.ndarray, budgets: Sequence[BatchBudget]) -> list[Planned]:
    """Cuts an order of crystals into batches that fit the largest budget.

    Each batch takes as many crystals as fit and gets the smallest budget that holds it.

    Raises:
      InputError: a crystal alone is larger than the largest budget.
    """
    largest = max(budgets)
    limits = np.array(largest[1:]) - (1, 0, 1, 0)
    sums = np.concatenate([np.zeros((1, 4), np.int64), np.cumsum(sizes[order], axis=0)])
    batches, start = [], 0
    while start < len(order):
        ends = [
            int(np.searchsorted(sums[:, c], sums[start, c] + limits[c], "right")) - 1
            for c in range(4)
        ]
        end = min(start + largest.graphs - 1, *ends)
        if end == start:
            raise InputError(
                f"crystal {order[start]} does not fit: expected a batch of at most {largest}, got "
                f"{sizes[order[start]].tolist()}; choose larger budgets"
            )
        need = (end - start + 1, *(sums[end] - sums[start] + (1, 0, 1, 0)))
        fitting = [b for b in budgets if all(n <= size for n, size in zip(need, b, strict=True))]
        batches.append(Planned(order[start:end], min(fitting)))
        start = end
    return batches


def shuffled(n: int, seed: int, epoch: int) -> np.ndarray:
    """The order of an epoch: a permutation that depends on seed and epoch alone."""
    return np.random.default_rng([seed, epoch]).permutation(n)


class BatchLoader:
    """Batches of one data set.

    Attributes:
      data: the data set.
      targets: names whose values go into the batches.
      budgets: the padded shapes in use.
      waste: padding so far.
    """

    def __init__(
        self,
        data: Crystals,
        targets: Sequence[str],
        batch_size: int,
        budgets: Sequence[BatchBudget] | None = None,
    ) -> None:
        self.data = data
        self.targets = tuple(targets)
        self._sizes = data.sizes
        self.budgets = tuple(budgets) if budgets else choose_budgets(self._sizes, batch_size)
        self.waste = Waste()

    def plan(self, order: np.ndarray) -> list[Planned]:
        """The batches of an order of positions."""
        return plan(self._sizes, order, self.budgets)

    def batches(self, order: np.ndarray) -> Iterator[tuple[Planned, CrystalBatch]]:
        """Assembles the batches of an order ahead in a background thread."""

        def make(planned: Planned) -> tuple[Planned, CrystalBatch]:
            self.waste.add(planned, self._sizes)
            return planned, assemble(
                self.data.take(planned.positions, self.targets), planned.budget
            )

        with ThreadPoolExecutor(1, thread_name_prefix="cgatjax-batches") as thread:
            yield from map_in_order(thread, make, self.plan(order), AHEAD)
