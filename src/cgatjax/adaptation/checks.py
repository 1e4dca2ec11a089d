"""Check of the data before anything is fitted: what a careful person would look at first."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from cgatjax.adaptation.sources import Source
from cgatjax.adaptation.task import Task
from cgatjax.data.compositions import element_fractions
from cgatjax.data.datasets import Dataset
from cgatjax.inference.memory import count_trained_on
from cgatjax.model.training_record import crystal_hashes
from cgatjax.structures import SYMBOLS

Level = Literal["ok", "note", "warning"]
SHOWN = 5
"""Crystals or elements that a finding names."""
_FAR = 8.0
"""Distance of a value from the median that is remarkable, in robust standard deviations."""
_RARE = 3
"""Crystals with an element below which nothing is learned about it."""


class Finding(NamedTuple):
    """Finding of the check.

    Attributes:
      level: "ok", "note" or "warning".
      text: one sentence.
    """

    level: Level
    text: str


def check_data(task: Task, sources: Sequence[Source]) -> list[Finding]:
    """Check values, elements and duplicates, and what the sources have seen of the test set.

    Values of the test set are not read.
    """
    pool = task.pool
    findings = [
        Finding(
            "ok",
            f"{len(pool)} crystals to train and validate on, {len(task.test)} to test on, "
            f"{len(task.unlabeled)} without a value; {len(set(pool.formulas))} formulas",
        ),
        *_units(task),
        *_cheap_values(task),
        *_values(task),
        *_duplicates(task),
        *_elements(task),
        *(f for source in sources for f in _seen(source, task)),
    ]
    if len(pool) < 100:
        few = f"only {len(pool)} crystals to train on: differences between candidates are uncertain"
        findings.append(Finding("note", few))
    return findings


def _units(task: Task) -> list[Finding]:
    if task.unit:
        return []
    text = (
        f"the unit of {task.target!r} is not known; name it in the header of the table, "
        f'"{task.target} (eV/atom)"'
    )
    return [Finding("note", text)]


def _cheap_values(task: Task) -> list[Finding]:
    """Name properties that may be cheap values of the target."""
    name = task.target.split("@")[0]
    found = [
        other
        for other, unit in task.pool.units.items()
        if other not in (task.target, *task.baselines)
        and unit == task.unit
        and other.startswith(name)
        and np.isfinite(task.pool.target(other)).all()
    ]
    if not found:
        return []
    text = (
        f"{' and '.join(found)} may be cheaper values of {task.target}: if new crystals have them, "
        f"too, the difference is far easier to learn (--baseline {found[0]})"
    )
    return [Finding("note", text)]


def _values(task: Task) -> list[Finding]:
    values, ids = task.values, task.pool.ids
    center = float(np.median(values))
    spread = float(np.median(np.abs(values - center))) / 0.6745
    found = [
        Finding(
            "ok",
            f"values from {values.min():.4g} to {values.max():.4g}, median {center:.4g} "
            f"{task.unit or '(no unit)'}",
        )
    ]
    far = (
        np.flatnonzero(np.abs(values - center) > _FAR * spread) if spread > 0 else np.array([], int)
    )
    if len(far):
        worst = far[np.argsort(-np.abs(values[far] - center))][:SHOWN]
        named = ", ".join(f"{ids[k]} ({values[k]:.4g})" for k in worst)
        text = f"{len(far)} values are {_FAR:.0f} or more robust standard deviations away: {named}"
        found.append(Finding("warning", f"{text}; wrong units or failed calculations?"))
    common, count = Counter(values.tolist()).most_common(1)[0]
    if count > 0.2 * len(values):
        found.append(Finding("note", f"{count} of {len(values)} values are {common:.4g}"))
    return found


def _duplicates(task: Task) -> list[Finding]:
    """Compare values of equal graphs: their spread bounds the error that any model can have."""
    hashes, values = crystal_hashes(task.pool).graphs, task.values
    groups = [np.flatnonzero(hashes == h) for h in np.unique(hashes)]
    repeated = [g for g in groups if len(g) > 1]
    if not repeated:
        return []
    spread = np.concatenate([np.abs(values[g] - values[g].mean()) for g in repeated])
    text = (
        f"{sum(map(len, repeated))} crystals have the same graph as another one; their values "
        f"differ from the mean of their kind by {spread.mean():.3g} {task.unit} on average, and no "
        "model of this library can tell them apart"
    )
    return [Finding("note", text)]


def _elements(task: Task) -> list[Finding]:
    counts = (element_fractions(task.pool) > 0).sum(0)
    rare = [SYMBOLS[z] for z in range(1, len(SYMBOLS)) if 0 < counts[z] < _RARE]
    found = [Finding("ok", f"{int((counts > 0).sum())} elements")]
    if rare:
        named = ", ".join(rare[: 3 * SHOWN]) + (", ..." if len(rare) > 3 * SHOWN else "")
        text = f"{len(rare)} elements are in fewer than {_RARE} crystals: {named}"
        found.append(Finding("note", text))
    others: Sequence[Dataset] = [d for d in (task.test, task.unlabeled) if len(d)]
    new = [(element_fractions(d)[:, counts == 0] > 0).any(1).sum() for d in others]
    if sum(new):
        text = f"{sum(new)} of the other crystals contain elements that none to train on contains"
        found.append(Finding("note", text))
    return found


def _seen(source: Source, task: Task) -> list[Finding]:
    """Compare with the crystals that a source was trained on."""
    if source.is_blank:
        return []
    counted = count_trained_on((source.model,), task.test)
    known = count_trained_on((source.model,), task.pool)
    if counted is None or known is None:
        text = f"{source.name} does not record what it was trained on: its test set may be known"
        return [Finding("note", text)]
    if counted.formulas:
        text = (
            f"{counted.train} of {counted.total} test crystals were in the training of "
            f"{source.name} (by graph; {counted.formulas} by formula), with the values that it was "
            "trained on: the test error may be too small for crystals that are new to it"
        )
        return [Finding("note", text)]
    text = f"no crystal of the test set was in the training of {source.name}, nor its formula"
    found = [Finding("ok", text)]
    if known.formulas > len(task.pool) / 10:
        text = (
            f"{source.name} was trained on {known.formulas} of the {known.total} other formulas, "
            "so that what starts from it predicts these crystals better than new ones"
        )
        if source.hidden_std(task.target):
            text += ": the error that it expects of new ones is added"
        found.append(Finding("warning", f"{text}; believe the test set"))
    return found
