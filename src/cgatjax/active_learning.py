"""Active learning: which crystals to compute next, so that a model gains most from them.

Three ways to choose a batch: the most *uncertain* crystals (the largest predicted standard
deviation), *diverse* ones (each far from all known ones in the embedding space of the encoder), or
*both*: greedily the largest product of the two, so that a batch holds uncertain crystals that
differ from each other. None of them asks for a value that is not known yet.

Diverse points are the greedy answer to the k-center problem (Gonzalez, *Theor. Comput. Sci.* 38
(1985) 293): the largest distance of any point from its nearest chosen one is at most twice the best
possible.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from cgatjax.data.datasets import Crystals, Dataset
from cgatjax.data.store import Store
from cgatjax.errors import InputError
from cgatjax.graphs.hashes import hashes_of
from cgatjax.inference.prediction import BATCH, embed, predict
from cgatjax.inference.predictor import Predictor
from cgatjax.models.model import Model

By = Literal["uncertainty", "diversity", "both"]
BLOCK = 4096
"""Points whose distances from all centers are in memory at a time."""


class Excluded(NamedTuple):
    """A candidate that cannot be chosen, and why."""

    id: str
    reason: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Selection:
    """The crystals to compute next, in the order in which they were chosen.

    Attributes:
      ids: of the crystals.
      positions: (n,) int64, their places among the candidates.
      means: (n,) predictions in `unit`.
      stds: (n,) their standard deviations, NaN where the model has none.
      distances: (n,) from the nearest crystal that is known or was chosen before, in the embedding
        space; infinite for the first one if none is known, NaN where it was not needed.
      by: how they were chosen.
      target, unit: the property that is to be learned.
      std_note: how the standard deviations were made, or why there are none.
      excluded: candidates that are known or repeat another one.
    """

    ids: list[str]
    positions: np.ndarray
    means: np.ndarray
    stds: np.ndarray
    distances: np.ndarray
    by: By
    target: str
    unit: str
    std_note: str
    excluded: list[Excluded]

    def __len__(self) -> int:
        return len(self.ids)


def select(
    model: Model | Predictor,
    candidates: Store | Crystals,
    count: int,
    *,
    by: By = "both",
    known: Sequence[Store | Crystals] = (),
    target: str | None = None,
    batch_size: int = BATCH,
    show_progress: bool = False,
) -> Selection:
    """Chooses the crystals that are worth computing next.

    Candidates that are known already, or repeat an earlier candidate, are left out: by id, and by
    the hash of the reduced graph with its elements (`graphs.hashes.graph_hash`), which is that
    of the same crystal in another cell, setting or volume.

    Args:
      model: trained; for "uncertainty" and "both" one that predicts standard deviations. The
        embeddings of an ensemble are its first member's.
      candidates: crystals without known values.
      count: how many to choose.
      by: "uncertainty", "diversity" or "both" (standard deviation times distance).
      known: crystals whose values are known; those that the model was trained on, as a rule.
      target: the property, where the model has several.
      batch_size: crystals per batch.
      show_progress: a progress bar on standard error.

    Raises:
      InputError: fewer candidates than asked for, or no standard deviations where they are needed.
      MismatchError: graphs made with other options than the model's.
    """
    predictor = Predictor.of(model)
    pool, sets = _crystals(candidates), [_crystals(data) for data in known]
    target = _one_target(predictor.targets, target)
    if by not in ("uncertainty", "diversity", "both"):
        raise InputError(f"expected by 'uncertainty', 'diversity' or 'both', got {by!r}")
    for data in (pool, *sets):
        predictor.model.check_graphs(data, "the crystals to choose from, or the known ones")
    places, excluded = _without_repeats(pool, sets)
    if not 1 <= count <= len(places):
        raise InputError(
            f"expected to choose 1..{len(places)} crystals, got {count}: of {len(pool)} candidates "
            f"{len(excluded)} are known or repeat another one"
        )
    found = predict(predictor, pool, batch_size=batch_size, show_progress=show_progress)
    means, stds, note = found.means[target], found.stds[target], found.std_notes[target]
    if by != "diversity" and not np.isfinite(stds[places]).all():
        raise InputError(f"to choose by {by} needs standard deviations of {target!r}; {note}")
    if by == "uncertainty":
        order = np.argsort(-stds[places], kind="stable")[:count]
        distances = np.full(count, np.nan)
    else:
        points = embed(predictor, pool, batch_size=batch_size)[places]
        covered = [embed(predictor, d, batch_size=batch_size) for d in sets if len(d)]
        order, distances = farthest_points(
            points,
            count,
            covered=np.concatenate(covered) if covered else None,
            weights=stds[places] if by == "both" else None,
        )
    chosen = places[order]
    ids = pool.ids
    return Selection(
        ids=[ids[i] for i in chosen],
        positions=chosen,
        means=means[chosen],
        stds=stds[chosen],
        distances=distances,
        by=by,
        target=target,
        unit=found.units[target],
        std_note=note,
        excluded=excluded,
    )


def _crystals(data: Store | Crystals) -> Crystals:
    return data.all() if isinstance(data, Store) else data


def _one_target(names: Sequence[str], target: str | None) -> str:
    if target is None and len(names) == 1:
        return names[0]
    if target is None or target not in names:
        raise InputError(f"expected one of the model's targets {list(names)}, got {target!r}")
    return target


def _without_repeats(
    pool: Crystals, known: Sequence[Crystals]
) -> tuple[np.ndarray, list[Excluded]]:
    """Places of the candidates that can be chosen, and the others."""
    ids_known = {name for data in known for name in data.ids}
    seen: dict[int, str] = {}
    for data in known:
        for value, name in zip(_hashes(data), data.ids, strict=True):
            seen.setdefault(value, f"known {name!r}")
    places, excluded = [], []
    for place, (name, value) in enumerate(zip(pool.ids, _hashes(pool), strict=True)):
        if name in ids_known:
            excluded.append(Excluded(name, "its id is among the known ones"))
        elif value in seen:
            excluded.append(Excluded(name, f"the same crystal as {seen[value]}"))
        else:
            seen[value] = f"candidate {name!r}"
            ids_known.add(name)
            places.append(place)
    return np.array(places, np.int64), excluded


def _hashes(data: Crystals) -> list[int]:
    store = data.store if isinstance(data, Dataset) else None
    reduced = isinstance(store, Store) and store.reduced
    return hashes_of(data.take, len(data), with_elements=True, reduced=reduced).tolist()


def nearest_distances(points: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Distance of each point from its nearest center.

    Args:
      points: (n, d).
      centers: (m, d).

    Returns:
      (n,) float64, infinite where there is no center; differences below a thousandth of the
      cloud's size are lost in float32.

    Raises:
      InputError: widths that differ.
    """
    if points.ndim != 2 or centers.ndim != 2 or points.shape[1] != centers.shape[1]:
        raise InputError(
            f"expected points (n, d) and centers (m, d), got {points.shape} and {centers.shape}"
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
