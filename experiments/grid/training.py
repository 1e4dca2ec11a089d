"""Specifications: a training with its key, and a row of a results table with its trainings."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import cgatjax as cg
from cgatjax.errors import ConfigError
from cgatjax.runs.run_folder import SAFE_TO_CHANGE

VALIDATIONS = 30
"""Approximate number of validations of a training."""
Fingerprint = Callable[[str], str]
"""Name of a data set -> hash of its contents and its split."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """Specification of one training; fixes every number of the result.

    Pre-training and transfer are specified alike. Experiments share trainings with equal
    specifications. The names of the attributes enter the key: do not rename them.

    Attributes:
      data: name of the data set.
      target: property to learn.
      size: size of a nested subset of the training set, drawn with `seed`; None for all crystals.
      minimum: exclusive lower bound of the target in all three subsets; None for no bound.
      held_out: data sets whose validation and test formulas are excluded.
      model: network.
      train: training options; `epochs` and `validate_every` follow from `steps`.
      steps: approximate number of optimizer steps (rounded to whole epochs).
      start: training whose best weights are transferred; None to train from scratch.
      mode: transfer mode.
      normalizer: normalizer of the transfer.
      lr_groups: (parameter pattern, factor on the learning rate) pairs of the transfer.
      frozen_share: fraction of the epochs of the transfer with a frozen encoder.
      seed: seed of subset, initialization and shuffling; the split is the same for all seeds.
    """

    data: str
    target: str
    size: int | None = None
    minimum: float | None = None
    held_out: tuple[str, ...] = ()
    model: cg.ModelConfig
    train: cg.TrainConfig
    steps: int
    start: "Training | None" = None
    mode: Literal["none", "head", "full", "joint"] = "none"
    normalizer: Literal["refit", "keep"] = "refit"
    lr_groups: tuple[tuple[str, float], ...] = ()
    frozen_share: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or (self.size is not None and self.size < 1):
            raise ConfigError(f"expected positive size and steps, got {self.size}, {self.steps}")
        if (self.start is None) != (self.mode == "none"):
            raise ConfigError(f"mode {self.mode!r}: expected a start for every mode but none")

    def replace(self, **changes: Any) -> "Training":
        """Return a copy with changed attributes."""
        return dataclasses.replace(self, **changes)

    def at_rates(self, rates: Iterable[float]) -> tuple["Training", ...]:
        """Return a copy for each peak learning rate."""
        return tuple(self.replace(train=self.train.replace(learning_rate=r)) for r in rates)

    def to_dict(self) -> dict[str, Any]:
        """Return all options that can change the result, as plain values."""
        plain = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        train = self.train.to_dict()
        plain["train"] = {name: v for name, v in train.items() if name not in SAFE_TO_CHANGE}
        plain["model"] = self.model.to_dict()
        plain["start"] = self.start.to_dict() if self.start is not None else None
        return plain

    def schedule(self, crystals: int) -> cg.TrainConfig:
        """Return the training options for a number of crystals per epoch."""
        epochs = max(1, round(self.steps / math.ceil(crystals / self.train.batch_size)))
        return self.train.replace(
            epochs=epochs, validate_every=max(1, epochs // VALIDATIONS), seed=self.seed
        )

    def chain(self) -> Iterator["Training"]:
        """Yield the trainings that this one depends on, in order, and itself."""
        if self.start is not None:
            yield from self.start.chain()
        yield self

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of all data sets that the result depends on."""
        return tuple(dict.fromkeys(n for t in self.chain() for n in (t.data, *t.held_out)))

    def key(self, fingerprint: Fingerprint) -> str:
        """Return 16 hex digits that hash specification, data and version of the package."""
        data = {name: fingerprint(name) for name in self.datasets}
        text = json.dumps([cg.__version__, self.to_dict(), data], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Row:
    """Row of a results table, with the candidates for its training.

    Only the candidate with the lowest validation error is evaluated on the test set.

    Attributes:
      labels: columns that name the row; "way" is the transfer mode or "pre-training".
      candidates: trainings that differ in the learning rate or the weight decay.
    """

    labels: Mapping[str, Any]
    candidates: tuple[Training, ...]

    def key(self, fingerprint: Fingerprint) -> str:
        """Return 16 hex digits that hash the keys of the candidates."""
        text = "+".join(t.key(fingerprint) for t in self.candidates)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def trainings_of(rows: Iterable[Row]) -> list[Training]:
    """Return all distinct trainings of rows, each after the training that it starts from."""
    return list(dict.fromkeys(t for row in rows for c in row.candidates for t in c.chain()))
