"""Normalizer of the new target of a transfer: fitted, kept, or carried on from the old one."""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

from cgatjax.config import TransferConfig
from cgatjax.data.compositions import fraction_blocks
from cgatjax.data.datasets import Crystals
from cgatjax.errors import ConfigError
from cgatjax.inference.prediction import predict
from cgatjax.model.model import Model
from cgatjax.model.normalizer import SOURCE, Baseline, Normalizer, fit_references
from cgatjax.model.sources import make_source, source_origin
from cgatjax.training.target_fit import fit_normalizer, known_parts, property_baseline


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
