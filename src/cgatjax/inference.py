"""Predictions, embeddings and errors of a model on stored or new crystals."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

import jax
import numpy as np

from cgatjax.config import ModelConfig
from cgatjax.data.batching import BatchBudget
from cgatjax.data.elements import ElementTable
from cgatjax.data.graphs import CrystalGraph, featurize
from cgatjax.data.loader import BatchLoader, choose_budgets
from cgatjax.data.readers import read_crystals
from cgatjax.data.reduction import reduce_graph
from cgatjax.data.store import Store
from cgatjax.data.structures import Crystal, Rejected
from cgatjax.data.subsets import Crystals, GraphList
from cgatjax.errors import InputError, StructureError
from cgatjax.metrics import errors_of
from cgatjax.model import Model
from cgatjax.nn.cgat import CGAT
from cgatjax.progress import progress

BATCH = 128
"""Crystals per batch of inference."""
CHUNK = 4096
"""Structures featurised before they are predicted."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Predictions:
    """Predictions of one or several properties, one row per crystal.

    Attributes:
      ids: names of the crystals.
      means: target -> (crystals,) in the target's unit.
      stds: target -> (crystals,) standard deviations in the same unit, NaN where there is none.
      units: target -> unit.
      std_notes: target -> how the standard deviation was made, or why there is none.
      skipped: crystals that could not be predicted, and why.
    """

    ids: list[str]
    means: dict[str, np.ndarray]
    stds: dict[str, np.ndarray]
    units: dict[str, str]
    std_notes: dict[str, str]
    skipped: list[Rejected] = field(default_factory=list)

    @property
    def mean(self) -> np.ndarray | dict[str, np.ndarray]:
        """The predictions; a dictionary if there are several targets."""
        return self.means if len(self.means) > 1 else next(iter(self.means.values()))

    @property
    def std(self) -> np.ndarray | dict[str, np.ndarray]:
        """The standard deviations; a dictionary if there are several targets."""
        return self.stds if len(self.stds) > 1 else next(iter(self.stds.values()))


def predict(
    model: Model,
    structures: Any,
    *,
    on_error: Literal["raise", "skip"] = "raise",
    batch_size: int = BATCH,
    show_progress: bool = False,
) -> Predictions:
    """Predicts for structures, files, or the crystals of a store.

    Args:
      model: a trained model.
      structures: a `Store` or data set, or whatever `read_crystals` takes.
      on_error: "raise" at the first bad crystal, or "skip" it into `.skipped`.
      batch_size: crystals per batch.
      show_progress: a progress bar on standard error.

    Raises:
      StructureError: a crystal cannot be used, with on_error="raise".
      MismatchError: a store whose graphs were made with other options.
    """
    skipped: list[Rejected] = []
    parts: Iterator[Crystals]
    if isinstance(structures, Store):
        parts = iter([structures.all()])
    elif hasattr(structures, "take"):
        parts = iter([structures])
    else:
        parts = _featurized(model, structures, on_error, skipped)
    runner = _Runner(model, batch_size)
    ids: list[str] = []
    raw: list[dict[str, np.ndarray]] = []
    with progress("predict", shown=show_progress) as advance:
        for part in parts:
            model.check_graphs(part, "the crystals to predict")
            if len(part):
                raw.append(runner(part, _forward))
                ids += part.ids
            advance(len(part), "")
    if not ids:
        raise InputError(f"no crystal to predict ({len(skipped)} skipped)")
    outputs = {t: np.concatenate([r[t] for r in raw]) for t in model.targets}
    means, stds, notes = {}, {}, {}
    for target, output in outputs.items():
        means[target], stds[target] = in_units(model, target, output)
        notes[target] = std_note(model, target)
    units = {t: model.units.get(t, "") for t in model.targets}
    return Predictions(
        ids=ids, means=means, stds=stds, units=units, std_notes=notes, skipped=skipped
    )


