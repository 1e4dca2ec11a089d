"""Fit of normalizers: baseline, references, mean and std of targets, also in a transfer."""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from cgatjax.config import TrainConfig, TransferConfig
from cgatjax.data.compositions import fraction_blocks
from cgatjax.data.datasets import Crystals
from cgatjax.errors import ConfigError, TargetError
from cgatjax.inference.baselines import advice, known_part, subtracted, visible_parts
from cgatjax.inference.prediction import predict
from cgatjax.model.model import Model, make_source, source_origin
from cgatjax.model.normalizer import SOURCE, Baseline, Normalizer, fit_references

NONE = "none"
"""Name of no baseline, in a transfer from a model that has one."""


def property_baseline(name: str | None, data: Crystals, target: str) -> Baseline | None:
    """Return the baseline that an option names, with its origin.

    Args:
      name: `TrainConfig.baseline`.
      data: the training set.
      target: property that it belongs to.

    Raises:
      ConfigError: "source" without a pre-trained model, or the target itself.
      TargetError: the data have no such property.
    """
    if name in (None, NONE):
        return None
    if name == SOURCE:
        raise ConfigError(
            'baseline "source" is the prediction of a pre-trained model: it belongs to a transfer'
        )
    if name == target:
        raise ConfigError(f"the baseline of {target!r} cannot be the property itself")
    try:
        return Baseline(name=str(name), origin=data.origin(str(name)))
    except TargetError as error:
        raise TargetError(f"{error}; {advice(str(name))}") from error


def fit_normalizer(
    model: Model, data: Crystals, target: str, baseline: Baseline | None, references: bool
) -> Normalizer:
    """Fit the normalizer of a target to a training set.

    Args:
      model: its units, and the sources that are baselines.
      data: the training set.
      target: the property.
      baseline: its low-fidelity value.
      references: fit a value per element.

    Raises:
      TargetError: too few known values, or nothing to learn.
      MismatchError: a baseline in another unit.
    """
    trial = Normalizer(mean=0.0, std=1.0, baseline=baseline)
    trial_model = model.replace(normalizers={**model.normalizers, target: trial})
    rest = data.target(target) - known_parts(trial_model, data, (target,))[target]
    values: Mapping[str, float] = {}
    if references:
        values = fit_references(fraction_blocks(data), rest, target).values
        refined = Normalizer(mean=0.0, std=1.0, references=values)
        for place, fractions in fraction_blocks(data):
            rest[place] -= refined.referenced(fractions)
    fitted = Normalizer.fit(rest, target)
    return Normalizer(mean=fitted.mean, std=fitted.std, baseline=baseline, references=values)


def known_parts(
    model: Model, data: Crystals, targets: tuple[str, ...] | None = None
) -> dict[str, np.ndarray]:
    """Compute baseline + references of the targets that have any, (crystals,) each.

    Args:
      model: the model.
      data: the crystals; in parts where a target is hidden, its known part is NaN.
      targets: some of the targets, to be computed in any case; by default those that have any.
    """
    found = {}
    if targets is None:
        targets = tuple(t for t in model.targets if model.normalizers[t].known_part)
    for target in targets:
        values = np.full(len(data), np.nan)
        for place, part in visible_parts(data, target):
            source = model.sources.get(target)
            predicted = None
            if source is not None and len(part):
                predicted = predict(source, part, show_progress=False).means[source.targets[0]]
            values[place] = known_part(model, target, part, predicted)
        found[target] = values
    return found


def without_known_parts(model: Model, data: Crystals, what: str) -> Crystals:
    """Return a data set of what is left to learn: targets minus baselines and references."""
    return subtracted(data, known_parts(model, data), what)


