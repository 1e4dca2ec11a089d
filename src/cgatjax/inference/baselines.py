"""Known part of a prediction: low-fidelity values and element references, read from the crystals.

A target is baseline + references + mean + std x network (`model.normalizer`). Here the first two
are computed for crystals, subtracted before training, and added back to predictions.
"""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from cgatjax.data.compositions import HasGraphs, fraction_blocks
from cgatjax.data.datasets import ConcatDataset, Crystals, Dataset
from cgatjax.errors import InputError, MismatchError, TargetError
from cgatjax.model.model import Model
from cgatjax.model.normalizer import SOURCE, Baseline
from cgatjax.structures import CELL_VOLUME

logger = logging.getLogger("cgatjax")
_SHOWN = 3
"""Ids shown in messages."""


class Known(HasGraphs, Protocol):
    """Crystals with known properties and compositions: any data set, or decorated prototypes."""

    @property
    def ids(self) -> list[str]:
        """Ids of the crystals."""

    def target(self, name: str) -> np.ndarray:
        """Return (crystals,) values of a property, NaN where unknown."""

    def unit(self, name: str) -> str:
        """Return the unit of a property, "" if unknown."""

    def origin(self, name: str) -> str:
        """Return the calculator that computed a property, "" if unknown."""


def properties_needed(models: Sequence[Model]) -> tuple[str, ...]:
    """List the properties of crystals that predictions of these models need, their baselines."""
    names: dict[str, None] = {}
    for model in models:
        for target in model.targets:
            normalizer = model.normalizers.get(target)
            baseline = None if normalizer is None else normalizer.baseline
            if baseline is not None and baseline.name != SOURCE:
                names[baseline.name] = None
        names |= dict.fromkeys(properties_needed(list(model.sources.values())))
    return tuple(names)


def baseline_values(baseline: Baseline, target: str, data: Known, unit: str = "") -> np.ndarray:
    """Read the values (crystals,) of a baseline that is a property, NaN where unknown.

    Raises:
      TargetError: the crystals have no such property; the message says how to give it.
      MismatchError: it has another unit than the target, or comes from another calculator.
    """
    name = baseline.name
    try:
        values, found = data.target(name), data.unit(name)
    except TargetError as error:
        raise TargetError(f"{error}; {advice(name)}") from error
    if unit and found and unit != found:
        raise MismatchError(
            f"the baseline {name!r} is in {found}, {target!r} in {unit}; give a baseline in the "
            "unit of the target"
        )
    baseline.check_origin(data.origin(name), target, "the crystals")
    return values


def advice(name: str) -> str:
    """Describe how crystals get the property that is a baseline."""
    if name == CELL_VOLUME:
        return f"{name!r}, a baseline, is the volume of the given cell: build the store again"
    return (
        f"{name!r} is a baseline: give its value for every crystal (for CIF and POSCAR files in a "
        "table: --properties, properties=; for structures in memory in their properties), or "
        "compute it with `cgatjax label`"
    )


def known_part(
    model: Model, target: str, data: Known, source: np.ndarray | None = None
) -> np.ndarray:
    """Compute baseline + references (crystals,) of a target in its unit, NaN where unknown.

    `source` are the predictions of `model.sources[target]`, if the baseline is one.
    """
    normalizer, total = model.normalizers[target], np.zeros(len(data))
    if normalizer.baseline is not None:
        unit = model.units.get(target, "")
        if source is None:
            source = baseline_values(normalizer.baseline, target, data, unit)
        total = source
    if normalizer.references:
        total = total.copy()
        for place, fractions in fraction_blocks(data):
            total[place] += normalizer.referenced(fractions)
    return total


def has_known(models: Sequence[Model], data: Known) -> np.ndarray:
    """Mark the crystals with all properties that predictions of these models need, (crystals,).

    TargetError if the data do not have one of the properties at all.
    """
    marked = np.ones(len(data), bool)
    for name in properties_needed(models):
        try:
            marked &= np.isfinite(data.target(name))
        except TargetError as error:
            raise TargetError(f"{error}; {advice(name)}") from error
    return marked


def require_known(models: Sequence[Model], data: Known) -> None:
    """Raise TargetError unless all crystals have the properties that predictions need."""
    if not properties_needed(models):
        return
    missing = np.flatnonzero(~has_known(models, data))
    if len(missing):
        ids, needed = data.ids, properties_needed(models)
        names = ", ".join(repr(ids[k]) for k in missing[:_SHOWN].tolist())
        raise TargetError(
            f"{len(missing)} of {len(ids)} crystals, such as {names}, have no value of "
            f"{' or '.join(map(repr, needed))}; {'; '.join(map(advice, needed))}"
        )


def subtracted(data: Crystals, known: Mapping[str, np.ndarray], what: str) -> Crystals:
    """Subtract the known parts of targets, as of `known_part`, from a data set, to learn the
    rest.
    """
    for target, values in known.items():
        lost = np.isfinite(data.target(target)) & ~np.isfinite(values)
        if lost.any():
            logger.warning(
                "%s: %d crystals have a value of %r but not of its baseline; left out",
                what, int(lost.sum()), target,
            )  # fmt: skip
    if not known:
        return data
    if isinstance(data, ConcatDataset):
        ends = np.cumsum([len(part) for part in data.datasets])[:-1]
        pieces = {target: np.split(values, ends) for target, values in known.items()}
        return ConcatDataset(
            *(
                part.minus({target: split[k] for target, split in pieces.items()})
                for k, part in enumerate(data.datasets)
            )
        )
    if isinstance(data, Dataset):
        return data.minus(known)
    raise InputError(f"a baseline needs a data set of a store, got {type(data).__name__}")


def visible_parts(data: Crystals, target: str) -> list[tuple[slice, Crystals]]:
    """Return the parts of a data set in which a target is visible, with all their properties."""
    parts = data.datasets if isinstance(data, ConcatDataset) else (data,)
    found, start = list[tuple[slice, Crystals]](), 0
    for part in parts:
        place = slice(start, start + len(part))
        start += len(part)
        if not isinstance(part, Dataset):
            found.append((place, part))
        elif part.only is None or target in part.only:
            found.append((place, dataclasses.replace(part, only=None)))
    return found