def in_units(model: Model, target: str, output: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation in the target's unit from (crystals, 2) network outputs.

    Raises:
      InputError: the model was never trained.
    """
    if target not in model.normalizers:
        raise InputError(f"the model has no mean and std of {target!r}: train it before predicting")
    scale = model.normalizers[target]
    mean = output[:, 0].astype(np.float64) * scale.std + scale.mean
    if target not in model.learns_std:
        return mean, np.full(len(mean), np.nan)
    return mean, np.exp(output[:, 1].astype(np.float64)) * scale.std


def std_note(model: Model, target: str) -> str:
    """How a standard deviation was made, or why there is none."""
    if target in model.learns_std:
        return "aleatoric, learned by a robust loss"
    return "none: the model was not trained with a robust loss (--loss robust_l1 or robust_l2)"


def evaluate(model: Model, data: Store | Crystals, *, batch_size: int = BATCH) -> dict[str, Any]:
    """Errors over all known values of a data set, in the target's unit.

    Returns:
      {"mae", "rmse", "n"}, or {target: {"mae", "rmse", "n"}} for several targets.

    Raises:
      MismatchError: graphs made with other options, or targets in another unit.
      TargetError: the data do not have one of the model's targets.
    """
    crystals: Crystals = data.all() if isinstance(data, Store) else data
    model.check_units(crystals, "the crystals to evaluate")
    found = predict(model, crystals, batch_size=batch_size)
    errors = {t: errors_of(found.means[t], crystals.target(t)) for t in model.targets}
    return errors if len(errors) > 1 else errors[model.targets[0]]


def embed(model: Model, data: Store | Crystals, *, batch_size: int = BATCH) -> np.ndarray:
    """(crystals, `config.embedding_dim`) crystal embeddings, in the order of the data."""
    crystals: Crystals = data.all() if isinstance(data, Store) else data
    model.check_graphs(crystals, "the crystals to embed")
    if len(crystals) == 0:
        raise InputError("no crystal to embed")
    return _Runner(model, batch_size)(crystals, _embed)["embedding"]


class _Runner:
    """Runs a compiled function over data sets, keeping the batch shapes while they fit."""

    def __init__(self, model: Model, batch_size: int) -> None:
        self.model = model
        self.batch_size = batch_size
        self.budgets: Sequence[BatchBudget] = ()

    def __call__(self, data: Crystals, make: Callable[..., Any]) -> dict[str, np.ndarray]:
        """Runs over all crystals; arrays in the order of the data."""
        function = make(self.model.config, self.model.element_table)
        sizes = data.sizes
        if not self.budgets or (sizes.max(0) > np.array(max(self.budgets)[1:]) - 1).any():
            self.budgets = choose_budgets(sizes, self.batch_size)
        loader = BatchLoader(data, (), self.batch_size, self.budgets)
        order = np.argsort(sizes[:, 1], kind="stable")[::-1]
        collected: dict[str, np.ndarray] = {}
        for planned, batch in loader.batches(order):
            for name, rows in function(self.model.params, batch).items():
                rows = np.asarray(rows)
                if name not in collected:
                    collected[name] = np.empty((len(data), *rows.shape[1:]), rows.dtype)
                collected[name][planned.positions] = rows[: len(planned.positions)]
        return collected


@functools.lru_cache(maxsize=8)
def _forward(config: ModelConfig, table: ElementTable) -> Callable[..., dict[str, jax.Array]]:
    model = Model(config=config, params=None, graph_config=None, element_table=table)  # type: ignore[arg-type]
    return jax.jit(model.forward)


@functools.lru_cache(maxsize=8)
def _embed(config: ModelConfig, table: ElementTable) -> Callable[..., dict[str, jax.Array]]:
    net = CGAT(config, table)

    def run(params: Any, batch: Any) -> dict[str, jax.Array]:
        embedding: Any = net.apply({"params": params}, batch, method="embed")
        return {"embedding": embedding}

    return jax.jit(run)


def _featurized(
    model: Model, structures: Any, on_error: str, skipped: list[Rejected]
) -> Iterator[GraphList]:
    """Reduced graphs of new structures, CHUNK at a time."""
    found = iter(read_crystals(structures))
    while chunk := list(islice(found, CHUNK)):
        graphs = [g for item in chunk if (g := _graph(model, item, on_error, skipped)) is not None]
        if graphs:
            yield GraphList(graphs, model.graph_config)


def _graph(
    model: Model, item: Crystal | Rejected, on_error: str, skipped: list[Rejected]
) -> CrystalGraph | None:
    if isinstance(item, Crystal):
        missing = model.element_table.missing(item.atomic_numbers)
        if not missing:
            try:
                return reduce_graph(featurize(item, model.graph_config))
            except StructureError as error:
                item = Rejected(id=item.id, source=item.source, reason=str(error))
        else:
            reason = f"the element table {model.element_table.name!r} has no vector for {missing}"
            item = Rejected(id=item.id, source=item.source, reason=reason)
    if on_error == "raise":
        raise item.error()
    skipped.append(item)
    return None
