"""Points that cover a cloud of points: each is chosen far from all that are covered already.

The greedy answer to the k-centre problem (Gonzalez, *Theor. Comput. Sci.* 38 (1985) 293): the
largest distance of any point from its nearest chosen one is at most twice the best possible.
"""

import numpy as np

from cgatjax.errors import InputError

BLOCK = 4096
"""Points whose distances from all centres are in memory at a time."""


def nearest_distances(points: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Distance of each point from its nearest centre.

    Args:
      points: (n, d).
      centers: (m, d).

    Returns:
      (n,) float64, infinite where there is no centre; differences below a thousandth of the
      cloud's size are lost in float32.

    Raises:
      InputError: widths that differ.
    """
    if points.ndim != 2 or centers.ndim != 2 or points.shape[1] != centers.shape[1]:
        raise InputError(
            f"expected points (n, d) and centres (m, d), got {points.shape} and {centers.shape}"
        )
    found = np.full(len(points), np.inf)
    if len(points) == 0 or len(centers) == 0:
        return found
    middle = centers.mean(0)  # a cloud far from zero would lose its digits in the squares
    centers = centers - middle
    sizes = np.square(centers).sum(1)
    for start in range(0, len(points), BLOCK):
        block = points[start : start + BLOCK] - middle
        for first in range(0, len(centers), BLOCK):
            part = slice(first, first + BLOCK)
            least = (sizes[part] - 2 * (block @ centers[part].T)).min(1)
            squares = np.maximum(least + np.square(block).sum(1), 0)
            here = found[start : start + BLOCK]
            np.minimum(here, np.sqrt(squares), out=here)
    return found


def farthest_points(
    points: np.ndarray,
    count: int,
    *,
    covered: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Chooses points one by one, each with the largest weight times distance from the covered ones.

    A chosen point is covered from then on. Where nothing is covered at first, the first one is that
    of the largest weight, or without weights that nearest to the mean. Of equals the first is
    taken. The time is count passes over the points, and one product of all points with all covered.

    Args:
      points: (n, d) float.
      count: how many to choose, 0..n.
      covered: (m, d) points that need not be chosen again.
      weights: (n,) numbers that are not negative; all one by default.

    Returns:
      (count,) int64 positions in the order in which they were chosen, and (count,) float64, the
      distance that each had from the covered points then (infinite where there were none).

    Raises:
      InputError: a count out of range, weights or points that are not finite.
    """
    points = np.asarray(points)
    points = points if points.dtype.kind == "f" else points.astype(np.float64)
    weights = np.ones(len(points)) if weights is None else np.asarray(weights, np.float64)
    _check(points, count, weights)
    chosen, distances = np.empty(count, np.int64), np.empty(count)
    if count == 0:
        return chosen, distances
    known = np.empty((0, points.shape[1])) if covered is None else np.asarray(covered, points.dtype)
    nearest = nearest_distances(points, known)
    points = points - points.mean(0)
    sizes = np.square(points).sum(1)
    for k in range(count):
        if k == 0 and len(known) == 0:
            scores = -sizes if np.ptp(weights) == 0 else weights.copy()
        else:
            scores = weights * nearest
        scores[chosen[:k]] = -np.inf
        best = int(np.argmax(scores))
        chosen[k], distances[k] = best, nearest[best]
        squares = sizes + sizes[best] - 2 * (points @ points[best])
        squares[best] = 0
        np.minimum(nearest, np.sqrt(np.maximum(squares, 0)), out=nearest)
    return chosen, distances


def _check(points: np.ndarray, count: int, weights: np.ndarray) -> None:
    if points.ndim != 2 or weights.shape != points.shape[:1]:
        raise InputError(
            f"expected points (n, d) and weights (n,), got {points.shape} and {weights.shape}"
        )
    if not 0 <= count <= len(points):
        raise InputError(f"expected to choose 0..{len(points)} points, got {count}")
    if not np.isfinite(points).all() or not (np.isfinite(weights) & (weights >= 0)).all():
        raise InputError("expected finite points and weights that are not negative")
