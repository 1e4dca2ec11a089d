"""Ways from a pre-trained model to the values of a target set: networks, Gaussian process, trees.

All of them learn what a baseline and element references leave over, if there are any; "value",
full transfer of the value itself, alone does not.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

import cgatjax as cg
from cgatjax.inference.gp_fitting import fit_gp
from cgatjax.inference.prediction import embed
from cgatjax.simple_models import SimpleModel, composition_features
from cgatjax.training.target_fit import known_parts
from cgatjax.training.transfer_params import prepare_transfer

Way = Literal["full", "head", "none", "value", "gp", "trees", "trees-embedding", "mean"]
NETWORKS = {"full": "full", "head": "head", "none": "none", "value": "full"}
"""Way -> transfer mode, with a learning rate."""
Fit = Callable[[np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]]
"""Fit features and values of training crystals; the result predicts values from features."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Start:
    """Pre-trained model, and the crystals to train, validate and test on.

    Attributes:
      model: the model.
      target: property to learn.
      data: training, validation and test set.
      options: options of trainings; every way has their baseline, references and seed.
    """

    model: cg.Model
    target: str
    data: Sequence[cg.Dataset]
    options: cg.TrainConfig

    def predict(self, way: Way, rate: float | None, folder: Path) -> list[np.ndarray]:
        """Train or fit, and predict the validation and the test set.

        Args:
          way: transfer mode, or what is fitted.
          rate: learning rate of a network.
          folder: folder of its training.
        """
        if rate is not None:
            return self._network(way, rate, folder)
        fit: Fit = self._process if way == "gp" else self._simple(way)
        x = {"gp": self._embeddings, "trees-embedding": self._both}.get(way, self._composition)()
        predict = fit(x[0], self.data[0].target(self.target) - self._known[0])
        return [known + predict(new) for known, new in zip(self._known[1:], x[1:], strict=True)]

    @cached_property
    def _known(self) -> list[np.ndarray]:
        """Baseline + references of the crystals of each set."""
        plain = {"mode": "none", "target": self.target}
        config = cg.TransferConfig.of(plain).replace(train=self.options)
        model = prepare_transfer(self.model, self.data[0], config).model
        return [known_parts(model, data, (self.target,))[self.target] for data in self.data]

    def _composition(self) -> list[np.ndarray]:
        """Composition statistics of each set, and what is known, if anything is."""
        return [
            composition_features(data, [known] if self._known[0].any() else [])
            for data, known in zip(self.data, self._known, strict=True)
        ]

    def _embeddings(self) -> list[np.ndarray]:
        return [embed(self.model, data) for data in self.data]

    def _both(self) -> list[np.ndarray]:
        pairs = zip(self._composition(), self._embeddings(), strict=True)
        return [np.column_stack(pair) for pair in pairs]

    def _simple(self, way: Way) -> Fit:
        model = SimpleModel("mean" if way == "mean" else "trees", seed=self.options.seed)
        return lambda x, y: model.fit(x, y).predict

    def _process(self, x: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        config = cg.GPConfig(seed=self.options.seed)
        process = fit_gp(x, y, config, show_progress=False)
        return lambda new: process.predict(new)[0]

    def _network(self, way: str, rate: float, folder: Path) -> list[np.ndarray]:
        options = self.options.replace(learning_rate=rate)
        if way == "value":
            options = options.replace(baseline=None, references=False)
        config = cg.TransferConfig.of({"mode": NETWORKS[way], "target": self.target})
        config = config.replace(train=options)
        run = cg.RunFolder(folder, resume=folder.exists())
        model, _ = cg.transfer_model(self.model, self.data, config, run=run, show_progress=False)
        sets = self.data[1:]
        return [cg.predict(model, d, show_progress=False).means[self.target] for d in sets]
