"""Task of an adaptation: crystals with values, a test set, and folds for cross-validation."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cgatjax.adaptation.groups import find_groups
from cgatjax.config import AdaptConfig
from cgatjax.data.datasets import Dataset
from cgatjax.data.splits import Split, ordered
from cgatjax.errors import InputError
from cgatjax.structures import CELL_VOLUME

FEWEST = 20
"""Crystals with a value below which nothing can be validated."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Task:
    """Crystals of an adaptation.

    Attributes:
      target, unit: property to learn.
      pool: crystals to train and validate on.
      test: crystals of the test set, whose values are read once, at the end.
      unlabeled: crystals without a value.
      folds: positions in the pool of each validation fold, by formula.
      baselines: properties that are known for every crystal, to learn the difference to.
      seed: seed of splits, initialization and shuffling.
    """

    target: str
    unit: str
    pool: Dataset
    test: Dataset
    unlabeled: Dataset
    folds: tuple[np.ndarray, ...]
    baselines: tuple[str, ...]
    seed: int

    @property
    def values(self) -> np.ndarray:
        """(pool,) values in the unit."""
        return self.pool.target(self.target)

    @property
    def crystals(self) -> Dataset:
        """Crystals of the pool and of the test set."""
        rows = np.concatenate([self.pool.rows, self.test.rows])
        return dataclasses.replace(self.pool, rows=rows)

    def training(self, fold: int) -> np.ndarray:
        """Return the positions in the pool of the training crystals of a fold."""
        return np.setdiff1d(np.arange(len(self.pool)), self.folds[fold])


def make_task(data: Dataset, target: str, options: AdaptConfig) -> Task:
    """Split the crystals that have a value.

    Raises:
      TargetError: the data have no such property.
      InputError: too few crystals with a value.
    """
    known = np.isfinite(data.target(target))
    labeled = data.select(known)
    if len(labeled) < FEWEST:
        raise InputError(
            f"expected at least {FEWEST} crystals with a value of {target!r}, got {len(labeled)} "
            f"of {len(data)}; fewer cannot be validated"
        )
    is_test = _test_mask(labeled, target, options)
    pool, test = labeled.select(~is_test), labeled.select(is_test)
    return Task(
        target=target,
        unit=data.unit(target),
        pool=pool,
        test=test,
        unlabeled=data.select(~known),
        folds=folds_of(pool, options.folds, options.seed),
        baselines=_baselines(labeled, target, options),
        seed=options.seed,
    )


def _baselines(data: Dataset, target: str, options: AdaptConfig) -> tuple[str, ...]:
    """Return the named baselines, and the volume of the cell where it has the unit of the target.

    Raises:
      TargetError: the data have no such property.
      InputError: a property of another unit, or one that crystals with a value do not have.
    """
    unit, found = data.unit(target), list(options.baselines)
    if CELL_VOLUME in data.units and target != CELL_VOLUME and unit == data.unit(CELL_VOLUME):
        found.append(CELL_VOLUME)
    for name in found:
        missing = int((~np.isfinite(data.target(name))).sum())
        if data.unit(name) != unit or name == target:
            raise InputError(
                f"baseline {name!r}: expected another property in the unit of {target!r}, "
                f"{unit or 'unknown'}, got {data.unit(name) or 'unknown'}"
            )
        if missing:
            raise InputError(
                f"baseline {name!r}: expected a value for each crystal with a value of {target!r}, "
                f"{missing} have none"
            )
    return tuple(dict.fromkeys(found))


def folds_of(data: Dataset, count: int, seed: int) -> tuple[np.ndarray, ...]:
    """Divide crystals into validation folds of about equal size, polymorphs in the same fold.

    Raises:
      InputError: fewer formulas than folds.
    """
    formulas = data.formulas
    order = ordered(data.ids, formulas, seed=seed)
    names = np.array(formulas)[order]
    starts = np.flatnonzero(np.append(True, names[1:] != names[:-1]))
    if len(starts) < count:
        raise InputError(
            f"expected crystals of at least {count} formulas for {count} folds, got {len(starts)}"
        )
    wanted = np.linspace(0, len(order), count + 1)[1:-1]
    # The start of a formula nearest to each wanted cut, all different.
    cuts = sorted({int(starts[np.abs(starts - w).argmin()]) for w in wanted} - {0})
    return tuple(np.sort(part) for part in np.split(order, cuts))


def held_back(data: Dataset, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Divide crystals by formula into those to train on and those to stop the training by."""
    count = max(round(fraction * len(data)), 2)
    order = ordered(data.ids, data.formulas, seed=seed)
    names = np.array(data.formulas)[order]
    while count < len(order) - 2 and names[count] == names[count - 1]:
        count += 1
    return np.sort(order[count:]), np.sort(order[:count])


def _test_mask(data: Dataset, target: str, options: AdaptConfig) -> np.ndarray:
    if options.split is not None:
        split = Split.load(Path(options.split))
        chosen = {*split.train, *split.valid, *split.test}
        ids = data.ids
        if unknown := [name for name in ids if name not in chosen]:
            raise InputError(
                f"{options.split}: expected all crystals with a value of {target!r} in the split, "
                f"{len(unknown)} are not: {unknown[:5]}"
            )
        test = set(split.test)
        mask = np.array([name in test for name in ids])
    else:
        mask = _new_test(data, options)
    if not 0 < mask.sum() <= len(data) - FEWEST // 2:
        raise InputError(
            f"expected a test set and at least {FEWEST // 2} other crystals, got {int(mask.sum())} "
            f"and {int((~mask).sum())}; change the fraction or kind of the split"
        )
    return mask


def _new_test(data: Dataset, options: AdaptConfig) -> np.ndarray:
    wanted = options.test_fraction * len(data)
    mask = np.zeros(len(data), bool)
    if options.split_by == "formula":
        formulas = np.array(data.formulas)
        order = ordered(data.ids, data.formulas, seed=options.seed)
        names, first = np.unique(formulas[order], return_index=True)
        for name in names[np.argsort(first)]:
            if mask.sum() >= wanted:
                break
            mask |= formulas == name
        return mask
    groups = {group.name: group for group in find_groups(data, options.split_by)}
    for position in ordered(list(groups), seed=options.seed):
        group = list(groups.values())[position]
        # Half of the crystals at most: a group such as the oxygen's would leave no others.
        if mask.sum() < wanted and (mask | group.mask).sum() <= max(2 * wanted, 1):
            mask |= group.mask
    return mask
