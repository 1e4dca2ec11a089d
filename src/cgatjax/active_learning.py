"""Batch active learning: acquisition of the crystals to compute next.

Three acquisition functions: *uncertainty* takes the crystals with the largest predicted standard
deviations; *diversity* takes crystals far from all labeled ones in the embedding space of the
encoder; *both* maximizes the product of the two greedily, so that the crystals of a batch are
uncertain and differ from each other.

Diversity is greedy k-center, also known as farthest-point sampling (Gonzalez, *Theor. Comput. Sci.*
38 (1985) 293): the largest distance of any point from its nearest chosen one is at most twice the
optimum.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from cgatjax.data.arguments import crystals_of, one_target
from cgatjax.data.datasets import Crystals
from cgatjax.data.store import Store
from cgatjax.errors import InputError
from cgatjax.inference.domain import nearest_distances
from cgatjax.inference.prediction import BATCH, embed, predict
from cgatjax.inference.predictor import Predictor
from cgatjax.model.model import Model
from cgatjax.model.training_record import crystal_hashes
from cgatjax.runtime import SHOWN_ROWS, preview

if TYPE_CHECKING:
    from pandas import DataFrame

By = Literal["uncertainty", "diversity", "both"]


class Excluded(NamedTuple):
    """Candidate excluded from the acquisition, with the reason."""

    id: str
    reason: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Selection:
    """Acquired batch: the crystals to compute next, in order of acquisition.

    Attributes:
      ids: ids of the crystals.
      positions: (n,) int64, positions among the candidates.
      means: (n,) predictions in `unit`.
      stds: (n,) predicted standard deviations, NaN if the model predicts none.
      distances: (n,) distance in the embedding space from the nearest crystal that is labeled or
        was acquired before; infinite for the first one if none is labeled, NaN for "uncertainty".
      by: acquisition function.
      target, unit: property to learn.
      std_note: origin of the standard deviations, or the reason for their absence.
      unseen: elements of each crystal that the model was never trained on; None if unknown.
      excluded: candidates that are labeled already or duplicates.
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
    unseen: list[tuple[str, ...]] | None
    excluded: list[Excluded]

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        columns = (self.ids, self.means.tolist(), self.stds.tolist(), self.distances.tolist())
        rows = list(zip(*columns, strict=True))[:SHOWN_ROWS]
        head = f"Selection of {len(self)} crystals by {self.by}, {len(self.excluded)} excluded"
        header = ("id", f"{self.target} ({self.unit or '?'})", "std", "distance")
        return preview(head, header, rows, len(self))

    def to_frame(self) -> "DataFrame":
        """Return the crystals in order of acquisition as a pandas data frame."""
        from pandas import DataFrame

        numbers = {self.target: self.means, f"{self.target}:std": self.stds}
        frame = DataFrame({"id": self.ids, **numbers, "distance": self.distances})
        if self.unseen is not None:
            frame["unseen_elements"] = [" ".join(symbols) for symbols in self.unseen]
        frame.attrs["units"] = {self.target: self.unit}
        return frame


