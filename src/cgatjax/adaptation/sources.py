"""Source models of an adaptation, with their embeddings and predictions computed once."""

import time
from dataclasses import dataclass, field

import numpy as np

from cgatjax.config import ModelConfig, TrainConfig, TransferConfig
from cgatjax.data.compositions import element_fractions
from cgatjax.data.datasets import Dataset
from cgatjax.inference.memory import count_trained_on
from cgatjax.inference.passes import Outputs, Pass
from cgatjax.inference.prediction import BatchRunner, embed
from cgatjax.inference.predictor import in_units
from cgatjax.model.model import Model, init_model
from cgatjax.model.network import Method
from cgatjax.model.normalizer import Normalizer
from cgatjax.model.training_record import TrainingRecord
from cgatjax.training.target_fit import NONE, is_same_property
from cgatjax.training.transfer_params import prepare_transfer

NETWORK = ModelConfig.small()
"""Network without a source."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Source:
    """Trained model to start from.

    Attributes:
      name: its name in tables.
      model: the model.
      pool: crystals to train and validate on.
      crystals: crystals whose embeddings and predictions are computed once: those of the pool and
        of the test set, whose values are not read.
      is_blank: True for a network with random weights, where there is no trained one.
    """

    name: str
    model: Model
    pool: Dataset
    crystals: Dataset
    is_blank: bool = False
    _kept: dict[str, Outputs] = field(default_factory=dict)
    _prepared: dict[str, Model] = field(default_factory=dict)

    def knows(self, target: str) -> bool:
        """True if the model predicts this property, so that its own prediction is a start."""
        return self._own(target) is not None

    def _own(self, target: str) -> str | None:
        """Return the target of the model that is this property, if there is one."""
        unit = self.pool.unit(target)
        same = [t for t in self.model.targets if is_same_property(self.model, t, target, unit)]
        # A model that is a difference itself needs values that new crystals may not have.
        if any(self.model.normalizers[t].baseline is not None for t in same):
            return None
        return target if target in same else same[0] if len(same) == 1 else None

    def prepared(self, target: str) -> Model:
        """Return the model with a head for the property, before any training.

        If it knows the property, its predictions are unchanged but for the mean and the standard
        deviation of the pool.
        """
        if target not in self._prepared:
            train = TrainConfig(baseline=NONE) if not self.knows(target) else TrainConfig()
            config = TransferConfig(mode="full", target=target, train=train)
            labeled = self.pool.restrict_targets(target)
            self._prepared[target] = prepare_transfer(self.model, labeled, config).model
        return self._prepared[target]

    def hidden_std(self, target: str) -> float:
        """Estimate the error on new crystals that cross-validation on the pool does not show.

        A model that has learned a cheaper value of the crystals of the pool predicts them better
        than new ones; the standard deviations that it predicts are those of new ones.

        Returns:
          Their mean, in the unit of the property, times the square root of the share of the pool
          whose formulas the model was trained on; 0 if it does not know the property.
        """
        own, seen = self._own(target), count_trained_on((self.model,), self.pool)
        if self.is_blank or own is None or own not in self.model.predicts_std or seen is None:
            return 0.0
        [outputs] = BatchRunner((Pass(self.model, "apply"),), 128)(self.pool)
        _, std = in_units(self.model, own, outputs[own])
        return float(np.sqrt(seen.formulas / seen.total) * std.mean())

    def outputs(self, method: Method, data: Dataset, target: str) -> Outputs:
        """Return the outputs of the prepared model for some of `crystals`, computed once.

        Args:
          method: method of the network.
          data: some of the crystals.
          target: a known property, for "apply".
        """
        if method not in self._kept:
            if method == "composition":
                self._kept[method] = {"composition": element_fractions(self.crystals)}
            else:
                model = self.prepared(target)
                [self._kept[method]] = BatchRunner((Pass(model, method),), 128)(self.crystals)
        positions = self._positions(data)
        return {name: rows[positions] for name, rows in self._kept[method].items()}

    def embeddings(self, data: Dataset, target: str) -> np.ndarray:
        """Return the (crystals, d) embeddings of some of `crystals`."""
        return self.outputs("embed", data, target)["embedding"]

    def _positions(self, data: Dataset) -> np.ndarray:
        rows = self.crystals.rows
        order = np.argsort(rows)
        return order[np.searchsorted(rows, data.rows, sorter=order)]


def blank_source(pool: Dataset, crystals: Dataset, target: str, seed: int) -> Source:
    """Make a source of random weights, for graph options, elements and distances.

    Args:
      pool: as of `Source`.
      crystals: as of `Source`.
      target: property to learn.
      seed: of the weights.
    """
    model = init_model(NETWORK, pool, target=target, seed=seed)
    normalizer = Normalizer.fit(pool.target(target), target)
    model = model.replace(normalizers={target: normalizer}, record=TrainingRecord())
    return Source(name="random weights", model=model, pool=pool, crystals=crystals, is_blank=True)


def step_seconds(source: Source) -> tuple[float, float]:
    """Estimate the seconds of a step of the network on this machine, and of compiling it."""
    sample = source.pool.select(np.arange(min(len(source.pool), 64)))
    embed(source.model, sample)  # compiles
    start = time.perf_counter()
    embed(source.model, sample)
    forward = (time.perf_counter() - start) / len(sample)
    batch = min(max(len(source.pool) // 10, 4), 64)
    # A gradient costs two to three forward passes; padding and the optimizer the rest.
    return 4.5 * forward * batch, 30.0
