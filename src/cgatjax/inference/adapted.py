"""Adapted predictor: the result of `cgatjax adapt`, whatever kind of model was chosen.

It is the weighted mean of one or several ways to predict a property (networks, a Gaussian process
on embeddings, simple models of the composition), adds a validated standard deviation, and knows its
domain.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from cgatjax.errors import InputError
from cgatjax.inference.baselines import Known, known_part
from cgatjax.inference.domain import Domain
from cgatjax.inference.error_model import ErrorModel
from cgatjax.inference.passes import Outputs, Pass
from cgatjax.inference.predictor import Predictor, Uncertainty, in_units
from cgatjax.model.model import Model, weights_digest
from cgatjax.simple_models.features import composition_features
from cgatjax.simple_models.models import Name, SimpleModel


class Part(Protocol):
    """One way to predict a property; a `Predictor` is one."""

    @property
    def passes(self) -> tuple[Pass, ...]:
        """Forward passes whose outputs `moments` takes, in this order."""

    @property
    def members(self) -> tuple[Model, ...]:
        """Models that are read; the first decides graph options and elements."""

    def moments(
        self, target: str, outputs: Sequence[Outputs], data: Known, /
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compute mean and standard deviation in the target's unit."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SimplePart:
    """Simple model of the composition, on its own or of the difference to what is known.

    What is known, the offset, is the baseline and the references of the model's normalizer and,
    with `on_network`, the prediction of its network. If it is not zero, it is a feature, too.

    Attributes:
      model: graph options, elements, normalizer and, with `on_network`, the network.
      name: name of the simple model.
      seed: of the simple model.
      fractions: (crystals, 104) element fractions of the training crystals.
      offset: (crystals,) what is known of their values, in the target's unit.
      values: (crystals,) their values.
      on_network: True for the difference to the network's prediction.
    """

    model: Model
    name: Name
    seed: int
    fractions: np.ndarray
    offset: np.ndarray
    values: np.ndarray
    on_network: bool
    _fitted: list[SimpleModel] = field(default_factory=list)

    @property
    def members(self) -> tuple[Model, ...]:
        """The model."""
        return (self.model,)

    @property
    def passes(self) -> tuple[Pass, ...]:
        """Forward passes whose outputs `moments` takes, in this order."""
        network = (Pass(self.model, "apply"),) if self.on_network else ()
        return (Pass(self.model, "composition"), *network)

    def moments(
        self, target: str, outputs: Sequence[Outputs], data: Known
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compute means in the target's unit, and NaN as standard deviations.

        Args:
          target: the property.
          outputs: outputs of `passes`, in their order.
          data: the crystals, with the property that is the baseline, if any.
        """
        fractions = np.asarray(outputs[0]["composition"], np.float64)
        network = outputs[1][target] if self.on_network else None
        offset = offset_of(self.model, target, network, data)
        found = offset + self.fitted.predict(self._features(fractions, offset))
        return found, np.full(len(found), np.nan)

    @property
    def fitted(self) -> SimpleModel:
        """Fitted model; fitted again from the training crystals after loading, in seconds."""
        if not self._fitted:
            x = self._features(self.fractions, self.offset)
            fitted = SimpleModel(self.name, seed=self.seed).fit(x, self.values - self.offset)
            self._fitted.append(fitted)
        return self._fitted[0]

    @property
    def training_digest(self) -> str:
        """Hash of what the simple model is fitted to."""
        digest = weights_digest([self.fractions, self.offset, self.values])
        return f"{self.name} {self.seed} {digest}"

    def training_predictions(self) -> np.ndarray:
        """Predict the (crystals,) fitted values of the training crystals again."""
        return self.fitted.predict(self._features(self.fractions, self.offset))

    def _features(self, fractions: np.ndarray, offset: np.ndarray) -> np.ndarray:
        # Fractions come from float32 batches and from float64 counts: the last digits must not
        # decide on which side of a threshold of a tree a crystal falls.
        rounded = np.round(fractions, 5)
        return composition_features(rounded, [offset] if self.offset.any() else [])


def offset_of(model: Model, target: str, network: np.ndarray | None, data: Known) -> np.ndarray:
    """Compute what is known of the values of crystals, (crystals,) in the target's unit.

    Args:
      model: its normalizer has baseline and references.
      target: the property.
      network: (crystals, 2) outputs of the network; None to leave it out.
      data: the crystals.
    """
    offset = known_part(model, target, data)
    return offset if network is None else offset + in_units(model, target, network)[0]


