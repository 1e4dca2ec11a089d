"""Training input pipeline: graph batches, or cached embeddings when the encoder is frozen."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from cgatjax.config import TrainConfig
from cgatjax.data.datasets import Crystals
from cgatjax.data.loader import BatchLoader, BatchPlan, assign_steps, choose_budgets, prefetch
from cgatjax.inference.embedding_cache import cached_embeddings
from cgatjax.model.model import Model
from cgatjax.runtime.devices import Devices
from cgatjax.training.optimizer import Labels, encoder_is_frozen


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class EmbeddingBatch:
    """Batch of cached crystal embeddings, for training heads alone.

    Attributes:
      embedding: (G, width).
      targets, target_mask, graph_mask: as of `CrystalBatch`.
    """

    embedding: Any
    targets: dict[str, Any]
    target_mask: dict[str, Any]
    graph_mask: Any


class EmbeddingLoader:
    """Loader of cached embeddings of one data set; used like a `BatchLoader`."""

    def __init__(
        self, embeddings: np.ndarray, data: Crystals, targets: Sequence[str], batch_size: int
    ) -> None:
        self._embeddings = embeddings
        self._values = {t: data.target(t) for t in targets}
        self._size = min(batch_size, len(embeddings))

    def plan(self, order: np.ndarray, *, equal: bool = False, multiple: int = 1) -> list[BatchPlan]:
        """Cut an order of positions into batches; options as of `data.loader.plan`."""
        if not equal:
            starts = range(0, len(order), self._size)
            return [BatchPlan(order[i : i + self._size]) for i in starts]
        wanted = -(-len(order) // (self._size * multiple)) * multiple
        return [BatchPlan(rows) for rows in np.array_split(order, min(wanted, len(order)))]

    def load(self, planned: BatchPlan) -> EmbeddingBatch:
        """Load one batch, padded to the full size; without positions a padding-only batch."""
        n = len(planned.positions)
        real = np.arange(self._size) < n
        # Padding repeats real rows, which are finite; the mask takes them out of the loss.
        rows = np.resize(planned.positions if n else np.zeros(1, np.int64), self._size)
        values = {t: v[rows].astype(self._embeddings.dtype) for t, v in self._values.items()}
        return EmbeddingBatch(
            embedding=self._embeddings[rows],
            targets={t: np.nan_to_num(v) for t, v in values.items()},
            target_mask={t: np.isfinite(v) & real for t, v in values.items()},
            graph_mask=real,
        )


class Loader(Protocol):
    """Source of batches: planned from an order of positions, then loaded one by one."""

    def plan(self, order: np.ndarray, *, equal: bool = False, multiple: int = 1) -> list[BatchPlan]:
        """Cut an order of positions into batches; options as of `data.loader.plan`."""

    def load(self, planned: BatchPlan) -> Any:
        """Load one batch."""


class StepBatch(NamedTuple):
    """Argument of one step.

    Attributes:
      batch: micro-batches, on the devices of this process.
      positions: of the crystals in the batches of all processes.
      fraction: of the epoch that is done in the middle of the step.
    """

    batch: Any
    positions: np.ndarray
    fraction: float


def make_loaders(
    model: Model,
    train: Crystals,
    valid: Crystals,
    config: TrainConfig,
    labels: Labels,
    folder: Path | None = None,
    shapes_of: Crystals | None = None,
) -> tuple[Loader, Loader]:
    """Make the loaders of training and validation set: of embeddings if the encoder is frozen.

    A batch is the share of one device. Embeddings are computed once, and kept in a folder if given.
    The sizes of the crystals `shapes_of` decide the batch shapes; None for those of each set.
    """
    names, size = model.targets, config.batch_size // config.devices
    if encoder_is_frozen(labels):
        # Validation batches may be larger: without a gradient they need a fraction of the memory.
        embeddings, of_valid = (
            cached_embeddings(model, data, folder, shapes_of) for data in (train, valid)
        )
        return (
            EmbeddingLoader(embeddings, train, names, size),
            EmbeddingLoader(of_valid, valid, names, 4 * size),
        )
    # Steps get the one size with least padding. Validation programs are shared with other data
    # sets; devices that share a step need equal sizes.
    train_sizes, valid_sizes = ((shapes_of or data).sizes for data in (train, valid))
    budgets = choose_budgets(train_sizes, size)[-1:]
    valid_budgets = choose_budgets(valid_sizes, size, shared=True)
    both = valid_budgets if config.devices == 1 else valid_budgets[-1:]
    return BatchLoader(train, names, size, budgets), BatchLoader(valid, names, size, both)


def step_batches(
    loader: Loader,
    order: np.ndarray,
    accumulate: int,
    start: int = 0,
    devices: Devices = Devices(),  # noqa: B008 - frozen
    *,
    equal: bool = False,
) -> Iterator[StepBatch]:
    """Yield the batches of an epoch, assembled and stacked in a thread, placed on the devices.

    Placing does not wait for the copy, and steps are dispatched without waiting either: the copy
    for the next step is under way while the device still works on this one.

    Args:
      loader: of the data set.
      order: positions in the order of the epoch, the same on every process.
      accumulate: micro-batches per step and device; padding-only ones fill an incomplete step.
      start: number of steps to leave out, done before a resumption.
      devices: of all processes; each process loads the batches of its own devices.
      equal: True for steps of about equal size, for training.
    """
    # Each process plans all batches of the epoch, so that no process has to ask another one.
    together, width = accumulate * devices.count, accumulate * devices.local_count
    planned = loader.plan(order, equal=equal, multiple=together)
    own = assign_steps(planned, width, devices.process, devices.processes)
    whole = assign_steps(planned, together)

    def make(step: int) -> StepBatch:
        positions = np.concatenate([planned.positions for planned in whole[step]])
        batch = _stacked([loader.load(planned) for planned in own[step]])
        return StepBatch(batch, positions, (step + 0.5) / len(whole))

    for made in prefetch(make, range(len(whole)), start):
        yield made._replace(batch=devices.place(made.batch))


def _stacked(batches: Sequence[Any]) -> Any:
    """Stack micro-batches: each leaf gets a leading axis of micro-batches."""
    if len(batches) == 1:  # a view, not a copy
        return jax.tree.map(lambda x: x[None], batches[0])
    return jax.tree.map(lambda *x: np.stack(x), *batches)
