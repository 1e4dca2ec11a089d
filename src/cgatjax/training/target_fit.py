"""Fit of normalizers: baseline, references, mean and standard deviation of each target."""

from collections.abc import Mapping

import numpy as np

from cgatjax.config import TrainConfig
from cgatjax.data.compositions import fraction_blocks
from cgatjax.data.datasets import Crystals
from cgatjax.errors import ConfigError, TargetError
from cgatjax.inference.baselines import advice, known_part, subtracted, visible_parts
from cgatjax.inference.prediction import predict
from cgatjax.model.model import Model
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
