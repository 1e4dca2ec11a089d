"""Parameters in transfer: carried over, rescaled, frozen or re-initialized."""

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flax import traverse_util

from cgatjax.config import TransferConfig
from cgatjax.data.datasets import Crystals
from cgatjax.errors import ConfigError, TargetError
from cgatjax.model.model import Model
from cgatjax.model.network import Network
from cgatjax.model.normalizer import SOURCE, Normalizer
from cgatjax.model.training_record import TrainingRecord
from cgatjax.structures import require_no_total
from cgatjax.training.optimizer import FROZEN, Labels, Params
from cgatjax.training.target_fit import is_same_property, scale_of

TRAINED = "trained"


@dataclass(frozen=True, kw_only=True)
class TransferReport:
    """Report of what happened to every parameter before training.

    Attributes:
      frozen, reinitialized, loaded: paths of parameters; frozen ones are loaded too.
      source: the old target whose head was taken, None for a fresh head.
      selected_by: target whose validation error selects the best epoch.
      rescaled: True if that head's last layer was rescaled to the new normalizer.
      numbers: number of parameters (scalars) in "loaded", "frozen" and "reinitialized" arrays.
      normalizers: new target -> (mean, std).
      known_parts: new target -> baseline and references, where it has any.
      step_zero: "train" and "valid" -> {"mae", "rmse", "n"} before any training.
    """

    frozen: tuple[str, ...]
    reinitialized: tuple[str, ...]
    loaded: tuple[str, ...]
    source: str | None
    selected_by: str
    rescaled: bool
    numbers: Mapping[str, int]
    normalizers: Mapping[str, tuple[float, float]]
    known_parts: Mapping[str, str] = field(default_factory=dict)
    step_zero: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def __repr__(self) -> str:
        counts = {
            name: f"{self.numbers[name]:,} in {len(getattr(self, name))} arrays"
            for name in ("loaded", "frozen", "reinitialized")
        }
        head = f"the head of {self.source!r}" if self.source else "a new head"
        rescaled = ", rescaled to the new mean and std" if self.rescaled else ""
        known = "".join(f"; {t} = {part} + network" for t, part in self.known_parts.items())
        return (
            f"parameters loaded: {counts['loaded']}, of them frozen: {counts['frozen']}; "
            f"re-initialized: {counts['reinitialized']}; {head}{rescaled}{known}; "
            f"the best epoch is that with the lowest validation error of {self.selected_by!r}"
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Prepared:
    """Model prepared for fine-tuning.

    Attributes:
      model: new heads, normalizers and units.
      labels: "frozen" or a learning-rate group for every parameter.
      report: on every parameter.
    """

    model: Model
    labels: Labels
    report: TransferReport


def label_parameters(params: Params, rules: Sequence[tuple[str, str]]) -> Labels:
    """Label every parameter by the first pattern that matches its path.

    Args:
      params: the tree; a path is its keys joined by "/", such as "encoder/node_0/update/damping".
      rules: (pattern, label) pairs, patterns as in file names ("heads/*").

    Raises:
      ConfigError: a parameter that no pattern matches, or a pattern that matches no parameter.
    """
    paths = list(traverse_util.flatten_dict(dict(params), sep="/"))
    by_pattern = dict(reversed(rules))
    found = _first_matches(paths, [pattern for pattern, _ in rules])
    labels = {path: by_pattern[pattern] for path, pattern in found.items()}
    unlabeled = [p for p in paths if p not in labels]
    if unlabeled:
        raise ConfigError(
            f"{len(unlabeled)} parameters match none of the patterns {[p for p, _ in rules]}: "
            f"{unlabeled[:5]}"
        )
    return traverse_util.unflatten_dict(labels, sep="/")


def transfer_labels(params: Params, config: TransferConfig) -> Labels:
    """Label every parameter for a transfer: frozen, or by its learning rate and unfreezing.

    A parameter may match a pattern of either kind, whose factors multiply: a lower rate holds after
    unfreezing, too. Of several patterns of one kind the first that matches counts.

    Raises:
      ConfigError: a pattern matches no parameter, or has no effect because the parameters that it
        matches are frozen, or match an earlier pattern.
    """
    paths = list(traverse_util.flatten_dict(dict(params), sep="/"))
    later = _first_matches(paths, [pattern for _, pattern in config.unfreeze])
    scaled = _first_matches(paths, [pattern for pattern, _ in config.lr_groups])
    labels = {}
    for path in paths:
        frozen = config.mode == "head" and path.startswith("encoder/") and path not in later
        labels[path] = FROZEN if frozen else _group(later.get(path), scaled.get(path))
    for kind, patterns, found in (
        ("unfreeze", [pattern for _, pattern in config.unfreeze], later),
        ("lr_groups", [pattern for pattern, _ in config.lr_groups], scaled),
    ):
        used = {pattern for path, pattern in found.items() if labels[path] != FROZEN}
        if idle := [pattern for pattern in patterns if pattern not in used]:
            raise ConfigError(
                f"{kind}: pattern {idle[0]!r} has no effect: all parameters that it matches are "
                "frozen (mode head) or match an earlier pattern; leave it out or put it first"
            )
    return traverse_util.unflatten_dict(labels, sep="/")


def rates_at(config: TransferConfig, epoch: int, factor: float) -> dict[str, float]:
    """Compute the learning-rate factor of each group in an epoch (from 0)."""
    starts: list[tuple[str | None, int]] = [(None, 1), *((p, s) for s, p in config.unfreeze)]
    scales: list[tuple[str | None, float]] = [(None, 1.0), *config.lr_groups]
    # Options count epochs from 1, as the history does.
    return {
        _group(later, scaled): factor * scale * (epoch + 1 >= start)
        for later, start in starts
        for scaled, scale in scales
    }


def rescale_head(head: Mapping[str, Any], old: Normalizer, new: Normalizer) -> dict[str, Any]:
    """Rescale the last layer of a head to a new normalizer, with predictions in units unchanged.

    W' = W s_old/s_new, b' = (s_old b + m_old - m_new)/s_new, log_std bias + ln(s_old/s_new).
    """
    # s_old w + m_old = s_new w' + m_new for the normalized outputs w and w'.
    ratio = old.std / new.std
    kernel, bias = np.array(head["out"]["kernel"]), np.array(head["out"]["bias"])
    kernel[:, 0] *= ratio
    bias[0] = (old.std * bias[0] + old.mean - new.mean) / new.std
    bias[1] += np.log(ratio)  # log_std is that of the normalized target
    return {**head, "out": {"kernel": kernel, "bias": bias}}


def prepare_transfer(model: Model, train: Crystals, config: TransferConfig) -> Prepared:
    """Prepare a trained model for a new target, without training.

    The head of the same property (its name before "@", in the same unit) is carried over and, when
    the normalizer is refitted, rescaled. For another property the head's weights are carried over
    as they are, as in the reference, unless `reinit` says otherwise.

    Args:
      model: the trained model.
      train: the new training set.
      config: mode, target, normalizer, parameters to re-initialize, learning-rate groups.

    Raises:
      MismatchError: the graphs were made with other options than the model's.
      ConfigError: a pattern matches nothing, or joint training would overwrite an old head.
      TargetError: the data have no such target, or the model's source head is ambiguous.
    """
    model.check_graphs(train, "the transfer data")
    target = _new_target(model, config)
    unit = train.unit(target)
    require_no_total(target, unit)
    # From scratch a head is needed only if its prediction is the baseline.
    needs_head = config.mode != "none" or config.train.baseline == SOURCE
    head = _source_head(model, target, unit) if needs_head else None
    source = None if config.mode == "none" else head
    # Before any weights are drawn: a target without values must not cost a compilation.
    scale = scale_of(model, train, config, target, unit, source, head)
    kept_heads = model.targets if config.mode == "joint" else ()
    network = Network(model.config.replace(targets=(*kept_heads, target)), model.element_table)
    params, loaded, rescaled = network.init(config.train.seed), set[str](), False
    if config.mode != "none":
        carried = _carried(model, source, target, kept_heads)
        if scale.old is not None:
            carried["heads"][target] = rescale_head(
                carried["heads"][target], scale.old, scale.normalizer
            )
            rescaled = True
        elif scale.is_new_difference and target in carried["heads"]:
            carried["heads"][target] = _silenced(carried["heads"][target])
        params, loaded = _overwritten(params, carried, config.reinit)
    labels = transfer_labels(params, config)
    flat = traverse_util.flatten_dict(labels, sep="/")
    prepared = model.replace(
        config=network.config,
        params=params,
        normalizers={**{t: model.normalizers[t] for t in kept_heads}, target: scale.normalizer},
        sources={**{t: s for t, s in model.sources.items() if t in kept_heads}, **scale.sources},
        units={**{t: model.units[t] for t in kept_heads}, target: unit},
        predicts_std=tuple(t for t in model.predicts_std if t in kept_heads),
        record=TrainingRecord() if config.mode == "none" else model.record,
    )
    paths: dict[str, Any] = {
        "frozen": tuple(sorted(p for p, label in flat.items() if label == FROZEN)),
        "reinitialized": tuple(sorted(set(flat) - loaded)),
        "loaded": tuple(sorted(loaded)),
    }
    sizes = {p: np.size(v) for p, v in traverse_util.flatten_dict(dict(params), sep="/").items()}
    report = TransferReport(
        **paths,
        numbers={name: sum(sizes[p] for p in chosen) for name, chosen in paths.items()},
        source=source,
        selected_by=target,
        rescaled=rescaled,
        normalizers={t: (n.mean, n.std) for t, n in prepared.normalizers.items()},
        known_parts={t: n.known_part for t, n in prepared.normalizers.items() if n.known_part},
    )
    return Prepared(model=prepared, labels=labels, report=report)


def _silenced(head: Mapping[str, Any]) -> dict[str, Any]:
    """Set the last layer of a head to zero, so that it predicts the mean and std of training."""
    return {**head, "out": {name: np.zeros_like(value) for name, value in head["out"].items()}}


def _new_target(model: Model, config: TransferConfig) -> str:
    target = config.target
    if target is None:
        if len(model.targets) != 1:
            raise TargetError(f"the model predicts {model.targets}; say which target to train for")
        target = model.targets[0]
    if config.mode == "joint" and target in model.targets:
        raise ConfigError(
            f"joint training keeps the old head {target!r}; name the new one apart, "
            f"for instance {target.split('@')[0]}@accurate"
        )
    return target


def _source_head(model: Model, target: str, unit: str) -> str | None:
    """Choose the old head to start from: the same property's, or the only one, or None."""
    same = [t for t in model.targets if is_same_property(model, t, target, unit)]
    if target in same:
        return target
    if len(same) > 1:
        raise TargetError(
            f"{target!r} could start from any of the heads {same}; name it as the one to take"
        )
    candidates = same or list(model.targets)
    return candidates[0] if len(candidates) == 1 else None


def _carried(model: Model, source: str | None, target: str, kept: Sequence[str]) -> dict[str, Any]:
    """Collect the old weights under their new names."""
    heads = {t: model.params["heads"][t] for t in kept}
    if source is not None:
        heads[target] = model.params["heads"][source]
    return {"encoder": model.params["encoder"], "heads": heads}


def _overwritten(fresh: Params, carried: Params, reinit: Sequence[str]) -> tuple[Params, set[str]]:
    """Overwrite fresh parameters with carried ones, except for those to be re-initialized."""
    new = traverse_util.flatten_dict(dict(fresh), sep="/")
    old = traverse_util.flatten_dict(carried, sep="/")
    reset: set[str] = set()
    for pattern in reinit:
        matching = fnmatch.filter(new, pattern)
        if not matching:
            raise ConfigError(f"reinit pattern {pattern!r} matches no parameter")
        reset |= set(matching)
    loaded = {path for path in old if path not in reset}
    merged = {path: np.asarray(old[path]) if path in loaded else v for path, v in new.items()}
    return traverse_util.unflatten_dict(merged, sep="/"), loaded


def _first_matches(paths: Sequence[str], patterns: Sequence[str]) -> dict[str, str]:
    """Map paths to the first pattern that matches them."""
    found: dict[str, str] = {}
    for pattern in patterns:
        matching = fnmatch.filter(paths, pattern)
        if not matching:
            raise ConfigError(
                f"pattern {pattern!r} matches no parameter; paths are like {paths[:3]}"
            )
        for path in matching:
            found.setdefault(path, pattern)
    return found


def _group(later: str | None, scaled: str | None) -> str:
    """Name the learning-rate group of an unfreezing pattern and a rate pattern."""
    parts = [f"later:{later}"] * (later is not None) + [f"rate:{scaled}"] * (scaled is not None)
    return " ".join(parts) or TRAINED
