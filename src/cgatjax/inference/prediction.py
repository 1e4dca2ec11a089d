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
from cgatjax.data.datasets import Crystals, Dataset, GraphList
from cgatjax.data.loader import BatchLoader, choose_budgets
from cgatjax.data.store import Store
from cgatjax.errors import InputError, StructureError
from cgatjax.graphs.crystal_graph import CrystalGraph, featurize
from cgatjax.graphs.reduction import reduce_graph
from cgatjax.inference.predictor import Predictor
from cgatjax.models.metrics import errors_of
from cgatjax.models.model import Model
from cgatjax.nn.cgat import CGAT
from cgatjax.runtime.progress import progress
from cgatjax.structures.crystal import Crystal, Rejected
from cgatjax.structures.elements import ElementTable
from cgatjax.structures.readers import read_crystals

BATCH = 128
"""Crystals per batch of inference."""
CHUNK = 4096
"""Structures featurized before they are predicted."""


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
    model: Model | Predictor,
    structures: Any,
    *,
    on_error: Literal["raise", "skip"] = "raise",
    batch_size: int = BATCH,
    show_progress: bool = False,
) -> Predictions:
    """Predicts for structures, files, or the crystals of a store.

    Args:
      model: a trained model, or an ensemble of them.
      structures: a `Store` or data set, or whatever `read_crystals` takes.
      on_error: "raise" at the first bad crystal, or "skip" it into `.skipped`.
      batch_size: crystals per batch.
      show_progress: a progress bar on standard error.

    Raises:
      StructureError: a crystal cannot be used, with on_error="raise".
      MismatchError: a store whose graphs were made with other options.
    """
    predictor, skipped = Predictor.of(model), list[Rejected]()
    parts: Iterator[Crystals]
    if isinstance(structures, Store):
        parts = iter([structures.all()])
    elif hasattr(structures, "take"):
        parts = iter([structures])
    else:
        parts = _featurized(predictor.model, structures, on_error, skipped)
    embeds = predictor.reads_embeddings
    runner = BatchRunner(predictor.members[:1] if embeds else predictor.members, batch_size)
    ids: list[str] = []
    raw: list[dict[str, np.ndarray]] = []
    with progress("predict", shown=show_progress) as advance:
        for part in parts:
            predictor.model.check_graphs(part, "the crystals to predict")
            if len(part):
                raw.append(runner(part, embed_of if embeds else forward_of))
                ids += part.ids
            advance(len(part), "")
    if not ids:
        raise InputError(f"no crystal to predict ({len(skipped)} skipped)")
    outputs = {name: np.concatenate([r[name] for r in raw], axis=1) for name in raw[0]}
    moments = {
        t: predictor.moments(t, outputs["embedding" if embeds else t]) for t in predictor.targets
    }
    return Predictions(
        ids=ids,
        means={t: mean for t, (mean, _) in moments.items()},
        stds={t: std for t, (_, std) in moments.items()},
        units=predictor.units,
        std_notes={t: predictor.std_note(t) for t in predictor.targets},
        skipped=skipped,
    )


def evaluate(
    model: Model | Predictor, data: Store | Crystals, *, batch_size: int = BATCH
) -> dict[str, Any]:
    """Errors over all known values of a data set, in the target's unit; an ensemble's mean counts.

    Returns:
      {"mae", "rmse", "n"}, or {target: {"mae", "rmse", "n"}} for several targets.

    Raises:
      MismatchError: graphs made with other options, or targets in another unit.
      TargetError: the data do not have one of the model's targets.
    """
    crystals: Crystals = data.all() if isinstance(data, Store) else data
    predictor = Predictor.of(model)
    predictor.model.check_units(crystals, "the crystals to evaluate")
    found = predict(predictor, crystals, batch_size=batch_size)
    errors = {t: errors_of(found.means[t], crystals.target(t)) for t in found.means}
    return errors if len(errors) > 1 else next(iter(errors.values()))


