"""Domain of a model: how far a crystal is from its training crystals in embedding space.

A crystal is out of distribution if it is farther from its nearest training crystal than nearly all
crystals of new formulas were in cross-validation, or if it contains an element that no training
crystal contains.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from cgatjax.errors import InputError

QUANTILE = 0.95
"""Share of the crystals of new formulas in cross-validation that are inside the domain."""
MOST = 5000
"""Number of training crystals that a domain keeps; of more, a random subset."""
BLOCK = 4096
"""Rows and columns of the distance matrix that are in memory at a time."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Domain:
    """Training crystals in embedding space, and the distance up to which predictions are inside.

    Attributes:
      points: (crystals, d) float32, standardized embeddings of training crystals.
      center, scale: (d,) float32, mean and standard deviation of the embeddings.
      threshold: distance at which a crystal of a new formula is no longer ordinary.
    """

    points: np.ndarray
    center: np.ndarray
    scale: np.ndarray
    threshold: float

    def __post_init__(self) -> None:
        """Raise InputError unless the arrays fit together; they may come from a file."""
        width = self.points.shape[-1:]
        if self.points.ndim != 2 or not (self.center.shape == self.scale.shape == width):
            raise InputError(
                f"domain: expected points (n, d), center and scale (d,), got {self.points.shape}, "
                f"{self.center.shape}, {self.scale.shape}"
            )
        if not (np.isfinite(self.threshold) and self.threshold > 0):
            raise InputError(f"domain: expected a positive threshold, got {self.threshold!r:.80}")

    @classmethod
    def fit(cls, embeddings: np.ndarray, folds: list[np.ndarray], *, seed: int = 0) -> Self:
        """Fit the threshold by cross-validation.

        Args:
          embeddings: (crystals, d) of the training crystals.
          folds: positions of each validation fold; a formula must be in one fold only.
          seed: seed of the random subset of many crystals.
        """
        center = embeddings.mean(0, dtype=np.float64).astype(np.float32)
        scale = embeddings.std(0, dtype=np.float64).astype(np.float32)
        scale = np.where(scale > 0, scale, np.float32(1))
        points = ((embeddings - center) / scale).astype(np.float32)
        found = []
        for fold in folds:
            rest = np.delete(np.arange(len(points)), fold)
            rest = np.random.default_rng(seed).permutation(rest)[:MOST]
            found.append(nearest_distances(points[fold], points[rest]))
        threshold = float(np.quantile(np.concatenate(found), QUANTILE))
        kept = np.sort(np.random.default_rng(seed).permutation(len(points))[:MOST])
        return cls(
            points=points[kept],
            center=center,
            scale=scale,
            threshold=max(threshold, float(np.finfo(np.float32).tiny)),
        )

    def novelty(self, embeddings: np.ndarray) -> np.ndarray:
        """Compute (crystals,) distances from the nearest training crystal over the threshold.

        Args:
          embeddings: (crystals, d) of the same encoder.
        """
        standardized = ((embeddings - self.center) / self.scale).astype(np.float32)
        return nearest_distances(standardized, self.points) / self.threshold


def nearest_distances(points: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Compute the distance (n,) of each point (n, d) from its nearest center (m, d), float64.

    It is infinite without centers. For float32 input, distances below about a thousandth of the
    spread of the points are lost to rounding. InputError for different dimensions.
    """
    if points.ndim != 2 or centers.ndim != 2 or points.shape[1] != centers.shape[1]:
        raise InputError(
            f"expected points (n, d) and centers (m, d), got {points.shape} and {centers.shape}"
        )
    found = np.full(len(points), np.inf)
    if len(points) == 0 or len(centers) == 0:
        return found
    middle = centers.mean(0)  # points far from the origin would lose digits in the squares
    centers = centers - middle
    sizes = np.square(centers).sum(1)
    for start in range(0, len(points), BLOCK):
        block = points[start : start + BLOCK] - middle
        for first in range(0, len(centers), BLOCK):
            part = slice(first, first + BLOCK)
            # |x - c|^2 = |x|^2 + |c|^2 - 2 x.c, with |x|^2 added after the minimum over centers.
            least = (sizes[part] - 2 * (block @ centers[part].T)).min(1)
            squares = np.maximum(least + np.square(block).sum(1), 0)
            here = found[start : start + BLOCK]
            np.minimum(here, np.sqrt(squares), out=here)
    return found
