"""Batches of a data set in a seeded order, of few shapes, prefetched in a thread.

Batches are cut from the order of a whole epoch, so that each fills its padded size. A pipeline of
single crystals cannot do that, and would cost a Python call for each. The elements of grain's
pipeline are therefore batch plans (positions and a size): grain assembles them in a thread, and
starts in the middle of an epoch when a run is resumed.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np

from cgatjax.data.batching import BatchBudget, CrystalBatch, assemble, default_float
from cgatjax.data.datasets import ConcatDataset, Crystals
from cgatjax.errors import InputError

J = TypeVar("J")
R = TypeVar("R")
AHEAD = 3
"""Prefetched batches."""
# Room of a budget beyond an average batch, in standard deviations of its sum: nodes, edges, then
# composition nodes and edges. Nodes and edges cost most of the time: with 2.0 for them, 12 to 17 %
# of the nodes of 64 real crystals were padding, with 0.5 it is 4 to 6 % (docs/performance.md).
# Composition graphs cost little, and should not be what ends a batch.
_SPREAD = np.array([0.5, 0.5, 2.0, 2.0])
# Places for crystals beyond the average number, in square roots of it: batches of small crystals
# hold more, and a place costs one row of the readout only.
_MORE_CRYSTALS = 2.0
# The sum of few crystals varies too much for half a deviation, which would cut batches short: they
# get room for large crystals, and no places for more crystals.
_FEW, _SPREAD_OF_FEW = 8, 2.0

_HALVINGS = 12
"""Steps of the search for equal batches: to a few thousandths of a batch, in 0.1 ms a batch."""
_ROUNDED = np.array([16, 64, 8, 16])
"""Multiples that padded sizes are rounded up to."""
# Grid of padded sizes that data sets share: start and values per doubling. Nodes and edges cost
# most of the time; a place for a crystal, or in a composition graph, costs next to nothing.
_GRID_START, _PER_DOUBLING = np.array([64, 1024, 32, 128]), np.array([4, 4, 1, 1])
_GRID_GRAPHS = 16


class BatchPlan(NamedTuple):
    """Plan of a batch: positions in the data set (none for padding only) and padded size."""

    positions: np.ndarray
    budget: BatchBudget | None = None


@dataclass
class Padding:
    """Counter of the padding fraction of batches."""

    used: np.ndarray = field(default_factory=lambda: np.zeros(2))
    padded: np.ndarray = field(default_factory=lambda: np.zeros(2))

    def add(self, planned: BatchPlan, sizes: np.ndarray) -> None:
        """Count one batch."""
        if planned.budget is None:
            return
        self.used += sizes[planned.positions, :2].sum(0)
        self.padded += (planned.budget.nodes, planned.budget.edges)

    @property
    def fraction(self) -> tuple[float, float]:
        """Padding fraction of nodes and of edges."""
        nodes, edges = 1 - self.used / np.maximum(self.padded, 1)
        return float(nodes), float(edges)


def choose_budgets(
    sizes: np.ndarray, batch_size: int, *, shared: bool = False
) -> tuple[BatchBudget, ...]:
    """Choose the padded sizes for a data set: a full one, and a quarter for incomplete batches.

    A full budget holds the sites and edges of `batch_size` average crystals plus half a standard
    deviation of their sum, and any single crystal. Batches are filled until the next crystal does
    not fit: with small crystals they hold more, with large ones fewer, `batch_size` on average, and
    little is padding. Batches of fewer than 8 never hold more.

    `sizes` are (crystals, 4): nodes, edges, composition nodes, composition edges. If they are
    `shared`, they are rounded up to a grid of few values (nodes and edges by a factor of 2^(1/4)),
    so that other data sets have the same and share compiled programs. Batches are then up to a
    fifth larger, and small ones have more padding.
    """
    full = min(batch_size, len(sizes))
    # Each shape is a compilation.
    counts = [full] if full < 16 else [-(-full // 4), full]
    budgets = [_budget(sizes, n) for n in counts]
    return tuple(dict.fromkeys(_on_grid(b) for b in budgets) if shared else budgets)


def _on_grid(budget: BatchBudget) -> BatchBudget:
    """Round a budget up to the grid of sizes that data sets share."""

    def rounded(size: int, start: int, per_doubling: int, multiple: int) -> int:
        for k in itertools.count():
            value = -int(-start * 2 ** (k / per_doubling) // multiple) * multiple
            if value >= size:
                return value
        raise AssertionError  # the grid has no end

    grid = np.stack([_GRID_START, _PER_DOUBLING, _ROUNDED], axis=1).tolist()
    graphs = rounded(budget.graphs, _GRID_GRAPHS, 1, 1)
    return BatchBudget(graphs, *(rounded(s, *g) for s, g in zip(budget.sizes, grid, strict=True)))


def _budget(sizes: np.ndarray, n: int) -> BatchBudget:
    more, spread = (int(_MORE_CRYSTALS * n**0.5), _SPREAD) if n >= _FEW else (0, _SPREAD_OF_FEW)
    # Mean and standard deviation of the sum over n independent crystals.
    expected = n * sizes.mean(0) + spread * n**0.5 * sizes.std(0)
    largest = np.sort(sizes, axis=0)[-n - more :].sum(0)
    needed = np.maximum(np.minimum(expected, largest), sizes.max(0)).astype(int)
    rounded = -(-(needed + 2) // _ROUNDED) * _ROUNDED
    nodes, edges, *composition = (int(v) for v in rounded)
    return BatchBudget(n + more + 1, nodes, edges, composition[0], composition[1])


def plan(
    sizes: np.ndarray,
    order: np.ndarray,
    budgets: Sequence[BatchBudget],
    *,
    equal: bool = False,
    multiple: int = 1,
) -> list[BatchPlan]:
    """Cut an order of crystals into batches that fit the largest budget.

    Each batch has as many crystals as fit, and the smallest budget that holds it. `equal` batches
    are about equal in size and a `multiple` in number: none is left with the rest of the epoch,
    which would get a whole optimizer step. InputError if a crystal is larger than the largest
    budget.
    """
    largest, ordered = max(budgets), sizes[order]
    # One node of each graph is padding, as padding edges need a node.
    limits = np.array([largest.graphs, *largest.sizes]) - (1, 1, 0, 1, 0)
    _check_each_fits(ordered, order, limits, largest)
    costs = np.column_stack([np.ones(len(order), np.int64), ordered])
    sums = np.concatenate([np.zeros((1, 5), np.int64), np.cumsum(costs, axis=0)])
    ends = _greedy_ends(sums, limits)
    if equal and len(order):
        wanted = min(-(-len(ends) // multiple) * multiple, len(order))
        ends = _even_ends(sums, limits, costs.max(0), wanted)
    batches = []
    for start, end in itertools.pairwise([0, *ends]):
        need = sums[end] - sums[start] + (1, 1, 0, 1, 0)
        fitting = [b for b in budgets if (need <= b).all()]
        batches.append(BatchPlan(order[start:end], min(fitting)))
    return batches


def _greedy_ends(sums: np.ndarray, limits: np.ndarray) -> list[int]:
    """Cut where the next crystal would exceed a limit; `sums` are cumulative, from zero."""
    ends, start = list[int](), 0
    while start < len(sums) - 1:
        found = (
            np.searchsorted(sums[:, c], sums[start, c] + limits[c], "right")
            for c in range(len(limits))
        )
        start = int(min(found)) - 1
        ends.append(start)
    return ends


def _even_ends(sums: np.ndarray, limits: np.ndarray, largest: np.ndarray, wanted: int) -> list[int]:
    """Cut into `wanted` batches by the lowest limits that do not need more of them."""
    low, high, best = 0.0, 1.0, _greedy_ends(sums, limits)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        ends = _greedy_ends(sums, np.maximum((middle * limits).astype(np.int64), largest))
        if len(ends) <= wanted:
            high, best = middle, ends
        else:
            low = middle
    return best


def _check_each_fits(
    sizes: np.ndarray, order: np.ndarray, limits: np.ndarray, largest: BatchBudget
) -> None:
    too_large = np.flatnonzero((sizes > limits[1:]).any(1))
    if len(too_large):
        first = too_large[0]
        raise InputError(
            f"crystal {order[first]} does not fit: expected a batch of at most {largest}, got "
            f"{sizes[first].tolist()}; choose larger budgets"
        )


def shuffled(n: int, seed: int, epoch: int) -> np.ndarray:
    """Return the order of an epoch: a permutation that depends on seed and epoch alone."""
    return np.random.default_rng([seed, epoch]).permutation(n)


def epoch_order(data: Crystals, seed: int, epoch: int) -> np.ndarray:
    """Return the positions of an epoch in their order, which depends on seed and epoch alone.

    Every crystal comes once, unless the data set says otherwise (`ConcatDataset.last_fraction`): an
    epoch then has as many crystals, the given fraction of them from the last data set. Within each
    part no crystal is repeated before all others have come, over the epochs.
    """
    if not isinstance(data, ConcatDataset) or data.last_fraction is None:
        return shuffled(len(data), seed, epoch)
    last = len(data.datasets[-1])
    first, wanted = len(data) - last, round(data.last_fraction * len(data))
    mixed = np.concatenate(
        [_dealt(first, len(data) - wanted, seed, epoch), first + _dealt(last, wanted, seed, epoch)]
    )
    return mixed[shuffled(len(mixed), seed, epoch)]


def _dealt(n: int, count: int, seed: int, epoch: int) -> np.ndarray:
    """Take the `count` positions of an epoch from an endless row of permutations of n."""
    start, stop = epoch * count, (epoch + 1) * count
    rounds = range(start // n, -(-stop // n))
    row = np.concatenate([shuffled(n, seed, k) for k in rounds] or [np.zeros(0, np.int64)])
    return row[start - rounds.start * n :][:count]


def assign_steps(
    planned: Sequence[BatchPlan], width: int, process: int = 0, processes: int = 1
) -> list[tuple[BatchPlan, ...]]:
    """Assign the batches of an epoch, the same on every process, to steps of `width` and processes.

    Returns those of this process for each step; padding-only batches fill up the last one.
    """
    together = width * processes
    # A process without a batch would not enter the step, and the others would wait in its sum.
    missing = -len(planned) % together
    empty = [BatchPlan(np.empty(0, np.int64), last.budget) for last in planned[-1:]]
    filled = [*planned, *(empty * missing)]
    first = process * width
    return [tuple(filled[s + first : s + first + width]) for s in range(0, len(filled), together)]


def prefetch(work: Callable[[J], R], jobs: Sequence[J], start: int = 0) -> Iterator[R]:
    """Yield the results of the jobs from `start` on in order, computed ahead in a thread.

    An error in a job is raised where its result is taken.
    """
    if start >= len(jobs):
        return
    import grain

    # One thread assembles 400,000 crystals a second, more than any step takes.
    options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=AHEAD)
    jobs_left = grain.MapDataset.source(jobs)[start:]
    results = iter(jobs_left.map(work).to_iter_dataset(options))
    try:
        yield from results
    finally:
        results.close()


B = TypeVar("B", bound=Any)


def padding_only(batch: B) -> B:
    """Mask every target of a batch, so that it adds nothing to loss and gradient."""
    masked = {name: np.zeros_like(mask) for name, mask in batch.target_mask.items()}
    return replace(batch, target_mask=masked)


class BatchLoader:
    """Loader of padded batches of one data set, which counts their padding."""

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
        self.budgets = tuple(budgets or choose_budgets(self._sizes, batch_size))
        self.padding = Padding()
        # `jax.enable_x64` holds for this thread, and batches are assembled in another one.
        self._real = default_float()

    def plan(self, order: np.ndarray, *, equal: bool = False, multiple: int = 1) -> list[BatchPlan]:
        """Plan the batches of an order of positions; options as of `plan`."""
        return plan(self._sizes, order, self.budgets, equal=equal, multiple=multiple)

    def load(self, planned: BatchPlan) -> CrystalBatch:
        """Assemble one batch; a padding-only one if the plan has no positions."""
        self.padding.add(planned, self._sizes)
        # The first crystal, masked, stands in: graphs of no crystals have no arrays to lay out.
        is_empty = len(planned.positions) == 0
        positions = np.zeros(1, np.int64) if is_empty else planned.positions
        budget = planned.budget or max(self.budgets)
        batch = assemble(self.data.take(positions, self.targets), budget, self._real)
        return padding_only(batch) if is_empty else batch

    def batches(self, order: np.ndarray) -> Iterator[tuple[BatchPlan, CrystalBatch]]:
        """Yield the batches of an order of positions, prefetched."""
        yield from prefetch(lambda planned: (planned, self.load(planned)), self.plan(order))
