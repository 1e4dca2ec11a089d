"""Candidates of an adaptation: one small interface, and the candidates without a new network.

A candidate fits a part (`cgatjax.inference.adapted.Part`) to training crystals, which is saved and
predicts like the result of the adaptation itself.
"""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

import numpy as np

from cgatjax.adaptation.sources import Source
from cgatjax.config import GPConfig
from cgatjax.data.datasets import Dataset
from cgatjax.inference.adapted import Part, SimplePart, offset_of
from cgatjax.inference.baselines import known_part
from cgatjax.inference.gp_fitting import fit_gp
from cgatjax.inference.prediction import BATCH, BatchRunner
from cgatjax.inference.predictor import Predictor
from cgatjax.model.model import Model
from cgatjax.model.training_record import TrainingRecord
from cgatjax.simple_models.models import Name
from cgatjax.training.target_fit import fit_normalizer, property_baseline

Cost = Literal["seconds", "minutes"]
"""Cheap candidates run on all folds and are fitted again to all crystals; the others do not."""


class Fitted(NamedTuple):
    """Fitted candidate.

    Attributes:
      part: predicts.
      steps: optimizer steps of a network, 0 without one.
    """

    part: Part
    steps: int = 0


class Candidate(Protocol):
    """Way to predict the property."""

    @property
    def name(self) -> str:
        """Name in tables."""

    @property
    def is_simple(self) -> bool:
        """True if no network is needed."""

    @property
    def is_required(self) -> bool:
        """True if it runs whatever time is left: without simple models there is no guard."""

    @property
    def cost(self) -> Cost:
        """Cost class of a fit."""

    @property
    def start(self) -> str:
        """Name of the source model that it starts from; "" for none."""

    def hidden_std(self, means: np.ndarray) -> float:
        """Estimate the standard deviation of the error that cross-validation does not show.

        Args:
          means: (pool,) predictions in cross-validation, NaN where there are none.
        """

    def fit(self, data: Dataset, seed: int) -> Fitted:
        """Fit to crystals with a value.

        Args:
          data: the training crystals.
          seed: random seed.
        """

    def predict(self, part: Part, data: Dataset) -> tuple[np.ndarray, np.ndarray]:
        """Predict mean and standard deviation (crystals,) in the target's unit.

        Args:
          part: fitted.
          data: crystals of the pool or of the test set.
        """

    def seconds(self, crystals: int) -> float:
        """Estimate the seconds of a fit to this number of crystals."""


@dataclass(frozen=True, kw_only=True)
class Simple:
    """Simple model of the composition, or of what a source model or a baseline leaves over.

    Attributes:
      kind: name of the simple model.
      source: its model gives graph options and elements.
      target: property to learn.
      on_network: learn the difference to the source's prediction.
      baseline: property to learn the difference to; None for none.
    """

    kind: Name
    source: Source
    target: str
    on_network: bool = False
    baseline: str | None = None
    cost: Cost = field(default="seconds", init=False)

    @property
    def name(self) -> str:
        """Name in tables."""
        model = {"mean": "mean value"}.get(self.kind, f"{self.kind} on composition")
        if self.baseline is not None:
            return f"{self.baseline}{' shifted' if self.kind == 'mean' else f' + {model}'}"
        if not self.on_network:
            return model
        if self.kind == "mean":
            return f"{self.source.name} as it is, shifted"
        return f"{self.source.name} + {self.kind} on composition"

    @property
    def is_simple(self) -> bool:
        """True if no network is needed."""
        return not self.on_network

    @property
    def is_required(self) -> bool:
        """True if it runs whatever time is left."""
        return self.is_simple

    @property
    def start(self) -> str:
        """Name of the source model that it starts from; "" for none."""
        return self.source.name if self.on_network else ""

    def hidden_std(self, means: np.ndarray) -> float:
        """Estimate the standard deviation of the error that cross-validation does not show."""
        return self.source.hidden_std(self.target) if self.on_network else 0.0

    def seconds(self, crystals: int) -> float:
        """Estimate the seconds of a fit to this number of crystals."""
        return 0.5 + 0.004 * crystals if self.kind == "trees" else 0.2

    def predict(self, part: Part, data: Dataset) -> tuple[np.ndarray, np.ndarray]:
        """Predict mean and standard deviation (crystals,) in the target's unit."""
        return _predicted(part, self.source, data, self.target)

    def fit(self, data: Dataset, seed: int) -> Fitted:
        """Fit to crystals with a value."""
        model = self.source.prepared(self.target)
        network, before = None, model.record
        if self.on_network:
            network = self.source.outputs("apply", data, self.target)[self.target]
        else:
            model, before = plain(model, data, self.target, self.baseline), TrainingRecord()
        record = TrainingRecord.of(before, [(data, (self.target,))], [])
        part = SimplePart(
            model=model.replace(record=record),
            name=self.kind,
            seed=seed,
            fractions=self.source.outputs("composition", data, self.target)["composition"],
            offset=offset_of(model, self.target, network, data),
            values=data.target(self.target),
            on_network=self.on_network,
        )
        return Fitted(part)