def fitted_normalizers(model: Model, train: Crystals, config: TrainConfig) -> dict[str, Normalizer]:
    """Fit the normalizers that a model lacks.

    Raises:
      ConfigError: one baseline for several targets.
      MismatchError: the model has a normalizer with another baseline.
    """
    missing = [t for t in model.targets if t not in model.normalizers]
    if config.baseline is not None and len(missing) > 1:
        raise ConfigError(
            f"baseline {config.baseline!r}: expected one target, got {missing}; train a model for "
            "each"
        )
    found = dict(model.normalizers)
    for target in missing:
        baseline = property_baseline(config.baseline, train, target)
        found[target] = fit_normalizer(model, train, target, baseline, config.references)
    return found


class Scale(NamedTuple):
    """Normalizer of the new target.

    Attributes:
      normalizer: of the new target.
      sources: target -> model that is its baseline, if any.
      old: the old normalizer, if the head is to be rescaled from it; None otherwise.
      is_new_difference: True if the head learns a difference that the old one did not.
    """

    normalizer: Normalizer
    sources: Mapping[str, Model]
    old: Normalizer | None
    is_new_difference: bool


def scale_of(
    model: Model,
    train: Crystals,
    config: TransferConfig,
    target: str,
    unit: str,
    source: str | None,
    head: str | None,
) -> Scale:
    """Fit or keep the normalizer of the new target, and decide what becomes of the head.

    Within a property the baseline is that of the old head unless another is named, and references
    are fitted to what the old model leaves, so that nothing that it knows is lost.

    Args:
      model: the trained model.
      train: the new training set.
      config: options of the transfer.
      target: the new target.
      unit: its unit.
      source: head whose weights are carried over; None if there is none.
      head: head whose prediction may be the baseline; None if it is ambiguous.

    Raises:
      ConfigError: options that exclude each other, or an ambiguous source.
    """
    old = model.normalizers.get(source) if source is not None else None
    name, references = config.train.baseline, config.train.references
    inherited: dict[str, Model] = {}
    if source is not None and source in model.sources:
        inherited[target] = model.sources[source]
    if old is not None and config.normalizer == "keep":
        if name is not None or references:
            raise ConfigError("baseline and references are fitted: give them with normalizer refit")
        return Scale(old, inherited, None, False)
    # Only for the same property do old predictions mean anything in the new unit and scale.
    same = source is not None and old is not None and is_same_property(model, source, target, unit)
    sources: dict[str, Model] = {}
    if name is None and same and old is not None:
        baseline, sources = old.baseline, inherited
    elif name == SOURCE:
        if head is None or head not in model.normalizers:
            raise ConfigError(
                f"baseline 'source': the pre-trained model predicts {list(model.targets)}; name "
                "the new target as the one whose prediction is the baseline"
            )
        sources = {target: make_source(model, head)}
        baseline = Baseline(name=SOURCE, origin=source_origin(sources[target]))
    else:
        baseline = property_baseline(name, train, target)
    template = model.replace(units={**model.units, target: unit}, sources=sources)
    if not same or old is None or source is None or baseline != old.baseline:
        fitted = fit_normalizer(template, train, target, baseline, references)
        return Scale(fitted, sources, None, baseline is not None)
    normalizer, shift = old, 0.0
    if references:
        rest = train.target(target) - predict(model, train, show_progress=False).means[source]
        change = fit_references(fraction_blocks(train), rest, target)
        shift = change.constant
        both = [old.references, change.values]
        symbols = dict.fromkeys(s for values in both for s in values)
        added = {s: sum(values.get(s, 0.0) for values in both) for s in symbols}
        normalizer = dataclasses.replace(old, references=added)
    template = template.replace(normalizers={**model.normalizers, target: normalizer})
    rest = train.target(target) - known_parts(template, train, (target,))[target]
    fitted = Normalizer.fit(rest, target)
    fitted = dataclasses.replace(normalizer, mean=fitted.mean, std=fitted.std)
    return Scale(fitted, sources, dataclasses.replace(old, mean=old.mean + shift), False)


def is_same_property(model: Model, old: str, new: str, unit: str) -> bool:
    """True if an old target and a new one are a property, in a unit, at any level of theory."""
    return old.split("@")[0] == new.split("@")[0] and model.units.get(old, "") == unit
