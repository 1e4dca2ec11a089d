"""Candidate on embeddings from elsewhere, such as those of a universal potential."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cgatjax.adaptation.candidates import Cost, Fitted
from cgatjax.config import GPConfig
from cgatjax.data.datasets import Dataset
from cgatjax.errors import InputError
from cgatjax.inference.adapted import Part
from cgatjax.inference.baselines import Known
from cgatjax.inference.embedding_table import read_embeddings
from cgatjax.inference.gaussian_process import SparseGP
from cgatjax.inference.gp_fitting import fit_gp
from cgatjax.inference.passes import Outputs, Pass
from cgatjax.model.model import Model


@dataclass(frozen=True, eq=False, kw_only=True)
class ExternalPart:
    """Gaussian process on embeddings that this library cannot compute; it is not saved.

    Attributes:
      model: any model; the process does not read it.
      process: fitted.
    """

    model: Model
    process: SparseGP

    @property
    def passes(self) -> tuple[Pass, ...]:
        """None: the embeddings come from elsewhere."""
        return ()

    @property
    def members(self) -> tuple[Model, ...]:
        """The model."""
        return (self.model,)

    def moments(
        self, target: str, outputs: Sequence[Outputs], data: Known
    ) -> tuple[np.ndarray, np.ndarray]:
        """Raise InputError: new crystals have no embeddings here.

        Args:
          target: the property.
          outputs: none.
          data: the crystals.
        """
        raise InputError("predictions need embeddings from elsewhere; use cgatjax.fit_gp on them")


@dataclass(frozen=True, eq=False, kw_only=True)
class External:
    """Gaussian process on embeddings from a file.

    Attributes:
      path: file of `read_embeddings`.
      target: property to learn.
      model: any model with the right graphs.
      vectors: id -> embedding.
    """

    path: Path
    target: str
    model: Model
    vectors: dict[str, np.ndarray]
    is_simple: bool = field(default=False, init=False)
    is_required: bool = field(default=False, init=False)
    cost: Cost = field(default="seconds", init=False)
    start: str = field(default="", init=False)

    @classmethod
    def load(cls, path: Path, crystals: Dataset, target: str, model: Model) -> "External":
        """Read the embeddings of all crystals of a task.

        Raises:
          InputError: the file is not a table of embeddings, or lacks crystals.
        """
        ids, embeddings = read_embeddings(path)
        vectors = dict(zip(ids, embeddings, strict=True))
        if missing := [name for name in crystals.ids if name not in vectors]:
            raise InputError(
                f"{path}: expected an embedding of each crystal with a value, {len(missing)} have "
                f"none: {missing[:5]}"
            )
        return cls(path=path, target=target, model=model, vectors=vectors)

    @property
    def name(self) -> str:
        """Name in tables."""
        return f"Gaussian process on {self.path.name}"

    def hidden_std(self, means: np.ndarray) -> float:
        """Return 0: what the embeddings know is not known."""
        return 0.0

    def seconds(self, crystals: int) -> float:
        """Estimate the seconds of a fit to this number of crystals."""
        return 4.0 + 25e-9 * min(crystals, 1200) ** 3

    def fit(self, data: Dataset, seed: int) -> Fitted:
        """Fit to crystals with a value."""
        config = GPConfig(seed=seed, one_scale=True)
        values = data.target(self.target)
        process = fit_gp(self._embeddings(data), values, config, show_progress=False)
        return Fitted(ExternalPart(model=self.model, process=process))

    def predict(self, part: Part, data: Dataset) -> tuple[np.ndarray, np.ndarray]:
        """Predict mean and standard deviation (crystals,) in the target's unit."""
        if not isinstance(part, ExternalPart):
            raise InputError(f"expected a part of {self.name}, got {type(part).__name__}")
        return part.process.predict(self._embeddings(data))

    def _embeddings(self, data: Dataset) -> np.ndarray:
        return np.stack([self.vectors[name] for name in data.ids])
