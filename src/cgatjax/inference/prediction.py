"""Predictions, embeddings and errors of a model, on stored or new crystals."""

import functools
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from cgatjax.data.arguments import crystals_of, is_dataset, is_store_folder
from cgatjax.data.batching import BatchBudget
from cgatjax.data.datasets import Crystals, Dataset
from cgatjax.data.loader import BatchLoader, choose_budgets, shuffled
from cgatjax.data.store import Store
from cgatjax.errors import InputError
from cgatjax.inference.baselines import has_known, require_known
from cgatjax.inference.memory import TrainedOn, count_trained_on, total_of
from cgatjax.inference.new_graphs import featurized_parts
from cgatjax.inference.passes import Outputs, Pass, distinct
from cgatjax.inference.prediction_table import UNRECORDED, Predictions
from cgatjax.inference.predictor import Predictor
from cgatjax.model.metrics import errors_of
from cgatjax.model.model import Model
from cgatjax.model.training_record import unseen_elements
from cgatjax.runtime.progress import progress
from cgatjax.structures import Rejected
from cgatjax.structures.readers import count_structures

logger = logging.getLogger("cgatjax")
BATCH = 128
"""Crystals per batch of inference."""
UNDER_WAY = 2
"""Batches of inference that are computed or read at the same time."""


def predict(
    model: Model | Predictor,
    structures: Any,
    *,
    properties: str | Path | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    batch_size: int = BATCH,
    show_progress: bool | None = None,
) -> Predictions:
    """Predict properties of structures, files, or the crystals of a store.

    A model that learned the difference to a low-fidelity value needs this value of each crystal
    (`Predictor.properties`): in the store, with the structures, or in a table. A warning is logged
    if crystals contain elements that the model was never trained on.

    Args:
      model: a trained model, or an ensemble of them.
      structures: a `Store`, its folder, a data set, or whatever `read_crystals` takes.
      properties: CSV file with a row for each CIF or POSCAR file, as for `read_crystals`.
      on_error: "raise" at the first bad crystal, or "skip" it into `.skipped`.
      batch_size: crystals per batch.
      show_progress: show progress on standard error; by default in terminals and notebooks.

    Raises:
      StructureError: a crystal cannot be used, with on_error="raise".
      MismatchError: a store whose graphs were made with other options, or a baseline of another
        calculator.
      TargetError: the crystals lack a low-fidelity value that the model needs.
    """
    predictor = Predictor.of(model)
    found = _predicted(predictor, structures, properties, on_error, batch_size, show_progress)
    log_unseen(found)
    return found


def log_unseen(found: Predictions) -> None:
    """Warn of elements that the model was never trained on; say once if they are unknown."""
    if found.unseen is None:
        log_unrecorded()
    elif found.unseen_note:
        logger.warning(found.unseen_note)


@functools.cache
def log_unrecorded() -> None:
    """Log once that a model has no record of the elements that it was trained on."""
    logger.info("%s; elements that it has never seen are not reported", UNRECORDED)


def _predicted(
    predictor: Predictor,
    structures: Any,
    properties: str | Path | None,
    on_error: Literal["raise", "skip"],
    batch_size: int,
    show_progress: bool | None,
) -> Predictions:
    """Predict as `predict`, without a warning."""
    skipped = list[Rejected]()
    parts: Iterator[Crystals]
    total: int | None
    if isinstance(structures, Store) or is_dataset(structures) or is_store_folder(structures):
        data = crystals_of(structures, "the crystals to predict")
        parts, total = iter([data]), len(data)
    else:
        total = count_structures(structures)
        parts = featurized_parts(predictor, structures, properties, on_error, skipped)
    runner = BatchRunner(predictor.passes, batch_size)
    ids: list[str] = []
    unseen: list[tuple[str, ...]] = []
    counts: list[TrainedOn | None] = []
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {t: [] for t in predictor.targets}
    novelty: list[np.ndarray] = []
    with progress("predict", total, shown=show_progress) as advance:
        for part in parts:
            predictor.model.check_graphs(part, "the crystals to predict")
            part = _with_baselines(predictor, part, on_error, skipped)
            if len(part):
                outputs = runner(part)
                for target, moments in found.items():
                    moments.append(predictor.moments(target, outputs, part))
                if (distances := predictor.novelty(outputs)) is not None:
                    novelty.append(distances)
                ids += part.ids
                if predictor.unseen is not None:
                    unseen += unseen_elements(part, predictor.unseen)
                counts.append(count_trained_on(predictor.members, part))
            advance(len(part), "")
    if not ids:
        raise InputError(f"no crystal to predict ({len(skipped)} skipped)")
    return Predictions(
        ids=ids,
        means={t: np.concatenate([mean for mean, _ in parts]) for t, parts in found.items()},
        stds={t: np.concatenate([std for _, std in parts]) for t, parts in found.items()},
        units=predictor.units,
        std_notes={t: predictor.std_note(t) for t in predictor.targets},
        unseen=unseen if predictor.unseen is not None else None,
        trained_on=total_of(counts),
        novelty=np.concatenate(novelty) if novelty else None,
        skipped=skipped,
    )


def _with_baselines(
    predictor: Predictor,
    part: Crystals,
    on_error: Literal["raise", "skip"],
    skipped: list[Rejected],
) -> Crystals:
    """Return crystals with the properties that predictions need; raise, or skip the others."""
    known = has_known(predictor.members, part)
    if known.all() or not isinstance(part, Dataset) or on_error == "raise":
        require_known(predictor.members, part)
        return part
    reason = f"no value of {', '.join(predictor.properties)}, which the model needs as a baseline"
    lacking = part.select(~known)
    skipped += [Rejected(id=name, source="the data set", reason=reason) for name in lacking.ids]
    return part.select(known)


