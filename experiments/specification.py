"""What a training is: a frozen description that fixes every number of it, and a hash of that.

A pre-training is a `Training` like any other; a transfer names the one that it starts from. Two
experiments that describe the same training share it.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import cgatjax as cg
from cgatjax.errors import ConfigError
from cgatjax.runs.run_folder import SAFE_TO_CHANGE

VALIDATIONS = 30
"""About so many times a training is validated."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """One training of one network.

    Attributes:
      data: name of the data set (`sources.Source`).
      target: property to learn; "e-form@PBE" reads the column "e-form".
      size: crystals of a nested subset of the training part, chosen by the seed; None for all.
      minimum: only crystals whose target is above this are used, in all three parts.
      held_out: data sets whose validation and test formulas this training must not see.
      model: sizes and variants of the network.
      train: how it is trained; `epochs` and `validate_every` follow from `steps`.
      steps: optimizer steps, about (whole epochs, batches may end early).
      start: the training whose best weights are carried over; None to train from scratch.
      mode: how they are carried over.
      normalizer: of the transfer.
      lr_groups: (pattern of parameters, factor on the learning rate) pairs of the transfer.
      frozen_share: part of the epochs of the transfer in which the encoder stands still.
      seed: of the subset, the initialization and the shuffling; the split never changes.
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
            raise ConfigError(f"expected a positive size and steps, got {self.size}, {self.steps}")
        if (self.start is None) != (self.mode == "none"):
            raise ConfigError(f"mode {self.mode!r}: expected a start for every mode but none")

    def replace(self, **changes: Any) -> "Training":
        """A copy with some attributes changed."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Everything that determines the result but the data, as plain values."""
        plain = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        train = self.train.to_dict()
        plain["train"] = {name: v for name, v in train.items() if name not in SAFE_TO_CHANGE}
        plain["model"] = self.model.to_dict()
        plain["start"] = self.start.to_dict() if self.start is not None else None
        return plain

    def schedule(self, crystals: int) -> cg.TrainConfig:
        """The training options for so many crystals per epoch."""
        epochs = max(1, round(self.steps / math.ceil(crystals / self.train.batch_size)))
        return self.train.replace(
            epochs=epochs, validate_every=max(1, epochs // VALIDATIONS), seed=self.seed
        )

    def chain(self) -> Iterator["Training"]:
        """The trainings that it builds on, first one first, and itself."""
        if self.start is not None:
            yield from self.start.chain()
        yield self

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of all data sets that its result depends on."""
        named = [n for t in self.chain() for n in (t.data, *t.held_out)]
        return tuple(dict.fromkeys(named))

    def key(self, fingerprints: Mapping[str, str]) -> str:
        """16 hex digits for everything that determines the result, the package's version included.

        Args:
          fingerprints: data set -> hash of its contents and its split.
        """
        data = {name: fingerprints[name] for name in self.datasets}
        content = [cg.__version__, self.to_dict(), data]
        text = json.dumps(content, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One row of a results table: a way to train, with its candidates for the learning rate.

    The candidate with the lowest validation error is the one that reads the test set, once.

    Attributes:
      labels: columns that say what the row is.
      candidates: trainings that differ in the learning rate alone.
    """

    labels: Mapping[str, Any]
    candidates: tuple[Training, ...]

    def key(self, fingerprints: Mapping[str, str]) -> str:
        """16 hex digits, from the keys of the candidates."""
        text = "+".join(t.key(fingerprints) for t in self.candidates)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def at_rates(training: Training, rates: tuple[float, ...]) -> tuple[Training, ...]:
    """The training with each of the learning rates."""
    return tuple(training.replace(train=training.train.replace(learning_rate=r)) for r in rates)


def needed(cells: list[Cell]) -> list[Training]:
    """All distinct trainings of a grid, each after the one that it starts from."""
    chained = (t for cell in cells for c in cell.candidates for t in c.chain())
    return list(dict.fromkeys(chained))


def distinct(cells: list[Cell]) -> list[Cell]:
    """The cells without those whose trainings an earlier one has, too."""
    found: dict[tuple[Training, ...], Cell] = {}
    for cell in cells:
        found.setdefault(cell.candidates, cell)
    return list(found.values())
