"""Source models of an adaptation, with their embeddings and predictions computed once."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from cgatjax.config import ModelConfig, TrainConfig, TransferConfig
from cgatjax.data.compositions import element_fractions
from cgatjax.data.datasets import Dataset
from cgatjax.inference.memory import count_trained_on
from cgatjax.inference.passes import Outputs, Pass
from cgatjax.inference.prediction import BATCH, BatchRunner, embed
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
      common_std: standard deviation that all sources together expect of new crystals
        (`with_common_std`); None for its own.
    """

    name: str
    model: Model
    pool: Dataset
    crystals: Dataset
    is_blank: bool = False
    common_std: float | None = None
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
        if not self.predicts_std(target):
            return 0.0
        std = self.expected_std(target) if self.common_std is None else self.common_std
        means, _ = self._moments(target)
        slope = 1.0 if learned is None else abs(_slope(means, learned))
        return float(slope * np.sqrt(self._seen_share) * std)

    def predicts_std(self, target: str) -> bool:
        """True if the model predicts this property with a standard deviation."""
        return not self.is_blank and self._own(target) in self.model.predicts_std

    def expected_std(self, target: str) -> float:
        """Return the mean standard deviation that the model predicts for the pool."""
        return float(self._moments(target)[1].mean())

    @cached_property
    def _seen_share(self) -> float:
        """Share of the pool whose formulas the model was trained on."""
        seen = count_trained_on((self.model,), self.pool)
        return 0.0 if seen is None else seen.formulas / seen.total

    def _moments(self, target: str) -> tuple[np.ndarray, np.ndarray]:
        """Predict means and standard deviations (pool,) of a known property."""
        # The head, rescaled to the pool, predicts what it did before, standard deviations too.
        prepared = self.prepared(target).replace(predicts_std=(target,))
        return in_units(prepared, target, self.outputs("apply", self.pool, target)[target])

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
                [self._kept[method]] = BatchRunner((Pass(model, method),), BATCH)(self.crystals)
        positions = self._positions(data)
        return {name: rows[positions] for name, rows in self._kept[method].items()}

    def embeddings(self, data: Dataset, target: str) -> np.ndarray:
        """Return the (crystals, d) embeddings of some of `crystals`."""
        return self.outputs("embed", data, target)["embedding"]

    @cached_property
    def step_seconds(self) -> tuple[float, float]:
        """Expected seconds of a step of the whole network on this machine, and of compiling it."""
        sample = self.pool.select(np.arange(min(len(self.pool), 64)))
        embed(self.model, sample)  # compiles
        start = time.perf_counter()
        embed(self.model, sample)
        forward = (time.perf_counter() - start) / len(sample)
        batch = min(max(len(self.pool) // 10, 4), 64)
        # A gradient costs two to three forward passes; padding and the optimizer the rest.
        return 4.5 * forward * batch, 30.0

    def _positions(self, data: Dataset) -> np.ndarray:
        rows = self.crystals.rows
        order = np.argsort(rows)
        return order[np.searchsorted(rows, data.rows, sorter=order)]


def with_common_std(sources: Sequence[Source], target: str) -> list[Source]:
    """Let all sources that predict a property expect the same error of new crystals, their mean.

    By how much their own standard deviations are wrong is more than they differ by, and no value of
    the pool tells: of OptB88vdW crystals that neither was trained on, `mp-small` expects errors of
    36 meV/atom in PBE energies and `mp-medium` of 28, and both make 37.
    """
    known = [source.expected_std(target) for source in sources if source.predicts_std(target)]
    common = float(np.mean(known)) if known else None
    return [replace(source, common_std=common) for source in sources]


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
