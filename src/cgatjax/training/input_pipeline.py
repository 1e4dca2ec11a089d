"""What a training eats: batches of graphs, or of embeddings where the encoder stands still."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from cgatjax.config import TrainConfig
from cgatjax.data.datasets import Crystals
from cgatjax.data.loader import BatchLoader, BatchPlan, assign_steps, choose_budgets, prefetch
from cgatjax.inference.embedding_cache import kept_embeddings
from cgatjax.models.model import Model
from cgatjax.runtime.devices import Devices
from cgatjax.training.optimizer import FROZEN, Labels
from cgatjax.training.train_step import Forward


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class EmbeddingBatch:
    """Crystal embeddings computed before, for training heads alone.

    Attributes:
      embedding: (G, width).
      targets, target_mask, graph_mask: as of `CrystalBatch`.
    """

    embedding: Any
    targets: dict[str, Any]
    target_mask: dict[str, Any]
    graph_mask: Any


class EmbeddingLoader:
    """Batches of cached embeddings of one data set; used like a `BatchLoader`."""

    def __init__(
        self, embeddings: np.ndarray, data: Crystals, targets: Sequence[str], batch_size: int
    ) -> None:
        self._embeddings = embeddings
        self._values = {t: data.target(t) for t in targets}
        self._size = min(batch_size, len(embeddings))

    def plan(self, order: np.ndarray) -> list[BatchPlan]:
        """The batches of an order of positions."""
        return [BatchPlan(order[i : i + self._size]) for i in range(0, len(order), self._size)]

    def load(self, planned: BatchPlan) -> EmbeddingBatch:
        """One batch, padded to the full size; without positions all of it is padding."""
        n = len(planned.positions)
        real = np.arange(self._size) < n
        rows = np.resize(planned.positions if n else np.zeros(1, np.int64), self._size)
        values = {t: v[rows].astype(self._embeddings.dtype) for t, v in self._values.items()}
        return EmbeddingBatch(
            embedding=self._embeddings[rows],
            targets={t: np.nan_to_num(v) for t, v in values.items()},
            target_mask={t: np.isfinite(v) & real for t, v in values.items()},
            graph_mask=real,
        )


class Loader(Protocol):
    """What makes batches: planned from an order of positions, then loaded one by one."""

    def plan(self, order: np.ndarray) -> list[BatchPlan]:
        """The batches of an order of positions."""

    def load(self, planned: BatchPlan) -> Any:
        """One batch."""


class Fed(NamedTuple):
    """What one step takes: batches on the devices, and the crystals of all processes in them."""

    batch: Any
    positions: np.ndarray


def loaders(
    model: Model,
    train: Crystals,
    valid: Crystals,
    config: TrainConfig,
    labels: Labels,
    folder: Path | None = None,
) -> tuple[Loader, Loader]:
    """Loaders of the training and the validation set: of embeddings where the encoder is frozen.

    A batch is the part of one device. Embeddings are computed once, and kept in a folder if given.
    """
    names, size = model.targets, config.batch_size // config.devices
    if _heads_alone(labels):
        cached = EmbeddingLoader(kept_embeddings(model, train, folder), train, names, size)
        cached_valid = EmbeddingLoader(
            kept_embeddings(model, valid, folder), valid, names, 4 * size
        )
        return cached, cached_valid
    budgets = choose_budgets(train.sizes, size, train.in_degree)
    fits = max(budgets).holds(valid.sizes.max(0)) and valid.in_degree == train.in_degree
    valid_budgets = budgets if fits else choose_budgets(valid.sizes, size, valid.in_degree)
    # One shape for the steps, whose compilation is dear; two for validation, where it is cheap.
    # Devices that work side by side need the same.
    both = valid_budgets if config.devices == 1 else (max(valid_budgets),)
    train_loader = BatchLoader(train, names, size, (max(budgets),))
    valid_loader = BatchLoader(valid, names, size, both)
    return train_loader, valid_loader


def forward_of(model: Model, labels: Labels) -> Forward:
    """The function that fits the batches of `loaders`: the network, or its heads alone."""
    if _heads_alone(labels):
        return lambda params, batch: model.read(params, batch.embedding)
    return model.forward


def _heads_alone(labels: Labels) -> bool:
    return set(jax.tree.leaves(labels["encoder"])) == {FROZEN}


def feed(
    loader: Loader,
    order: np.ndarray,
    accumulate: int,
    start: int = 0,
    devices: Devices = Devices(),  # noqa: B008 - frozen
) -> Iterator[Fed]:
    """The steps of an epoch: assembled and stacked in a thread, placed on the devices.

    Placing does not wait for the copy. Steps are dispatched without waiting either, so that the
    copy for the next step is under way while the device still works on this one.

    Args:
      loader: of the data set.
      order: positions in the order of the epoch, the same on every process.
      accumulate: micro-batches per step and device; blanks fill an incomplete step.
      start: steps to leave out, which were done before.
      devices: that share the batches of a step; each process makes those of its own.
    """
    planned, width = loader.plan(order), accumulate * devices.local_count
    own = assign_steps(planned, width, devices.process, devices.processes)
    whole = assign_steps(planned, accumulate * devices.count)

    def make(step: tuple[Sequence[BatchPlan], Sequence[BatchPlan]]) -> Fed:
        own, whole = step
        positions = np.concatenate([planned.positions for planned in whole])
        return Fed(_step_argument([loader.load(planned) for planned in own]), positions)

    for fed in prefetch(make, list(zip(own, whole, strict=True)), start):
        yield fed._replace(batch=devices.place(fed.batch))


def _step_argument(batches: Sequence[Any]) -> Any:
    """Micro-batches as a step takes them: each leaf with a leading axis of micro-batches."""
    if len(batches) == 1:
        return jax.tree.map(lambda x: x[None], batches[0])
    return jax.tree.map(lambda *x: np.stack(x), *batches)
