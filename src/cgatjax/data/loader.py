"""Batches of a data set in a seeded order, few shapes, assembled ahead in a thread.

The order is ours, the pipeline grain's. Batches are cut from the order of a whole epoch, so that
each fills its padded size: a pipeline that shuffles single crystals cannot do that, and would cost
a Python call for each. So the elements of the pipeline are planned batches, positions and a size;
grain assembles them ahead and begins in the middle of an epoch where a run is resumed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np

from cgatjax.data.batching import BatchBudget, CrystalBatch, assemble, default_float
from cgatjax.data.datasets import Crystals
from cgatjax.errors import InputError

J = TypeVar("J")
R = TypeVar("R")
AHEAD = 3
"""Batches assembled before they are asked for."""
_SPREAD = np.array([0.5, 0.5, 2.0, 2.0])
"""Standard deviations by which a budget exceeds an average batch: nodes and edges, which cost most
of the time, then those of the composition graphs, which cost little."""
_MORE_CRYSTALS = 2.0
"""Places for crystals in a budget beyond the average, in square roots of their number."""
_FEW, _SPREAD_OF_FEW = 8, 2.0
"""Batches of fewer crystals hold no more than asked for, and have room for large ones instead."""


class Planned(NamedTuple):
    """One batch to come: positions in the data set (none for a blank), and its padded size."""

    positions: np.ndarray
    budget: BatchBudget | None = None


@dataclass
class Padding:
    """How much of the batches was padding."""

    used: np.ndarray = field(default_factory=lambda: np.zeros(2))
    padded: np.ndarray = field(default_factory=lambda: np.zeros(2))

    def add(self, planned: Planned, sizes: np.ndarray) -> None:
        """Counts one batch."""
        if planned.budget is None:
            return
        self.used += sizes[planned.positions, :2].sum(0)
        self.padded += (planned.budget.nodes, planned.budget.edges)

    @property
    def fraction(self) -> tuple[float, float]:
        """Share of padding among nodes and edges."""
        nodes, edges = 1 - self.used / np.maximum(self.padded, 1)
        return float(nodes), float(edges)


def choose_budgets(
    sizes: np.ndarray, batch_size: int, in_degree: int = 0
) -> tuple[BatchBudget, ...]:
    """The padded sizes for a data set: a full one, and a quarter for the rests.

    A full budget holds the sites and edges of `batch_size` average crystals and half a standard
    deviation of their sum more, and any single crystal. Batches are filled until the next crystal
    would not fit: of small crystals they hold more, of large ones fewer, `batch_size` on average,
    and little is padding. Batches of fewer than 8 never hold more. Two shapes (and with validation
    four compilations) serve a whole run.

    Args:
      sizes: (crystals, 4) nodes, edges, composition nodes, composition edges.
      batch_size: crystals per batch, on average.
      in_degree: edges of every site of the data set, where all have as many.
    """
    full = min(batch_size, len(sizes))
    counts = [full] if full < 16 else [-(-full // 4), full]
    return tuple(_budget(sizes, n, in_degree) for n in counts)


def _budget(sizes: np.ndarray, n: int, in_degree: int) -> BatchBudget:
    more, spread = (int(_MORE_CRYSTALS * n**0.5), _SPREAD) if n >= _FEW else (0, _SPREAD_OF_FEW)
    expected = n * sizes.mean(0) + spread * n**0.5 * sizes.std(0)
    largest = np.sort(sizes, axis=0)[-n - more :].sum(0)
    needed = np.maximum(np.minimum(expected, largest), sizes.max(0)).astype(int)
    steps = np.array([16, 64, 8, 16])
    rounded = -(-(needed + 2) // steps) * steps
    nodes, edges, *composition = (int(v) for v in rounded)
    edges = nodes * in_degree or edges
    return BatchBudget(n + more + 1, nodes, edges, composition[0], composition[1], in_degree)


def plan(sizes: np.ndarray, order: np.ndarray, budgets: Sequence[BatchBudget]) -> list[Planned]:
    """Cuts an order of crystals into batches that fit the largest budget.

    Each batch takes as many crystals as fit and gets the smallest budget that holds it.

    Raises:
      InputError: a crystal alone is larger than the largest budget.
    """
    largest = max(budgets)
    limits = np.array(largest.sizes) - (1, 0, 1, 0)
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
        fitting = [b for b in budgets if (np.array(need) <= b[:5]).all()]
        batches.append(Planned(order[start:end], min(fitting)))
        start = end
    return batches


def shuffled(n: int, seed: int, epoch: int) -> np.ndarray:
    """The order of an epoch: a permutation that depends on seed and epoch alone."""
    return np.random.default_rng([seed, epoch]).permutation(n)


def steps_of(
    planned: Sequence[Planned], width: int, process: int = 0, processes: int = 1
) -> list[tuple[Planned, ...]]:
    """Deals the batches of an epoch out: to each step `width` for each process, in order.

    Where the last step lacks some, blanks take their places, so that all processes take the same
    number of steps.

    Args:
      planned: all batches, the same on every process.
      width: batches that a process takes in one step.
      process: which process this is, from 0.
      processes: how many there are.

    Returns:
      the batches of this process, a tuple for each step.
    """
    together = width * processes
    missing = -len(planned) % together
    blank = Planned(np.empty(0, np.int64), planned[-1].budget) if planned else None
    dealt = [*planned, *([blank] * missing if blank is not None else [])]
    first = process * width
    return [tuple(dealt[s + first : s + first + width]) for s in range(0, len(dealt), together)]


def made_ahead(work: Callable[[J], R], jobs: Sequence[J], start: int = 0) -> Iterator[R]:
    """The results of jobs in their order from `start` on, the next ones made in a thread.

    An error in a job is raised where its result is taken.
    """
    if start >= len(jobs):
        return
    import grain

    options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=AHEAD)
    jobs_left = grain.MapDataset.source(jobs)[start:]
    results = iter(jobs_left.map(work).to_iter_dataset(options))
    try:
        yield from results
    finally:
        results.close()


B = TypeVar("B", bound=Any)


def blank(batch: B) -> B:
    """The batch with every target masked: it adds nothing to a loss or gradient."""
    masked = {name: np.zeros_like(mask) for name, mask in batch.target_mask.items()}
    return replace(batch, target_mask=masked)


class BatchLoader:
    """Batches of one data set.

    Attributes:
      data: the data set.
      targets: names whose values go into the batches.
      budgets: the padded shapes in use.
      padding: share so far.
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
        self.budgets = (
            tuple(budgets) if budgets else choose_budgets(self._sizes, batch_size, data.in_degree)
        )
        self.padding = Padding()
        self._real = default_float()  # batches are made in another thread, which may not know

    def plan(self, order: np.ndarray) -> list[Planned]:
        """The batches of an order of positions."""
        return plan(self._sizes, order, self.budgets)

    def load(self, planned: Planned) -> CrystalBatch:
        """Assembles one batch; without positions a blank one, of the data set's first crystal."""
        self.padding.add(planned, self._sizes)
        is_blank = len(planned.positions) == 0
        positions = np.zeros(1, np.int64) if is_blank else planned.positions
        budget = planned.budget or max(self.budgets)
        batch = assemble(self.data.take(positions, self.targets), budget, self._real)
        return blank(batch) if is_blank else batch

    def batches(self, order: np.ndarray) -> Iterator[tuple[Planned, CrystalBatch]]:
        """The batches of an order of positions, assembled ahead."""
        yield from made_ahead(lambda planned: (planned, self.load(planned)), self.plan(order))
