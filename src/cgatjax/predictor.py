"""What predicts: one model or an ensemble of them, and how sure it says it is.

A deep ensemble (Lakshminarayanan et al., NeurIPS 2017, arXiv:1612.01474) is several models that
differ in their seed alone. Its prediction is the mean of theirs; its variance is the variance
between them plus, where a robust loss was used, the mean of the variances that they predict.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cgatjax.config import GraphConfig
from cgatjax.errors import ConfigError, InputError, MismatchError
from cgatjax.model import Model

Uncertainty = Literal["ensemble", "aleatoric", "none"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Predictor:
    """Models that predict the same properties of the same graphs.

    Attributes:
      members: one model, or those of an ensemble; equal in everything but weights and normalisers.
      uncertainty: what the standard deviation is made of: "ensemble" (spread between the members
        and what they learned of the noise), "aleatoric" (only what they learned), or "none".

    Raises:
      InputError: no member.
      MismatchError: members with different options, targets, units or elements.
      ConfigError: an uncertainty that these members do not have.
    """

    members: tuple[Model, ...]
    uncertainty: Uncertainty

    def __post_init__(self) -> None:
        if not self.members:
            raise InputError("expected at least one model to predict with, got none")
        for number, other in enumerate(self.members[1:], 1):
            _check_equal(self.model, other, number)
        if self.uncertainty not in ("none", *available(self.members)):
            raise ConfigError(
                f"uncertainty {self.uncertainty!r}: this predictor has "
                f"{list(available(self.members)) or 'none'}; an ensemble comes from "
                "train --ensemble N, an aleatoric one from --loss robust_l1 or robust_l2"
            )

    @classmethod
    def of(
        cls, models: "Model | Predictor | Sequence[Model]", uncertainty: Uncertainty | None = None
    ) -> "Predictor":
        """A predictor of one or several models; by default with the first kind that they have."""
        if isinstance(models, Predictor):
            if uncertainty is None:
                return models
            return dataclasses.replace(models, uncertainty=uncertainty)
        members = (models,) if isinstance(models, Model) else tuple(models)
        kinds: tuple[Uncertainty, ...] = (*available(members), "none")
        return cls(members=members, uncertainty=uncertainty or kinds[0])

    @property
    def model(self) -> Model:
        """The first member, whose options, targets and units are those of all."""
        return self.members[0]

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the properties."""
        return self.model.targets

    @property
    def units(self) -> dict[str, str]:
        """Target -> unit, "" where unknown."""
        return {t: self.model.units.get(t, "") for t in self.targets}

    @property
    def graph_config(self) -> GraphConfig:
        """The options that graphs must be made with."""
        return self.model.graph_config

    def moments(self, target: str, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation in the target's unit.

        Args:
          target: one of `targets`.
          outputs: (members, crystals, 2) outputs of the networks, in the order of `members`.

        Returns:
          (crystals,) float64 each; the standard deviation is NaN where there is none.

        Raises:
          InputError: a member was never trained.
        """
        each = [in_units(m, target, o) for m, o in zip(self.members, outputs, strict=True)]
        means, stds = (np.stack(rows) for rows in zip(*each, strict=True))
        mean = means.mean(0)
        if self.uncertainty == "none" or not self._has_std(target):
            return mean, np.full(len(mean), np.nan)
        variance = np.square(stds).mean(0) if self._learns(target) else np.zeros(len(mean))
        if self.uncertainty == "ensemble":
            variance = variance + means.var(0)
        return mean, np.sqrt(variance)

    def std_note(self, target: str) -> str:
        """How the standard deviation of a target is made, or why there is none."""
        n, learned = len(self.members), "aleatoric, learned by a robust loss"
        if self.uncertainty == "ensemble":
            also = f" and {learned}" if self._learns(target) else ""
            return f"ensemble of {n}: spread between the members{also}"
        if self.uncertainty == "aleatoric" and self._learns(target):
            return learned if n == 1 else f"{learned}, mean of {n} members"
        if self._learns(target):
            return "none: not asked for"
        return "none: the model was not trained with a robust loss (--loss robust_l1 or robust_l2)"

    def _learns(self, target: str) -> bool:
        return all(target in m.learns_std for m in self.members)

    def _has_std(self, target: str) -> bool:
        return self.uncertainty == "ensemble" or self._learns(target)


def available(members: Sequence[Model]) -> tuple[Uncertainty, ...]:
    """The kinds of uncertainty that models have, the most telling one first."""
    kinds: list[Uncertainty] = ["ensemble"] if len(members) > 1 else []
    learned = [set(m.targets) & set(m.learns_std) for m in members]
    return (*kinds, "aleatoric") if members and set.intersection(*learned) else tuple(kinds)


def in_units(model: Model, target: str, output: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation in the target's unit from (crystals, 2) outputs of a network.

    Raises:
      InputError: the model was never trained.
    """
    if target not in model.normalizers:
        raise InputError(f"the model has no mean and std of {target!r}: train it before predicting")
    scale = model.normalizers[target]
    mean = output[:, 0].astype(np.float64) * scale.std + scale.mean
    if target not in model.learns_std:
        return mean, np.full(len(mean), np.nan)
    return mean, np.exp(output[:, 1].astype(np.float64)) * scale.std


def _check_equal(first: Model, other: Model, number: int) -> None:
    """Raises MismatchError unless two members fit together."""
    parts = {
        "network": (first.config.to_dict(), other.config.to_dict()),
        "graph options": (first.graph_config.to_dict(), other.graph_config.to_dict()),
        "units": (dict(first.units), dict(other.units)),
        "element table": (first.element_table.name, other.element_table.name),
    }
    different = [name for name, (a, b) in parts.items() if a != b]
    if not different and first.element_table != other.element_table:
        different = ["element table"]
    if different:
        raise MismatchError(
            f"member {number} differs from member 0 in its {', '.join(different)}; "
            "an ensemble is made of models that differ in their weights alone"
        )