def evaluate(
    model: Model | Predictor, data: Store | Crystals, *, batch_size: int = BATCH
) -> dict[str, Any]:
    """Compute the errors over all known values of a data set, in the target's unit.

    An ensemble is evaluated by the mean of its members. Crystals without a low-fidelity value that
    the model needs are left out, with a warning. A warning is logged if crystals were in the
    training set of the model, by graph: their errors are those of training.

    Returns:
      {"mae", "rmse", "n"}, or {target: {"mae", "rmse", "n"}} if the data have several targets.

    Raises:
      MismatchError: graphs made with other options, or targets in another unit.
      TargetError: the data have none of the model's targets.
    """
    found, errors = _evaluated(Predictor.of(model), data, batch_size)
    log_unseen(found)
    if found.trained_on is not None and found.trained_on.train:
        logger.warning("%s; their errors are those of training", found.trained_on.text())
    return errors if len(errors) > 1 else next(iter(errors.values()))


def errors_by_target(
    model: Model | Predictor, data: Store | Crystals
) -> dict[str, dict[str, float]]:
    """Compute {target: {"mae", "rmse", "n"}} as `evaluate` does, without its warnings."""
    return _evaluated(Predictor.of(model), data, BATCH)[1]


def with_known(predictor: Predictor, crystals: Dataset) -> Dataset:
    """Return the crystals with the low-fidelity values that predictions need; log the others."""
    known = has_known(predictor.members, crystals)
    if known.all():
        return crystals
    logger.warning(
        "%d of %d crystals have no value of %s, a baseline of the model; left out",
        int((~known).sum()), len(crystals), ", ".join(predictor.properties),
    )  # fmt: skip
    return crystals.select(known)


def _evaluated(
    predictor: Predictor, data: Store | Crystals, batch_size: int
) -> tuple[Predictions, dict[str, dict[str, float]]]:
    """Predict the crystals with all baselines, and compute the errors of each target they have."""
    crystals = crystals_of(data, "the crystals to evaluate")
    if isinstance(crystals, Dataset):
        crystals = with_known(predictor, crystals)
    predictor.model.check_units(crystals, "the crystals to evaluate")
    found = _predicted(predictor, crystals, None, "raise", batch_size, False)
    known = predictor.model.targets_in(crystals)
    return found, {t: errors_of(found.means[t], crystals.target(t)) for t in known}


def embed(
    model: Model | Predictor,
    data: Store | Crystals,
    *,
    batch_size: int = BATCH,
    shapes_of: Crystals | None = None,
) -> np.ndarray:
    """Compute crystal embeddings (crystals, `config.embedding_dim`), in the order of the data.

    Embeddings of an ensemble are its first member's: members have no axes in common.

    Args:
      model: a trained model, or an ensemble of them.
      data: the crystals.
      batch_size: crystals per batch.
      shapes_of: crystals that decide the batch shapes, so that several parts of them share a
        compiled program; by default `data`.

    Raises:
      InputError: no crystals.
      MismatchError: graphs made with other options than the model's.
    """
    crystals = crystals_of(data, "the crystals to embed")
    model = Predictor.of(model).model
    model.check_graphs(crystals, "the crystals to embed")
    if len(crystals) == 0:
        raise InputError("no crystal to embed")
    runner = BatchRunner((Pass(model, "embed"),), batch_size, shapes_of)
    return runner(crystals)[0]["embedding"]


class BatchRunner:
    """Runner of forward passes over data sets, which keeps batch shapes (`budgets`) that fit."""

    def __init__(
        self, passes: Sequence[Pass], batch_size: int, shapes_of: Crystals | None = None
    ) -> None:
        """Copy parameters to the device.

        Args:
          passes: models and methods; equal ones run once.
          batch_size: crystals per batch.
          shapes_of: crystals that decide the batch shapes, so that runs over parts of them share
            programs; by default the first data set.
        """
        run, self._numbers = distinct(passes)
        self._passes = [
            (model.network.jitted(method), jax.device_put(model.params)) for model, method in run
        ]
        self.batch_size = batch_size
        self.budgets: Sequence[BatchBudget] = ()
        if shapes_of is not None:
            self.budgets = choose_budgets(shapes_of.sizes, batch_size, shared=True)

    def __call__(self, data: Crystals) -> list[Outputs]:
        """Run all passes over all crystals: output -> (crystals, ...) of each pass, in their
        order.
        """
        sizes = data.sizes
        largest = max(self.budgets, default=None)
        if largest is None or not largest.holds(sizes.max(0)):
            self.budgets = choose_budgets(sizes, self.batch_size, shared=True)
        loader = BatchLoader(data, (), self.batch_size, self.budgets)
        # Mixed sizes fill batches; sorted ones, of which some have many edges and some many
        # crystals, would have three times the padding.
        order = shuffled(len(data), 0, 0)
        collected: list[dict[str, np.ndarray]] = [{} for _ in self._passes]

        def collect(positions: np.ndarray, outputs: list[dict[str, jax.Array]]) -> None:
            for output, arrays in zip(outputs, collected, strict=True):
                for name, rows in output.items():
                    if name not in arrays:
                        arrays[name] = np.empty((len(data), *rows.shape[1:]), rows.dtype)
                    arrays[name][positions] = np.asarray(rows)[: len(positions)]

        # One batch computes while the results of the one before are read.
        under_way = deque[tuple[np.ndarray, list[dict[str, jax.Array]]]]()
        for planned, batch in loader.batches(order):
            batch = jax.device_put(batch)
            outputs = [function(params, batch) for function, params in self._passes]
            under_way.append((planned.positions, outputs))
            if len(under_way) == UNDER_WAY:
                collect(*under_way.popleft())
        for done in under_way:
            collect(*done)
        return [collected[number] for number in self._numbers]
