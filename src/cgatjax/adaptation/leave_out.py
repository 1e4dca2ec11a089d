"""Test of the flag "out of distribution": whole groups of crystals are left out of the training.

Groups and periods of the periodic table and structure types are left out one after another; the
errors, intervals and flags of their crystals are compared with those of ordinary new formulas.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, get_args

import numpy as np

from cgatjax.adaptation.candidates import Candidate
from cgatjax.adaptation.groups import GroupKind, find_groups
from cgatjax.adaptation.schedule import Note
from cgatjax.adaptation.task import Task
from cgatjax.data.splits import ordered
from cgatjax.inference.domain import Domain, nearest_distances
from cgatjax.inference.error_model import ErrorModel, coverages
from cgatjax.model.training_record import unseen_elements

SHARES = (0.02, 0.4)
"""Smallest and largest share of a group in the crystals."""
GROUPS = 5
"""Groups of a kind that are left out."""


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """Errors of crystals whose group was left out of the training.

    Attributes:
      groups: names of the groups.
      n: number of crystals, all groups together.
      mae: mean absolute error, in the unit.
      inside_mae, outside_mae: the same for crystals without and with the flag; NaN without any.
      flagged: share of the crystals with the flag.
      coverage: "68" and "95" -> share of the values within the interval.
    """

    groups: tuple[str, ...]
    n: int
    mae: float
    inside_mae: float
    outside_mae: float
    flagged: float
    coverage: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON."""
        plain = asdict(self)
        return {
            k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in plain.items()
        }


def leave_out(
    candidate: Candidate,
    task: Task,
    errors: ErrorModel | None,
    domain: Domain,
    embeddings: np.ndarray,
    seconds: float,
    note: Note,
) -> dict[GroupKind, LeftOut]:
    """Leave groups out of the training of a candidate, for each kind of groups.

    Args:
      candidate: cheap to fit.
      task: its crystals.
      errors: law of the standard deviations, fitted to errors of the candidate in its folds.
      domain: of the candidate's embeddings; its threshold decides the flags.
      embeddings: (pool, d) of the encoder of the domain.
      seconds: time for all fits; later groups are left out if it is used up.
      note: shows what is being done.
    """
    start, found = time.perf_counter(), dict[GroupKind, LeftOut]()
    for kind in get_args(GroupKind):
        rows, names = list[tuple[np.ndarray, ...]](), list[str]()
        for group in _chosen(task, kind):
            if time.perf_counter() - start > seconds:
                break
            note(f"leaving out {group[0]}")
            rows.append(_without(candidate, task, group[1], errors, domain, embeddings))
            names.append(group[0])
        if rows:
            found[kind] = _summary(
                names, *(np.concatenate(parts) for parts in zip(*rows, strict=True))
            )
    return found


def _chosen(task: Task, kind: GroupKind) -> list[tuple[str, np.ndarray]]:
    """Choose groups of suitable size, at random but always the same."""
    low, high = (max(share * len(task.pool), 5) for share in SHARES)
    groups = [g for g in find_groups(task.pool, kind) if low <= g.mask.sum() <= high]
    if not groups:
        return []
    order = ordered([g.name for g in groups], seed=task.seed)
    return [(groups[k].name, groups[k].mask) for k in order[:GROUPS]]


def _without(
    candidate: Candidate,
    task: Task,
    mask: np.ndarray,
    errors: ErrorModel | None,
    domain: Domain,
    embeddings: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """Return errors, standard deviations and flags of crystals that are left out."""
    training, left = task.pool.select(~mask), task.pool.select(mask)
    part = candidate.fit(training, task.seed).part
    means, own = candidate.predict(part, left)
    points = ((embeddings - domain.center) / domain.scale).astype(np.float32)
    novelty = nearest_distances(points[mask], points[~mask]) / domain.threshold
    record = part.members[0].record
    unseen = np.zeros(len(left), bool)
    if record is not None and record.unseen is not None:
        unseen = np.array([bool(symbols) for symbols in unseen_elements(left, record.unseen)])
    std = np.full(len(left), np.nan) if errors is None else errors.std(own, novelty)
    return means - left.target(task.target), std, (novelty > 1) | unseen


def _summary(names: list[str], errors: np.ndarray, std: np.ndarray, flagged: np.ndarray) -> LeftOut:
    size = np.abs(errors)
    known = np.isfinite(std)
    return LeftOut(
        groups=tuple(names),
        n=len(errors),
        mae=float(size.mean()),
        inside_mae=float(size[~flagged].mean()) if (~flagged).any() else float("nan"),
        outside_mae=float(size[flagged].mean()) if flagged.any() else float("nan"),
        flagged=float(flagged.mean()),
        coverage=coverages(errors[known], std[known]) if known.any() else {},
    )