def select(
    model: Model | Predictor,
    candidates: Store | Crystals,
    count: int,
    *,
    by: By = "both",
    known: Sequence[Store | Crystals] = (),
    target: str | None = None,
    batch_size: int = BATCH,
    show_progress: bool | None = None,
) -> Selection:
    """Acquire a batch of crystals to compute next.

    Candidates that are labeled already, or duplicates of an earlier candidate, are excluded: by id,
    and by graph hash (`graphs.hashes.graph_hash`), which does not depend on cell, setting or
    volume.

    Args:
      model: trained model or ensemble; "uncertainty" and "both" need predicted standard deviations.
        Embeddings of an ensemble are those of its first member.
      candidates: unlabeled crystals.
      count: number of crystals to acquire.
      by: acquisition function: "uncertainty", "diversity" or "both" (standard deviation times
        distance).
      known: labeled crystals, usually the training set of the model.
      target: property to learn; needed if the model has several.
      batch_size: crystals per batch.
      show_progress: show progress on standard error; by default in terminals and notebooks.

    Raises:
      InputError: fewer candidates than `count`, or no standard deviations although needed.
      MismatchError: graphs made with other options than the model's.
    """
    predictor = Predictor.of(model)
    pool = crystals_of(candidates, "the candidates")
    sets = [crystals_of(data, "the known crystals") for data in known]
    target = one_target(predictor.targets, target)
    if by not in ("uncertainty", "diversity", "both"):
        raise InputError(f"expected by 'uncertainty', 'diversity' or 'both', got {by!r}")
    for data in (pool, *sets):
        predictor.model.check_graphs(data, "the candidates or the known crystals")
    eligible, excluded = eligible_candidates(pool, sets)
    if not 1 <= count <= len(eligible):
        raise InputError(
            f"expected a count in 1..{len(eligible)}, got {count}: of {len(pool)} candidates "
            f"{len(excluded)} are known or duplicates"
        )
    found = predict(predictor, pool, batch_size=batch_size, show_progress=show_progress)
    means, stds, note = found.means[target], found.stds[target], found.std_notes[target]
    if by != "diversity" and not np.isfinite(stds[eligible]).all():
        raise InputError(f"acquisition by {by} needs standard deviations of {target!r}; {note}")
    if by == "uncertainty":
        order = np.argsort(-stds[eligible], kind="stable")[:count]
        distances = np.full(count, np.nan)
    else:
        points = embed(predictor, pool, batch_size=batch_size)[eligible]
        centers = [embed(predictor, d, batch_size=batch_size) for d in sets if len(d)]
        order, distances = farthest_points(
            points,
            count,
            centers=np.concatenate(centers) if centers else None,
            weights=stds[eligible] if by == "both" else None,
        )
    chosen, ids = eligible[order], pool.ids
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
        unseen=None if found.unseen is None else [found.unseen[i] for i in chosen],
        excluded=excluded,
    )


def eligible_candidates(
    pool: Crystals, known: Sequence[Crystals]
) -> tuple[np.ndarray, list[Excluded]]:
    """Return the positions of candidates that are neither known nor duplicates, and the others."""
    known_ids = {name for data in known for name in data.ids}
    seen: dict[int, str] = {}
    for data in known:
        for value, name in zip(_hashes(data), data.ids, strict=True):
            seen.setdefault(value, f"known {name!r}")
    eligible, excluded = [], []
    for position, (name, value) in enumerate(zip(pool.ids, _hashes(pool), strict=True)):
        if name in known_ids:
            excluded.append(Excluded(name, "its id is among the known ones"))
        elif value in seen:
            excluded.append(Excluded(name, f"the same crystal as {seen[value]}"))
        else:
            seen[value] = f"candidate {name!r}"
            known_ids.add(name)
            eligible.append(position)
    return np.array(eligible, np.int64), excluded


def _hashes(data: Crystals) -> list[int]:
    return crystal_hashes(data).graphs.tolist()


def farthest_points(
    points: np.ndarray,
    count: int,
    *,
    centers: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Choose points by weighted farthest-point sampling (greedy k-center).

    Each step takes the point with the largest product of weight and distance from its nearest
    center, which becomes a center, too. Without initial centers, the first point is that of the
    largest weight, or without weights the one nearest to the mean. Ties go to the first point. The
    cost is count passes over the points, and one product of all points with all initial centers.

    Args:
      points: (n, d) float.
      count: number of points to choose, 0..n.
      centers: (m, d) initial centers.
      weights: (n,) non-negative weights; all one by default.

    Returns:
      (count,) int64 positions in order of choice, and (count,) float64, the distance of each from
      its nearest center at that time (infinite if there was none).

    Raises:
      InputError: a count out of range, or weights or points that are not finite.
    """
    points = np.asarray(points)
    points = points if points.dtype.kind == "f" else points.astype(np.float64)
    weights = np.ones(len(points)) if weights is None else np.asarray(weights, np.float64)
    _check(points, count, weights)
    chosen, distances = np.empty(count, np.int64), np.empty(count)
    if count == 0:
        return chosen, distances
    if centers is None:
        centers = np.empty((0, points.shape[1]))
    nearest = nearest_distances(points, np.asarray(centers, points.dtype))
    points = points - points.mean(0)
    sizes = np.square(points).sum(1)
    for k in range(count):
        if k == 0 and len(centers) == 0:
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
        raise InputError(f"expected a count in 0..{len(points)}, got {count}")
    if not np.isfinite(points).all() or not (np.isfinite(weights) & (weights >= 0)).all():
        raise InputError("expected finite points and finite non-negative weights")
