"""Runs tasks of the Matbench protocol: folds in, predictions out, each fold trained from anew.

Tasks are `MatbenchTask`s of ours, or the objects of the package `matbench`, which have the same
methods.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cgatjax.errors import InputError, MismatchError
from cgatjax.integrations.sklearn_estimator import CGATRegressor
from cgatjax.runtime.atomic_files import write_durably, writing


class Task(Protocol):
    """What is used of a task, ours or one of the package `matbench`."""

    @property
    def dataset_name(self) -> str:
        """Name of the task."""

    @property
    def folds(self) -> Sequence[int]:
        """Numbers of the folds."""

    @property
    def is_recorded(self) -> Mapping[int, bool]:
        """Fold -> whether it has predictions."""

    def get_train_and_val_data(self, fold_number: int, /) -> tuple[Any, Any]:
        """Structures and values that a fold may learn from."""

    def get_test_data(self, fold_number: int, /) -> Any:
        """Structures that it must predict."""

    def record(self, fold_number: int, /, predictions: Any, params: dict[str, Any]) -> None:
        """Takes the predictions."""


def run_matbench(task: Task, regressor: CGATRegressor, folder: str | Path | None = None) -> None:
    """Trains on each fold, and records its predictions in the task.

    Args:
      task: a `MatbenchTask`, or one of the package.
      regressor: how to train, perhaps from a pre-trained model; it is not fitted itself.
      folder: keeps the predictions of each fold; those that are there are not made again.

    Raises:
      MismatchError: the folder has predictions of another task or of other options.
      InputError: predictions in the folder cannot be read.
      ConfigError, TargetError: further, all errors of `CGATRegressor.fit`.
    """
    params = _plain(regressor)
    for fold in task.folds:
        if task.is_recorded[fold]:
            continue
        file = None if folder is None else Path(folder) / f"fold_{fold}.json"
        predictions = _kept(file, task.dataset_name, params)
        if predictions is None:
            structures, values = task.get_train_and_val_data(fold)
            fresh = type(regressor)(**regressor.get_params())
            fresh.fit(list(structures), np.asarray(values, np.float64))
            predictions = np.asarray(fresh.predict(list(task.get_test_data(fold)))).tolist()
            _keep(file, {"task": task.dataset_name, "params": params, "predictions": predictions})
        task.record(fold, predictions=predictions, params=params)


def _plain(regressor: CGATRegressor) -> dict[str, Any]:
    """The arguments that JSON can hold as they are; of others their text."""
    params = {k: v for k, v in regressor.get_params().items() if v is not None and k != "verbose"}
    return {
        name: value if isinstance(value, str | int | float | bool) else f"{value!s:.500}"
        for name, value in params.items()
    }


def _kept(file: Path | None, name: str, params: Mapping[str, Any]) -> list[float] | None:
    """Predictions of an earlier run."""
    if file is None or not file.exists():
        return None
    try:
        content = json.loads(file.read_text())
        before = {"task": content["task"], "params": content["params"]}
        predictions: list[float] = content["predictions"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"{file}: expected predictions of a fold: {error}; remove it") from error
    if before != {"task": name, "params": params}:
        raise MismatchError(
            f"{file}: made for {before['task']} with {before['params']}, now it is {name} with "
            f"{dict(params)}; choose another folder"
        )
    return predictions


def _keep(file: Path | None, content: Mapping[str, Any]) -> None:
    if file is not None:
        with writing(file):
            file.parent.mkdir(parents=True, exist_ok=True)
        write_durably(file, json.dumps(content).encode())