def embed(
    model: Model | Predictor, data: Store | Crystals, *, batch_size: int = BATCH
) -> np.ndarray:
    """(crystals, `config.embedding_dim`) crystal embeddings, in the order of the data.

    Those of an ensemble are its first member's: members have no axes in common.
    """
    crystals: Crystals = data.all() if isinstance(data, Store) else data
    model = Predictor.of(model).model
    model.check_graphs(crystals, "the crystals to embed")
    if len(crystals) == 0:
        raise InputError("no crystal to embed")
    return BatchRunner((model,), batch_size)(crystals, embed_of)["embedding"][0]


class BatchRunner:
    """Runs a compiled function of each member over data sets; keeps batch shapes that fit.

    Attributes:
      budgets: shapes of the batches so far, the largest last; none before the first run.
    """

    def __init__(self, members: Sequence[Model], batch_size: int) -> None:
        self.model = members[0]
        self.params = [jax.device_put(member.params) for member in members]
        self.batch_size = batch_size
        self.budgets: Sequence[BatchBudget] = ()

    def __call__(self, data: Crystals, make: Callable[..., Any]) -> dict[str, np.ndarray]:
        """Runs over all crystals; (members, crystals, …) arrays in the order of the data."""
        function = make(self.model.config, self.model.element_table)
        sizes = data.sizes
        largest = max(self.budgets, default=None)
        degree = data.in_degree
        if largest is None or not largest.holds(sizes.max(0)) or largest.in_degree != degree:
            self.budgets = choose_budgets(sizes, self.batch_size, degree)
        loader = BatchLoader(data, (), self.batch_size, self.budgets)
        order = np.argsort(sizes[:, 1], kind="stable")[::-1]
        collected: dict[str, np.ndarray] = {}
        for planned, batch in loader.batches(order):
            batch = jax.device_put(batch)
            for number, params in enumerate(self.params):
                for name, rows in function(params, batch).items():
                    rows = np.asarray(rows)
                    if name not in collected:
                        shape = (len(self.params), len(data), *rows.shape[1:])
                        collected[name] = np.empty(shape, rows.dtype)
                    collected[name][number, planned.positions] = rows[: len(planned.positions)]
        return collected


@functools.lru_cache(maxsize=8)
def forward_of(config: ModelConfig, table: ElementTable) -> Callable[..., dict[str, jax.Array]]:
    """The compiled network: parameters and batch -> {target: (graphs, 2)}, normalized."""
    model = Model(config=config, params=None, graph_config=None, element_table=table)  # type: ignore[arg-type]
    return jax.jit(model.forward)


@functools.lru_cache(maxsize=8)
def embed_of(config: ModelConfig, table: ElementTable) -> Callable[..., dict[str, jax.Array]]:
    """The compiled encoder: parameters and batch -> {"embedding": (graphs, width)}."""
    net = CGAT(config, table)

    def run(params: Any, batch: Any) -> dict[str, jax.Array]:
        embedding: Any = net.apply({"params": params}, batch, method="embed")
        return {"embedding": embedding}

    return jax.jit(run)


def graphs_of(
    model: Model | Predictor, structures: Any, *, on_error: Literal["raise", "skip"] = "raise"
) -> tuple[Dataset, list[Rejected]]:
    """The reduced graphs of new structures as a data set in memory, and what cannot be used.

    Args:
      model: whose graph options and elements hold.
      structures: whatever `read_crystals` takes.
      on_error: "raise" at the first bad crystal, or "skip" it into the list.

    Raises:
      StructureError: a crystal cannot be used, with on_error="raise".
    """
    skipped: list[Rejected] = []
    network = Predictor.of(model).model
    parts = _featurized(network, structures, on_error, skipped)
    graphs = GraphList([g for part in parts for g in part.graphs], network.graph_config)
    return Dataset(graphs, np.arange(len(graphs))), skipped


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
