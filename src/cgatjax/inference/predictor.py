"""Predictor: a model or an ensemble, with its uncertainty estimate.

A deep ensemble (Lakshminarayanan et al., NeurIPS 2017, arXiv:1612.01474) is several models that
differ in their seed alone. Its prediction is the mean of its members; its variance is the variance
between them plus, with a robust loss, the mean of the variances that they predict.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from cgatjax.config import GraphConfig
from cgatjax.data.datasets import Crystals
from cgatjax.errors import ConfigError, InputError, MismatchError
from cgatjax.inference.baselines import Known, known_part, properties_needed, require_known
from cgatjax.inference.gaussian_process import SparseGP
from cgatjax.inference.memory import was_trained_on
from cgatjax.inference.passes import Outputs, Pass
from cgatjax.inference.uncertainty_io import Rescaling, Rescalings
from cgatjax.model.model import Model, require_model, weights_digest
from cgatjax.model.training_record import SeenBy

Uncertainty = Literal["validated", "ensemble", "aleatoric", "gp", "none"]
UNCERTAINTIES: tuple[Uncertainty, ...] = ("validated", "ensemble", "aleatoric", "gp")
"""Kinds of standard deviation in the order of preference; "gp" on request only."""
_LEARNED = "aleatoric, learned by a robust loss"
REMEDY = (
    "train with --loss robust_l1, or run `cgatjax fit-gp RUN STORE` and predict with "
    "--uncertainty gp"
)
"""Ways to a standard deviation for a model without one."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Predictor:
    """Predictor of properties: one model, or an ensemble of models of the same properties.

    Attributes:
      members: one model, or those of an ensemble; equal in everything but weights and normalizers.
      uncertainty: kind of standard deviation: "ensemble" (spread between the members and the noise
        that they predict), "aleatoric" (the predicted noise only), "gp" (a Gaussian process on the
        first member's embedding, which then makes the prediction, too), or "none".
      processes: target -> fitted Gaussian process; empty if there are none.
      rescalings: kind of uncertainty -> target -> factor on the standard deviation.

    Raises:
      InputError: no member.
      MismatchError: members with different options, targets, units or elements.
      ConfigError: an uncertainty that this predictor does not have.
    """

    members: tuple[Model, ...]
    uncertainty: Uncertainty
    processes: Mapping[str, SparseGP] = field(default_factory=dict)
    rescalings: Rescalings = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.members:
            raise InputError("expected at least one model to predict with, got none")
        for number, other in enumerate(self.members[1:], 1):
            _check_equal(self.model, other, number)
        self.check_uncertainty()

    def check_uncertainty(self) -> None:
        """Raise ConfigError unless the predictor has the kind of uncertainty that it is to use."""
        if self.uncertainty not in ("none", *self.available):
            raise ConfigError(
                f"uncertainty {self.uncertainty!r}: expected one of those that this predictor has, "
                f"{list(self.available)}; an ensemble comes from train --ensemble N, an aleatoric "
                "one from --loss robust_l1 or robust_l2, a Gaussian process from fit-gp"
            )

    @classmethod
    def of(
        cls,
        models: "Model | Predictor | Sequence[Model]",
        uncertainty: Uncertainty | None = None,
        processes: Mapping[str, SparseGP] | None = None,
        rescalings: Rescalings | None = None,
    ) -> "Predictor":
        """Make a predictor of one or several models, by default with their preferred kind.

        A Gaussian process is used only if it is asked for, because it predicts other means.
        A predictor is returned as it is, or with another kind of uncertainty if one is named.
        """
        if isinstance(models, Predictor):
            if uncertainty is None:
                return models
            return dataclasses.replace(models, uncertainty=uncertainty)
        members = tuple(models) if isinstance(models, list | tuple) else (models,)
        for member in members:
            require_model(member)
        start = cls(
            members=members,
            uncertainty="none",
            processes=processes or {},
            rescalings=rescalings or {},
        )
        kinds = [kind for kind in start.available if kind != "gp"]
        return dataclasses.replace(start, uncertainty=uncertainty or [*kinds, "none"][0])

    def __repr__(self) -> str:
        members = f"{len(self.members)} x " if len(self.members) > 1 else ""
        return f"Predictor({members}{self.model!r}; std: {self.uncertainty})"

    @property
    def available(self) -> tuple[Uncertainty, ...]:
        """Available kinds of uncertainty, in the order of `UNCERTAINTIES`."""
        has = {
            "validated": False,
            "ensemble": len(self.members) > 1,
            "aleatoric": any(self._learns(t) for t in self.targets),
            "gp": len(self.processes) > 0 and set(self.processes) >= set(self.targets),
        }
        return tuple(kind for kind in UNCERTAINTIES if has[kind])

    @property
    def model(self) -> Model:
        """First member, whose options, targets and units all members share."""
        return self.members[0]

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the predicted properties."""
        return self.model.targets

    @property
    def units(self) -> dict[str, str]:
        """Units of the targets, "" where unknown."""
        return {t: self.model.units.get(t, "") for t in self.targets}

    @property
    def graph_config(self) -> GraphConfig:
        """Graph options of the models."""
        return self.model.graph_config

    @property
    def unseen(self) -> np.ndarray | None:
        """(104,) bool, elements that a member was never trained on; None if unknown of one."""
        masks = [m.record.unseen if m.record is not None else None for m in self.members]
        known = [mask for mask in masks if mask is not None]
        return np.any(known, axis=0) if len(known) == len(masks) else None

    def seen(self, data: Crystals, by: SeenBy = "graph") -> np.ndarray:
        """Return (crystals,) bool, True for crystals that a member was trained on.

        Args:
          data: crystals with the graph options of the models.
          by: "graph" for equal crystals, "formula" for crystals of the same reduced formula.

        Raises:
          InputError: no member has a record of its training.
        """
        return was_trained_on(self.members, data, by)

    @property
    def passes(self) -> tuple[Pass, ...]:
        """Forward passes whose outputs `moments` takes, in this order."""
        sources = (p for source in self._sources.values() for p in source.passes)
        return (*self._own_passes, *sources)

    @property
    def properties(self) -> tuple[str, ...]:
        """Properties of the crystals that predictions need: the baselines of the targets."""
        return properties_needed(self.members)

    @property
    def _own_passes(self) -> tuple[Pass, ...]:
        if self.uncertainty == "gp":
            return (Pass(self.model, "embed"),)
        return tuple(Pass(member, "apply") for member in self.members)

    @property
    def _sources(self) -> "dict[tuple[int, str], Predictor]":
        """Predictors of the models that are baselines, by member and target."""
        members = self.members[: len(self._own_passes)]
        return {
            (number, target): Predictor.of(source, "none")
            for number, member in enumerate(members)
            for target, source in member.sources.items()
        }

    def without_rescaling(self) -> "Predictor":
        """Remove the factors of `calibrate` from the standard deviations."""
        return dataclasses.replace(self, rescalings={})

    def moments(
        self, target: str, outputs: Sequence[Outputs], data: Known
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compute mean and standard deviation in the target's unit.

        Args:
          target: one of `targets`.
          outputs: outputs of `passes`, in their order.
          data: the crystals, with the `properties` that are baselines.

        Returns:
          (crystals,) float64 each; the standard deviation is NaN where there is none.

        Raises:
          InputError: a member was never trained.
          TargetError: a crystal does not have a property that is a baseline.
        """
        require_known(self.members, data)
        mean, std = self._moments(target, outputs, data)
        rescaling = self._rescaling(target)
        return mean, std * rescaling.factor if rescaling is not None else std

    def std_note(self, target: str) -> str:
        """Describe the origin of a target's standard deviation, or why there is none."""
        note, rescaling = self._source(target), self._rescaling(target)
        if rescaling is None:
            return note
        return f"{note}; times {rescaling.factor:.4g}, fitted on {rescaling.n} {rescaling.data}"

    def digest(self, target: str) -> str:
        """Hash what predictions of a target depend on besides weights and normalizers."""
        found = self.processes.get(target) if self.uncertainty == "gp" else None
        numbers = (
            [found.process, found.x_mean, found.x_std, found.y_mean, found.y_std] if found else []
        )
        return f"{weights_digest(numbers)} {self._rescaling(target)}"

    def novelty(self, outputs: Sequence[Outputs]) -> np.ndarray | None:
        """Compute how far crystals are from the training crystals, None if that is unknown.

        Args:
          outputs: outputs of `passes`, in their order.

        Returns:
          (crystals,) distances in embedding space over the one of ordinary new crystals.
        """
        return None

    def _moments(
        self, target: str, outputs: Sequence[Outputs], data: Known
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compute the moments before rescaling."""
        own = outputs[: len(self._own_passes)]
        known = self._known_parts(target, outputs, data)
        if self.uncertainty == "gp":
            mean, std = self.processes[target].predict(own[0]["embedding"])
            return mean + known[0], std
        return self._mixture(target, [found[target] for found in own], known)

    def _known_parts(
        self, target: str, outputs: Sequence[Outputs], data: Known
    ) -> list[np.ndarray]:
        """Compute baseline + references, (crystals,) or (1,), of the members that are run."""
        predicted, start = dict[int, np.ndarray](), len(self._own_passes)
        for (number, name), source in self._sources.items():
            stop = start + len(source.passes)
            if name == target:
                head = source.targets[0]
                predicted[number] = source.moments(head, outputs[start:stop], data)[0]
            start = stop
        members = self.members[: len(self._own_passes)]
        return [
            known_part(member, target, data, predicted.get(number))
            if target in member.normalizers and member.normalizers[target].known_part
            else np.zeros(1)
            for number, member in enumerate(members)
        ]

    def _mixture(
        self, target: str, outputs: Sequence[np.ndarray], known: Sequence[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compute the moments of an even mixture of the members' predictions."""
        each = [in_units(m, target, o) for m, o in zip(self.members, outputs, strict=True)]
        means = np.stack([mean + part for (mean, _), part in zip(each, known, strict=True)])
        stds = np.stack([std for _, std in each])
        mean, learns = means.mean(0), self._learns(target)
        if self.uncertainty == "none" or not (self.uncertainty == "ensemble" or learns):
            return mean, np.full(len(mean), np.nan)
        variance = np.square(stds).mean(0) if learns else np.zeros(len(mean))
        if self.uncertainty == "ensemble":
            variance = variance + means.var(0)
        return mean, np.sqrt(variance)

    def _source(self, target: str) -> str:
        n, learns = len(self.members), self._learns(target)
        if self.uncertainty == "gp":
            gp = self.processes[target]
            size = len(gp.process.mean)
            if size == gp.n:
                return f"exact Gaussian process on embeddings of {gp.n} crystals"
            return f"Gaussian process on embeddings, {size} inducing points for {gp.n} crystals"
        if self.uncertainty == "ensemble":
            return f"ensemble of {n}: spread between the members{f' and {_LEARNED}' * learns}"
        if self.uncertainty == "aleatoric" and learns:
            return _LEARNED if n == 1 else f"{_LEARNED}, mean of {n} members"
        if learns:
            return "none: not asked for"
        if "gp" in self.available:
            return "none; the run has a Gaussian process: use it with --uncertainty gp"
        return f"none: the model was not trained with a robust loss; {REMEDY}"

    def _rescaling(self, target: str) -> Rescaling | None:
        return self.rescalings.get(self.uncertainty, {}).get(target)

    def _learns(self, target: str) -> bool:
        return all(target in m.predicts_std for m in self.members)


def in_units(model: Model, target: str, output: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Convert (crystals, 2) outputs of a network to mean and std, without baseline and references.

    InputError if the model was never trained.
    """
    if target not in model.normalizers:
        raise InputError(f"the model has no mean and std of {target!r}: train it before predicting")
    scale = model.normalizers[target]
    mean = output[:, 0].astype(np.float64) * scale.std + scale.mean
    if target not in model.predicts_std:
        return mean, np.full(len(mean), np.nan)
    return mean, np.exp(output[:, 1].astype(np.float64)) * scale.std


def _check_equal(first: Model, other: Model, number: int) -> None:
    """Raise MismatchError unless two members fit together."""
    parts = {
        "network": (first.config.to_dict(), other.config.to_dict()),
        "graph options": (first.graph_config.to_dict(), other.graph_config.to_dict()),
        "units": (dict(first.units), dict(other.units)),
        "baselines": (properties_needed([first]), properties_needed([other])),
        "element table": (first.element_table, other.element_table),
    }
    different = [name for name, (a, b) in parts.items() if a != b]
    if different:
        raise MismatchError(
            f"member {number} differs from member 0 in its {', '.join(different)}; "
            "an ensemble is made of models that differ in their weights alone"
        )
