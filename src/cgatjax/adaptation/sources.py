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
    _expected: dict[str, tuple[np.ndarray, float]] = field(default_factory=dict)

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

    def hidden_std(self, target: str, learned: np.ndarray | None = None) -> float:
        """Estimate the error on new crystals that cross-validation on the pool does not show.

        A model that has learned a cheaper value of the crystals of the pool predicts them better
        than new ones; the standard deviations that it predicts are those of new ones. Of this error
        a difference inherits the part by which it depends on the model's prediction.

        Args:
          target: the property.
          learned: (pool,) what a candidate predicts in the place of the property, as its difference
            to a baseline, NaN where it predicts nothing; None for the property itself.

        Returns:
          The mean of these standard deviations, in the unit of the property, times the square root
          of the share of the pool whose formulas the model was trained on, and times the slope of
          `learned` against the model's prediction; 0 if the model does not know the property.
        """
        own = self._own(target)
        if self.is_blank or own is None or own not in self.model.predicts_std:
            return 0.0
        if own not in self._expected:
            self._expected[own] = self._expect(own)
        means, hidden = self._expected[own]
        return hidden if learned is None else abs(_slope(means, learned)) * hidden

    def _expect(self, own: str) -> tuple[np.ndarray, float]:
        """Predict a property of the pool, with the error on new crystals that it does not show."""
        [outputs] = BatchRunner((Pass(self.model, "apply"),), 128)(self.pool)
        means, stds = in_units(self.model, own, outputs[own])
        seen = count_trained_on((self.model,), self.pool)
        share = 0.0 if seen is None else seen.formulas / seen.total
        return means, float(np.sqrt(share) * stds.mean())

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


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    """Fit a line to the known y; 0 where x does not vary.

    >>> round(_slope(np.array([0.0, 1.0, 2.0]), np.array([5.0, np.nan, 6.0])), 3)
    0.5
    """
    known = np.isfinite(y)
    centered = x[known] - x[known].mean()
    return float(centered @ y[known] / max(centered @ centered, 1e-300))


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
