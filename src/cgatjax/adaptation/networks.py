"""Candidates that train a network: head, all after the head, all, layer by layer, from scratch."""

import functools
import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from cgatjax.adaptation import sources
from cgatjax.adaptation.candidates import Cost, Fitted, learned_part, predictions_of
from cgatjax.adaptation.sources import Source
from cgatjax.adaptation.task import held_back
from cgatjax.config import ModelConfig, TrainConfig, TransferConfig
from cgatjax.data.datasets import Dataset
from cgatjax.inference.adapted import Part
from cgatjax.inference.predictor import Predictor
from cgatjax.model.model import Model, init_model
from cgatjax.training.loop import fit
from cgatjax.training.optimizer import Labels
from cgatjax.training.trainer import RatesAt
from cgatjax.training.transfer_params import prepare_transfer, rates_at

Way = Literal["head", "head then all", "all", "layer-wise", "from scratch"]
STOPPING = 0.1
"""Fraction of the training crystals that choose the epoch, so that validation folds do not."""
VALIDATIONS = 25
"""Validations in a training."""
_HEAD_STEPS = 500
"""Steps of a head on cached embeddings, which are a hundred times as fast."""
_RATES: dict[Way, float] = {
    "head": 1e-3,
    "head then all": 2e-4,
    "all": 2e-4,
    "layer-wise": 1e-3,
    "from scratch": 1e-3,
}
_DIFFERENCE_RATE = 1e-3
"""Learning rate of whole networks for differences, which are new to a pre-trained network: at a
third of it they are 11 % less accurate (docs/results/simple_answers.md)."""
_LAYER_FACTOR = 0.6
"""Learning rate of a message-passing step over that of the next one."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """Training of a network.

    Attributes:
      way: what is trained, in which order.
      source: model to start from; gives graph options and elements if from scratch.
      target: property to learn.
      steps: optimizer steps on the whole network.
      baseline: property to learn the difference to; None for none.
    """

    way: Way
    source: Source
    target: str
    steps: int
    baseline: str | None = None
    is_simple: bool = field(default=False, init=False)
    is_required: bool = field(default=False, init=False)

    @property
    def name(self) -> str:
        """Name in tables."""
        known = f"{self.baseline} + " if self.baseline is not None else ""
        if self.way == "from scratch":
            return f"{known}network from scratch"
        about = {"layer-wise": "all, layer-wise rates"}.get(self.way, self.way)
        return f"{known}{about} of {self.source.name}"

    def hidden_std(self, means: np.ndarray) -> float:
        """Estimate the standard deviation of the error that cross-validation does not show."""
        if self.way == "from scratch":
            return 0.0
        learned = learned_part(self.source, self.baseline, means)
        return self.source.hidden_std(self.target, learned)

    @property
    def start(self) -> str:
        """Name of the source model that it starts from; "" for none."""
        return self.source.name if self.way != "from scratch" else ""

    @property
    def cost(self) -> Cost:
        """Cheap if the encoder is frozen."""
        return "seconds" if self.way == "head" else "minutes"

    def seconds(self, crystals: int) -> float:
        """Estimate the seconds of a fit to this number of crystals."""
        if self.way == "head":
            return 15.0 + 3e-3 * _HEAD_STEPS
        step, compiling = self.source.step_seconds
        head = 5.0 + 3e-3 * _HEAD_STEPS if self.way == "head then all" else 0.0
        return head + compiling + 1.3 * step * self.steps

    def predict(self, part: Part, data: Dataset) -> tuple[np.ndarray, np.ndarray]:
        """Predict mean and standard deviation (crystals,) in the target's unit."""
        return predictions_of(part, data, self.target, self.source.crystals)

    def fit(self, data: Dataset, seed: int) -> Fitted:
        """Train on crystals with a value; a tenth of them chooses the epoch."""
        kept, stopping = held_back(data, STOPPING, seed)
        train, valid = data.select(kept), data.select(stopping)
        if self.way == "from scratch":
            model, steps = self._from_scratch(train, valid, seed)
        else:
            model, steps = self._transferred(train, valid, seed)
        return Fitted(Predictor.of(model), steps)

    def _transferred(self, train: Dataset, valid: Dataset, seed: int) -> tuple[Model, int]:
        model = self.source.model
        if self.way in ("head", "head then all"):
            config = self._config(train, _HEAD_STEPS, _RATES["head"], seed)
            options = TransferConfig(mode="head", target=self.target, train=config)
            model, _ = self._fine_tuned(model, train, valid, options)
            if self.way == "head":
                return model, 0
        rate = _RATES[self.way] if self.baseline is None else _DIFFERENCE_RATE
        config = self._config(train, self.steps, rate, seed)
        groups = layer_groups(model.config) if self.way == "layer-wise" else ()
        # After the head, the mean and standard deviation are those of these crystals already.
        options = TransferConfig(mode="full", target=self.target, lr_groups=groups, train=config)
        return self._fine_tuned(model, train, valid, options)

    def _fine_tuned(
        self, model: Model, train: Dataset, valid: Dataset, options: TransferConfig
    ) -> tuple[Model, int]:
        """Train from a model as `transfer_model` does, without errors before the first step."""
        prepared = prepare_transfer(model, train, options)
        rates = functools.partial(rates_at, options)
        return self._fitted(prepared.model, train, valid, options.train, prepared.labels, rates)

    def _fitted(
        self,
        model: Model,
        train: Dataset,
        valid: Dataset,
        config: TrainConfig,
        labels: Labels | None = None,
        rates: RatesAt | None = None,
    ) -> tuple[Model, int]:
        """Train a model, with programs that all folds share, and count its steps."""
        trained, history = fit(
            model,
            train,
            valid,
            config,
            labels=labels,
            rates=rates,
            shapes_of=self.source.crystals,
            show_progress=False,
        )
        return trained, int(history.rows[-1]["step"])

    def _from_scratch(self, train: Dataset, valid: Dataset, seed: int) -> tuple[Model, int]:
        start = init_model(
            sources.NETWORK,
            train,
            target=self.target,
            seed=seed,
            element_table=self.source.model.element_table,
        )
        config = self._config(train, self.steps, _RATES[self.way], seed)
        return self._fitted(start, train, valid, config)

    def _config(self, train: Dataset, steps: int, rate: float, seed: int) -> TrainConfig:
        """Make training options with about this number of steps, and few validations."""
        # An eighth of the crystals of a fold to train on; of the pool, so that folds are alike.
        batch = int(np.clip(len(self.source.pool) // 12, 4, 64))
        epochs = max(round(steps / math.ceil(len(train) / batch)), 1)
        return TrainConfig(
            epochs=epochs,
            batch_size=batch,
            learning_rate=rate,
            loss="robust_l1",
            # From scratch the high rates of a triangle delay overfitting (docs/results/recipe.md).
            schedule="cyclical" if self.way == "from scratch" else "cosine",
            baseline=self.baseline,
            validate_every=max(epochs // VALIDATIONS, 1),
            seed=seed,
        )


def layer_groups(config: ModelConfig) -> tuple[tuple[str, float], ...]:
    """Make learning-rate groups that decrease from the head to the element vectors.

    >>> layer_groups(ModelConfig.small())[:2]
    (('encoder/pooling*', 0.6), ('encoder/node_2*', 0.36))
    """
    steps = [(f"encoder/node_{i}*", i) for i in reversed(range(config.steps))]
    groups = [("encoder/pooling*", _LAYER_FACTOR)]
    groups += [(pattern, _LAYER_FACTOR ** (1 + config.steps - i)) for pattern, i in steps]
    lowest = _LAYER_FACTOR ** (2 + config.steps)
    return tuple((p, round(f, 6)) for p, f in [*groups, ("encoder/*", lowest)])
