"""What a training eats: batches of graphs, or of embeddings where the encoder stands still."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from cgatjax.config import TrainConfig
from cgatjax.data.loader import BatchLoader, choose_budgets
from cgatjax.data.subsets import Crystals
from cgatjax.inference import embed
from cgatjax.model import Model
from cgatjax.optim import FROZEN, Labels
from cgatjax.train_step import Forward


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

    def batches(self, order: np.ndarray) -> Iterator[tuple[np.ndarray, EmbeddingBatch]]:
        """Batches of the given order of positions; the last one is padded."""
        for start in range(0, len(order), self._size):
            rows = order[start : start + self._size]
            real = np.arange(self._size) < len(rows)
            rows = np.resize(rows, self._size)
            values = {t: v[rows].astype(self._embeddings.dtype) for t, v in self._values.items()}
            yield (
                rows,
                EmbeddingBatch(
                    embedding=self._embeddings[rows],
                    targets={t: np.nan_to_num(v) for t, v in values.items()},
                    target_mask={t: np.isfinite(v) & real for t, v in values.items()},
                    graph_mask=real,
                ),
            )


Loader = BatchLoader | EmbeddingLoader


def loaders(
    model: Model, train: Crystals, valid: Crystals, config: TrainConfig, labels: Labels
) -> tuple[Forward, Loader, Loader]:
    """The forward function and loaders: on cached embeddings where the encoder is frozen."""
    names, size = model.targets, config.batch_size
    if set(jax.tree.leaves(labels["encoder"])) == {FROZEN}:
        cached = EmbeddingLoader(embed(model, train), train, names, size)
        cached_valid = EmbeddingLoader(embed(model, valid), valid, names, 4 * size)
        return (lambda p, b: model.read(p, b.embedding)), cached, cached_valid
    budgets = choose_budgets(train.sizes, size)
    fits = (valid.sizes.max(0) < np.array(max(budgets)[1:]) - 1).all()
    # One shape for the steps, whose compilation is dear; two for validation, where it is cheap.
    train_loader = BatchLoader(train, names, size, (max(budgets),))
    valid_loader = BatchLoader(valid, names, size, budgets if fits else None)
    return model.forward, train_loader, valid_loader


def stacked(loader: Loader, order: np.ndarray, count: int) -> Iterator[Any]:
    """Batches in stacks of `count` micro-batches; padding fills a last incomplete stack."""
    group: list[Any] = []
    for _, batch in loader.batches(order):
        group.append(batch)
        if len(group) == count:
            yield _stack(group)
            group = []
    if group:
        yield _stack(group + [_blank(group[-1])] * (count - len(group)))


def _stack(group: Sequence[Any]) -> Any:
    if len(group) == 1:
        return jax.tree.map(lambda x: x[None], group[0])
    return jax.tree.map(lambda *x: np.stack(x), *group)


def _blank(batch: Any) -> Any:
    """The batch with every target masked."""
    masked = {name: np.zeros_like(mask) for name, mask in batch.target_mask.items()}
    return type(batch)(**{**batch.__dict__, "target_mask": masked})
