"""What is carried over from a trained model, what is frozen, and what starts anew."""

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flax import traverse_util

from cgatjax.config import TransferConfig
from cgatjax.data.datasets import Crystals
from cgatjax.errors import ConfigError, TargetError
from cgatjax.models.model import Model, fresh_params
from cgatjax.models.normalizer import Normalizer
from cgatjax.training.optimizer import FROZEN, Labels, Params

TRAINED = "trained"


@dataclass(frozen=True, kw_only=True)
class TransferReport:
    """What happened to every parameter before training.

    Attributes:
      frozen, reinitialized, loaded: paths of parameters; frozen ones are loaded too.
      source: the old target whose head was taken, None for a fresh head.
      rescaled: whether that head's last layer was rescaled to the new normalizer.
      normalizers: new target -> (mean, std).
      step_zero: part -> {"mae", "rmse", "n"} on the target data before any training.
    """

    frozen: tuple[str, ...]
    reinitialized: tuple[str, ...]
    loaded: tuple[str, ...]
    source: str | None
    rescaled: bool
    normalizers: Mapping[str, tuple[float, float]]
    step_zero: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, kw_only=True)
class Prepared:
    """A model ready to be trained on.

    Attributes:
      model: new heads, normalizers and units.
      labels: "frozen" or a learning-rate group for every parameter.
      report: what was done.
    """

    model: Model
    labels: Labels
    report: TransferReport


def label_parameters(params: Params, rules: Sequence[tuple[str, str]]) -> Labels:
    """Gives every parameter the label of the first pattern that matches its path.

    Args:
      params: the tree; a path is its keys joined by "/", such as "encoder/node_0/update/damping".
      rules: (pattern, label) pairs, patterns as in file names ("heads/*").

    Raises:
      ConfigError: a parameter that no pattern matches, or a pattern that matches no parameter.
    """
    paths = list(traverse_util.flatten_dict(dict(params), sep="/"))
    labels: dict[str, str] = {}
    for pattern, label in rules:
        matching = fnmatch.filter(paths, pattern)
        if not matching:
            raise ConfigError(
                f"pattern {pattern!r} matches no parameter; paths are like {paths[:3]}"
            )
        for path in matching:
            labels.setdefault(path, label)
    unlabeled = [p for p in paths if p not in labels]
    if unlabeled:
        raise ConfigError(
            f"{len(unlabeled)} parameters match none of the patterns {[p for p, _ in rules]}: "
            f"{unlabeled[:5]}"
        )
    return traverse_util.unflatten_dict(labels, sep="/")


def rates_at(config: TransferConfig, epoch: int, factor: float) -> dict[str, float]:
    """Learning-rate factor of each group in an epoch, times the schedule's factor."""
    rates = {TRAINED: factor}
    rates |= {_lr_group(p): factor * scale for p, scale in config.lr_groups}
    rates |= {_unfreeze_group(p): factor * (epoch >= start) for start, p in config.unfreeze}
    return rates


def rescale_head(head: Mapping[str, Any], old: Normalizer, new: Normalizer) -> dict[str, Any]:
    """The last layer for a new normalizer, predictions and standard deviations in units unchanged.

    W' = W s_old/s_new, b' = (s_old b + m_old - m_new)/s_new, log_std bias + ln(s_old/s_new).
    """
    ratio = old.std / new.std
    kernel, bias = np.array(head["out"]["kernel"]), np.array(head["out"]["bias"])
    kernel[:, 0] *= ratio
    bias[0] = (old.std * bias[0] + old.mean - new.mean) / new.std
    bias[1] += np.log(ratio)
    return {**head, "out": {"kernel": kernel, "bias": bias}}