@dataclass(frozen=True, kw_only=True)
class Process:
    """Gaussian process on the embeddings of a source model.

    Attributes:
      source: its encoder makes the embeddings.
      target: property to learn.
      baseline: property to learn the difference to; None for none.
    """

    source: Source
    target: str
    baseline: str | None = None
    is_simple: bool = field(default=False, init=False)
    is_required: bool = field(default=False, init=False)
    cost: Cost = field(default="seconds", init=False)

    @property
    def name(self) -> str:
        """Name in tables."""
        known = f"{self.baseline} + " if self.baseline is not None else ""
        return f"{known}Gaussian process on {self.source.name}"

    @property
    def start(self) -> str:
        """Name of the source model that it starts from."""
        return self.source.name

    def hidden_std(self, means: np.ndarray) -> float:
        """Estimate the standard deviation of the error that cross-validation does not show."""
        learned = learned_part(self.source, self.baseline, means)
        return self.source.hidden_std(self.target, learned)

    def seconds(self, crystals: int) -> float:
        """Estimate the seconds of a fit to this number of crystals."""
        return 4.0 + 25e-9 * min(crystals, 1200) ** 3

    def predict(self, part: Part, data: Dataset) -> tuple[np.ndarray, np.ndarray]:
        """Predict mean and standard deviation (crystals,) in the target's unit."""
        return _predicted(part, self.source, data, self.target)

    def fit(self, data: Dataset, seed: int) -> Fitted:
        """Fit to crystals with a value."""
        model = plain(self.source.prepared(self.target), data, self.target, self.baseline)
        record = TrainingRecord.of(model.record, [(data, (self.target,))], [])
        embeddings = self.source.embeddings(data, self.target)
        config = GPConfig(seed=seed, one_scale=len(data) < 300)
        values = data.target(self.target) - known_part(model, self.target, data)
        process = fit_gp(embeddings, values, config, show_progress=False)
        part = Predictor(
            members=(model.replace(record=record),),
            uncertainty="gp",
            processes={self.target: process},
        )
        return Fitted(part)


def learned_part(source: Source, baseline: str | None, means: np.ndarray) -> np.ndarray | None:
    """Return what a candidate adds to its baseline, (pool,); None without a baseline.

    Args:
      source: its pool has the values of the baseline.
      baseline: property to learn the difference to.
      means: (pool,) predictions of the candidate.
    """
    return None if baseline is None else means - source.pool.target(baseline)


def _predicted(
    part: Part, source: Source, data: Dataset, target: str
) -> tuple[np.ndarray, np.ndarray]:
    """Predict crystals from outputs of the source that are there already."""
    outputs = [source.outputs(p.method, data, target) for p in part.passes]
    return part.moments(target, outputs, data)


def predictions_of(
    part: Part, data: Dataset, target: str, shapes_of: Dataset | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Predict mean and standard deviation (crystals,) of a part, in the target's unit."""
    return part.moments(target, BatchRunner(part.passes, BATCH, shapes_of)(data), data)


def plain(model: Model, data: Dataset, target: str, baseline: str | None) -> Model:
    """Replace the normalizer of a model, whose head is not read, by that of some crystals.

    Args:
      model: with a head for the target.
      data: crystals with a value.
      target: the property.
      baseline: property to learn the difference to; None for none.
    """
    bare = model.replace(normalizers={}, sources={})
    named = property_baseline(baseline, data, target)
    normalizer = fit_normalizer(bare, data, target, named, False)
    return bare.replace(normalizers={target: normalizer})
