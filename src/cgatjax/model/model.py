"""Models: network, weights, normalizers, units, and the options that their graphs need."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np

from cgatjax._version import __version__
from cgatjax.config import GraphConfig, ModelConfig
from cgatjax.data.arguments import crystals_of
from cgatjax.data.datasets import Crystals
from cgatjax.data.store import Store
from cgatjax.errors import ConfigError, InputError, MismatchError, TargetError
from cgatjax.model.network import Network
from cgatjax.model.normalizer import Normalizer
from cgatjax.model.training_record import TrainingRecord
from cgatjax.structures import ElementTable, require_no_total

_BLOCK = 16384
"""Crystals checked together for elements without a vector."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Model:
    """Network with weights, normalizers and units: the result of a training.

    Attributes:
      config: the network's sizes and variants.
      params: {"encoder": …, "heads": {target: …}}.
      graph_config: the options that its graphs must be made with.
      element_table: vectors of the elements.
      normalizers: target -> baseline, references, mean and std, fitted on the training set; empty
        before training.
      units: target -> unit, "" where unknown.
      predicts_std: targets with a predicted aleatoric std (trained with a robust loss).
      record: elements and crystals that it was trained on; None if unknown.
      sources: target -> model whose prediction is its baseline, with one head.
    """

    config: ModelConfig
    params: Any
    graph_config: GraphConfig
    element_table: ElementTable = field(default_factory=ElementTable.matscholar)
    normalizers: Mapping[str, Normalizer] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    predicts_std: tuple[str, ...] = ()
    record: TrainingRecord | None = None
    sources: Mapping[str, "Model"] = field(default_factory=dict)

    def __repr__(self) -> str:
        targets = ", ".join(f"{t} ({self.units.get(t) or '?'})" for t in self.targets)
        missing = [t for t in self.targets if t not in self.normalizers]
        return (
            f"Model of {targets}: {self.n_params:,} parameters, {self.config.steps} steps, width "
            f"{self.config.node_dim}, {self.graph_config.max_neighbors} neighbors"
            f"{', not trained' if missing else ''}"
        )

    @property
    def network(self) -> Network:
        """Network of the model, without the weights."""
        return Network(self.config, self.element_table)

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the predicted properties, a head each."""
        return self.config.targets

    @property
    def n_params(self) -> int:
        """Number of weights."""
        return sum(int(np.size(leaf)) for leaf in jax.tree.leaves(self.params))

    def replace(self, **changes: Any) -> "Model":
        """Copy the model with some attributes changed."""
        return dataclasses.replace(self, **changes)

    def check_graphs(self, data: Crystals, where: str) -> None:
        """Raise MismatchError unless the model fits the graph options and elements of data."""
        self.check_options(data.graph_config, where)
        missing: set[str] = set()
        table = self.element_table
        blocks = () if table.known[1:].all() else range(0, len(data), _BLOCK)
        for start in blocks:
            rows = np.arange(start, min(start + _BLOCK, len(data)))
            missing |= set(table.missing(data.take(rows).atomic_numbers))
        if missing:
            raise MismatchError(
                f"{where}: the element table {table.name!r} has no vector for {sorted(missing)}; "
                "leave such crystals out, or take another table"
            )

    def check_options(self, graph_config: GraphConfig, where: str) -> None:
        """Raise MismatchError unless graphs were made with this model's options."""
        ours, theirs = self.graph_config.to_dict(), graph_config.to_dict()
        different = {k: (ours[k], theirs[k]) for k in ours if ours[k] != theirs[k]}
        if different:
            listing = ", ".join(f"{k}: model {a!r}, data {b!r}" for k, (a, b) in different.items())
            raise MismatchError(
                f"{where}: graphs made with other options than the model's ({listing}); "
                "featurize again with the model's options, or train a new model"
            )

    def targets_in(self, data: Crystals) -> tuple[str, ...]:
        """Return the targets that the data have.

        Raises:
          TargetError: the data have none of them.
        """
        found = []
        for name in self.targets:
            with suppress(TargetError):
                data.unit(name)
                found.append(name)
        if not found:
            data.unit(self.targets[0])  # whose error lists the targets of the data
        return tuple(found)

    def check_units(self, data: Crystals, where: str) -> None:
        """Raise MismatchError where a target has another unit in the data than in the model."""
        for name in self.targets_in(data):
            ours, theirs = self.units.get(name, ""), data.unit(name)
            if ours and theirs and ours != theirs:
                raise MismatchError(
                    f"{where}: target {name!r} is in {theirs} there, the model predicts {ours}; "
                    "compare like with like, or transfer the model to these data"
                )