def prepare_transfer(model: Model, train: Crystals, config: TransferConfig) -> Prepared:
    """Fits a trained model to a new target, without training.

    The head of the same property (its name before "@", in the same unit) is taken over and, when
    the normalizer is refitted, rescaled. For another property the head's weights are taken as they
    are, as the reference does, unless `reinit` says otherwise.

    Args:
      model: the trained model.
      train: the new training set.
      config: mode, target, normalizer, what to start anew, learning-rate groups.

    Raises:
      MismatchError: the graphs were made with other options than the model's.
      ConfigError: a pattern matches nothing, or joint training would overwrite an old head.
      TargetError: the data have no such target, or the model's source head is ambiguous.
    """
    model.check_graphs(train, "the transfer data")
    target = _new_target(model, config)
    unit = train.unit(target)
    from_scratch = config.mode == "none"
    source = None if from_scratch else _source_head(model, target, unit)
    same = source is not None and _is_same(model, source, target, unit)
    fitted = Normalizer.fit(train.target(target), target)
    old = model.normalizers.get(source) if source is not None else None
    keep = config.normalizer == "keep" and not from_scratch and old is not None
    normalizer = old if keep and old is not None else fitted
    kept_heads = model.targets if config.mode == "joint" else ()
    skeleton = model.replace(
        config=model.config.replace(targets=(*kept_heads, target)),
        normalizers={**{t: model.normalizers[t] for t in kept_heads}, target: normalizer},
        units={**{t: model.units[t] for t in kept_heads}, target: unit},
        predicts_std=tuple(t for t in model.predicts_std if t in kept_heads),
    )
    fresh = fresh_params(skeleton, train, config.train.seed)
    rescaled = not from_scratch and same and not keep and old is not None
    params: Params = fresh
    loaded: set[str] = set()
    if not from_scratch:
        carried = _carried(model, source, target, kept_heads)
        if rescaled and old is not None:
            carried["heads"][target] = rescale_head(carried["heads"][target], old, fitted)
        params, loaded = _overwritten(fresh, carried, config.reinit)
    labels = label_parameters(params, _rules(config))
    flat = traverse_util.flatten_dict(labels, sep="/")
    report = TransferReport(
        frozen=tuple(sorted(p for p, label in flat.items() if label == FROZEN)),
        reinitialized=tuple(sorted(set(flat) - loaded)),
        loaded=tuple(sorted(loaded)),
        source=source,
        rescaled=rescaled,
        normalizers={t: (n.mean, n.std) for t, n in skeleton.normalizers.items()},
    )
    return Prepared(model=skeleton.replace(params=params), labels=labels, report=report)


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


def _is_same(model: Model, old: str, new: str, unit: str) -> bool:
    return old.split("@")[0] == new.split("@")[0] and model.units.get(old, "") == unit


def _source_head(model: Model, target: str, unit: str) -> str | None:
    """The old head to start from: the same property's, or the only one; None for a fresh head."""
    same = [t for t in model.targets if _is_same(model, t, target, unit)]
    if target in same:
        return target
    if len(same) > 1:
        raise TargetError(
            f"{target!r} could start from any of the heads {same}; name it as the one to take"
        )
    candidates = same or list(model.targets)
    return candidates[0] if len(candidates) == 1 else None


def _carried(model: Model, source: str | None, target: str, kept: Sequence[str]) -> dict[str, Any]:
    """The old weights under their new names."""
    heads = {t: model.params["heads"][t] for t in kept}
    if source is not None:
        heads[target] = model.params["heads"][source]
    return {"encoder": model.params["encoder"], "heads": heads}


def _overwritten(fresh: Params, carried: Params, reinit: Sequence[str]) -> tuple[Params, set[str]]:
    """Fresh parameters with the carried ones laid over, except where a pattern says otherwise."""
    new = traverse_util.flatten_dict(dict(fresh), sep="/")
    old = traverse_util.flatten_dict(carried, sep="/")
    anew = set()
    for pattern in reinit:
        matching = fnmatch.filter(new, pattern)
        if not matching:
            raise ConfigError(f"reinit pattern {pattern!r} matches no parameter")
        anew |= set(matching)
    loaded = {path for path in old if path not in anew}
    merged = {path: np.asarray(old[path]) if path in loaded else v for path, v in new.items()}
    return traverse_util.unflatten_dict(merged, sep="/"), loaded


def _rules(config: TransferConfig) -> list[tuple[str, str]]:
    rules = [(pattern, _unfreeze_group(pattern)) for _, pattern in config.unfreeze]
    rules += [("encoder/*", FROZEN)] if config.mode == "head" else []
    rules += [(pattern, _lr_group(pattern)) for pattern, _ in config.lr_groups]
    return [*rules, ("*", TRAINED)]


def _lr_group(pattern: str) -> str:
    return f"rate:{pattern}"


def _unfreeze_group(pattern: str) -> str:
    return f"later:{pattern}"