@dataclass(frozen=True, eq=False, kw_only=True)
class AdaptedPredictor(Predictor):
    """Weighted mean of ways to predict one property, with a validated standard deviation.

    Attributes:
      parts: the ways.
      weights: name of each way -> its weight in the mean.
      errors: law of the standard deviation; None if it could not be validated.
      domain: training crystals in the embedding space of the first member.
    """

    parts: tuple[Part, ...]
    weights: Mapping[str, float]
    errors: ErrorModel | None
    domain: Domain

    def __post_init__(self) -> None:
        """Raise InputError unless the ways predict the same property from the same graphs."""
        self.check_uncertainty()
        if min(self.weights.values()) <= 0 or not np.isclose(sum(self.weights.values()), 1):
            raise InputError(f"expected positive weights with the sum 1, got {dict(self.weights)}")
        first, names = self.model, list(self.weights)
        for part, name in zip(self.parts, names, strict=True):
            other = part.members[0]
            same = (other.targets, other.graph_config) == (first.targets, first.graph_config)
            if not same or other.units != first.units:
                raise InputError(f"{name}: expected the property and graphs of {names[0]}")

    @classmethod
    def of_parts(
        cls,
        parts: Sequence[Part],
        weights: Mapping[str, float],
        errors: ErrorModel | None,
        domain: Domain,
    ) -> "AdaptedPredictor":
        """Make the predictor of several parts."""
        return cls(
            members=tuple(member for part in parts for member in part.members),
            uncertainty="none" if errors is None else "validated",
            parts=tuple(parts),
            weights=weights,
            errors=errors,
            domain=domain,
        )

    def __repr__(self) -> str:
        return f"AdaptedPredictor({', '.join(self.weights)} for {', '.join(self.targets)})"

    @property
    def available(self) -> tuple[Uncertainty, ...]:
        """Available kinds of uncertainty."""
        return () if self.errors is None else ("validated",)

    @property
    def passes(self) -> tuple[Pass, ...]:
        """Forward passes of all parts, and the embedding for the domain."""
        return (*(p for part in self.parts for p in part.passes), Pass(self.model, "embed"))

    def novelty(self, outputs: Sequence[Outputs]) -> np.ndarray | None:
        """Compute (crystals,) distances in embedding space over the one of ordinary new crystals.

        Args:
          outputs: outputs of `passes`, in their order.
        """
        return self.domain.novelty(outputs[-1]["embedding"])

    def digest(self, target: str) -> str:
        """Hash what predictions of a target depend on besides weights and normalizers."""
        parts = [
            part.digest(target) if isinstance(part, Predictor) else part.training_digest
            for part in self.parts
            if isinstance(part, Predictor | SimplePart)
        ]
        own = weights_digest([self.domain.points, np.array(self.domain.threshold)])
        return f"{parts} {self.weights} {self.errors} {own}"

    def _moments(
        self, target: str, outputs: Sequence[Outputs], data: Known
    ) -> tuple[np.ndarray, np.ndarray]:
        each, start = [], 0
        for part in self.parts:
            stop = start + len(part.passes)
            each.append(part.moments(target, outputs[start:stop], data))
            start = stop
        means, stds = (np.stack(rows) for rows in zip(*each, strict=True))
        mean, own = mixture(means, stds, np.array(list(self.weights.values())))
        if self.errors is None or self.uncertainty == "none":
            return mean, np.full(len(mean), np.nan)
        return mean, self.errors.std(own, self.domain.novelty(outputs[-1]["embedding"]))

    def _source(self, target: str) -> str:
        if self.errors is None:
            return "none: too few crystals to validate one"
        return self.errors.note() if self.uncertainty == "validated" else "none: not asked for"


def mixture(
    means: np.ndarray, stds: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the moments (crystals,) of a mixture of predictions (ways, crystals).

    Ways without a standard deviation (NaN) contribute to the spread alone.

    >>> mean, std = mixture(np.array([[1.0], [3.0]]), np.array([[1.0], [np.nan]]), np.full(2, 0.5))
    >>> mean, std.round(4)
    (array([2.]), array([1.4142]))
    """
    mean = weights @ means
    known = np.isfinite(stds)
    noise = weights @ np.square(np.where(known, stds, 0))
    noise = np.where(known.any(0), noise / np.maximum(weights @ known, 1e-300), np.nan)
    if len(means) > 1:
        return mean, np.sqrt(np.nan_to_num(noise) + weights @ np.square(means - mean))
    return mean, np.sqrt(noise)