def require_model(model: Any, call: str = "") -> None:
    """Raise InputError, with the right `call`, unless an argument is a model."""
    if isinstance(model, Model):
        return
    if isinstance(model, str | Path):
        raise InputError(
            f"expected a model, got the path {str(model)!r}; load it: cg.load_model({str(model)!r})"
        )
    order = f"; the order is {call}" if call else ""
    raise InputError(f"expected a model, got {type(model).__name__}{order}")


def fitted_config(
    config: ModelConfig,
    graphs: GraphConfig,
    targets: Sequence[str],
    element_table: ElementTable | None,
) -> tuple[ModelConfig, ElementTable]:
    """Set targets, shell table and element vectors of a network's options, and return the vectors.

    ConfigError if `elements` is "own", and there is no table.
    """
    if element_table is None and config.elements == "own":
        raise ConfigError('ModelConfig.elements: "own" needs a table; give element_table')
    table = element_table or ElementTable.named(config.elements)
    fitted = config.replace(
        targets=tuple(targets),
        max_shells=graphs.max_neighbors,
        elements=config.elements if element_table is None else "own",
        element_dim=table.dim,
    )
    return fitted, table


def init_model(
    config: ModelConfig | Mapping[str, Any],
    data: Store | Crystals,
    *,
    target: str | Sequence[str],
    seed: int = 0,
    element_table: ElementTable | None = None,
) -> Model:
    """Initialize a model for the graph options and targets of a data set.

    Args:
      config: sizes and variants, or a dictionary of them; targets, shell table and element width
        are set from the data.
      data: a store or a data set.
      target: one name, or several for several heads.
      seed: of the initialization.
      element_table: vectors of the elements, instead of those that the options name.

    Raises:
      TargetError: the data have no such target.
    """
    names = (target,) if isinstance(target, str) else tuple(target)
    crystals = crystals_of(data, "the data of a model")
    units = {name: crystals.unit(name) for name in names}
    for name, unit in units.items():
        require_no_total(name, unit)
    if len(crystals) == 0:
        raise TargetError("expected at least one crystal to fit the model's sizes to, got none")
    config, table = fitted_config(
        ModelConfig.of(config), crystals.graph_config, names, element_table
    )
    return Model(
        config=config,
        params=Network(config, table).init(seed),
        graph_config=crystals.graph_config,
        element_table=table,
        units=units,
        record=TrainingRecord(),
    )


def inputs_of(model: Model, train: Crystals, valid: Crystals) -> dict[str, Any]:
    """Describe the inputs of a run by plain values that can be compared."""
    return {
        "train": _describe(train, model.targets),
        "valid": _describe(valid, model.targets),
        "normalizers": {t: [n.mean, n.std] for t, n in sorted(model.normalizers.items())},
        "weights": weights_digest(model.params),
    }


def versions() -> dict[str, str]:
    """List versions of the computing libraries and the backend: they decide the last bits."""
    found = {name: version(name) for name in ("jax", "jaxlib", "numpy", "optax")}
    return {"cgatjax": __version__, **found, "backend": jax.default_backend()}


def weights_digest(params: Any) -> str:
    """Hash parameters with their names and shapes: 16 hex digits of SHA-256."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        array = np.ascontiguousarray(leaf)
        digest.update(f"{jax.tree_util.keystr(path)} {array.shape} {array.dtype}".encode())
        digest.update(array.data)
    return digest.hexdigest()[:16]


def _describe(data: Crystals, targets: tuple[str, ...]) -> dict[str, Any]:
    """Count the crystals and hash the store with sizes and values of the chosen rows."""
    digest = hashlib.sha256(data.digest.encode())
    digest.update(np.ascontiguousarray(data.sizes, np.int64).data)
    for name in targets:
        digest.update(np.ascontiguousarray(data.target(name), np.float64).data)
    return {"crystals": len(data), "digest": digest.hexdigest()[:16]}


def with_heads(model: Model, targets: Sequence[str]) -> Model:
    """Return a model with some of its heads.

    Args:
      model: the model.
      targets: their properties.
    """
    return model.replace(
        config=model.config.replace(targets=tuple(targets)),
        params={**model.params, "heads": {t: model.params["heads"][t] for t in targets}},
        normalizers={t: model.normalizers[t] for t in targets},
        units={t: model.units.get(t, "") for t in targets},
        sources={t: source for t, source in model.sources.items() if t in targets},
        predicts_std=tuple(t for t in model.predicts_std if t in targets),
    )


def make_source(model: Model, target: str) -> Model:
    """Return a model with one of its heads alone, to be the baseline of another model."""
    return with_heads(model, (target,)).replace(predicts_std=(), record=None)


def source_origin(model: Model) -> str:
    """Describe a model that is a baseline, with a hash of its weights."""
    scale = model.normalizers[model.targets[0]]
    digest = weights_digest({"params": model.params, "scale": np.array([scale.mean, scale.std])})
    return f"prediction of {model.targets[0]} by a model with the hash {digest}"
