"""Options of `adapt`, and of the Gaussian processes that it and `fit-gp` fit."""

from dataclasses import dataclass
from typing import Literal

from cgatjax.options import Options


@dataclass(frozen=True, kw_only=True)
class AdaptConfig(Options):
    """Options of `adapt`.

    Attributes:
      minutes: time for all candidates together; cheap ones run first, and none is started that is
        expected to exceed it.
      split: JSON file with the ids of train, valid and test; train and valid are joined.
      split_by: crystals of the test set: new formulas ("formula"), all crystals with elements of
        some groups ("element-group") or periods ("period") of the periodic table, or structure
        types ("prototype").
      test_fraction: fraction of the crystals in the test set.
      baselines: property that is known for every crystal, also for new ones, such as the value of a
        cheaper functional, to learn the difference to; the volume of the cell is one without asking
        where the unit is that of the target.
      folds: folds of the cross-validation, by formula.
      steps: optimizer steps of each training of a whole network.
      next_count: number of crystals without a value to select for the next calculations.
      seed: random seed of splits, initialization and shuffling.

    Examples:
      >>> AdaptConfig(minutes=30).folds
      4
    """

    minutes: float = 3.0
    split: str | None = None
    split_by: Literal["formula", "element-group", "period", "prototype"] = "formula"
    test_fraction: float = 0.15
    baselines: tuple[str, ...] = ()
    folds: int = 4
    steps: int = 300
    next_count: int = 50
    seed: int = 0

    def _check(self) -> None:
        self._require_positive("minutes")
        self._require(0 < self.test_fraction < 1, "test_fraction", "a number between 0 and 1")
        self._require(2 <= self.folds <= 20, "folds", "2..20")
        self._require_at_least(1, "steps")
        self._require_at_least(0, "next_count")
        self._require_seed()


@dataclass(frozen=True, kw_only=True)
class GPConfig(Options):
    """Options of the fit of a sparse Gaussian process to crystal embeddings.

    Attributes:
      inducing: number of inducing points, at most one per crystal.
      kernel: kernel; rbf is the reference's.
      one_scale: one length scale for all directions of the embedding (the reference's), instead of
        one for each.
      steps: optimizer steps (Adam).
      batch_size: crystals per step.
      learning_rate: initial learning rate; it decays to zero along a cosine.
      seed: random seed of k-means and of the batches.

    Examples:
      >>> GPConfig(inducing=100).kernel
      'matern52'
    """

    inducing: int = 300
    kernel: Literal["matern52", "rbf"] = "matern52"
    one_scale: bool = False
    steps: int = 1000
    batch_size: int = 256
    learning_rate: float = 0.02
    seed: int = 0

    def _check(self) -> None:
        self._require_at_least(1, "inducing", "batch_size")
        self._require_at_least(0, "steps")
        self._require_positive("learning_rate")
        self._require_seed()
