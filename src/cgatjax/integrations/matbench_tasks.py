"""Training and prediction of all folds of a Matbench task.

Tasks are `MatbenchTask`s, or the objects of the package `matbench`, which have the same methods.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from cgatjax import CGATRegressor, MismatchError
from cgatjax.runtime import reading, write_durably


class Task(Protocol):
    """Interface shared by `MatbenchTask` and the tasks of the package `matbench`."""

    @property
    def dataset_name(self) -> str:
        """Name of the task."""

    @property
    def folds(self) -> Sequence[int]:
        """Numbers of the folds."""

    @property
    def is_recorded(self) -> Mapping[int, bool]:
        """Fold -> True if it has predictions."""

    def get_train_and_val_data(self, fold_number: int, /) -> tuple[Any, Any]:
        """Return the training and validation structures of a fold with their values."""

    def get_test_data(self, fold_number: int, /) -> Any:
        """Return the test structures of a fold."""

    def record(self, fold_number: int, /, predictions: Any, params: dict[str, Any]) -> None:
        """Record the predictions of a fold."""


def run_matbench(task: Task, regressor: CGATRegressor, folder: str | Path | None = None) -> None:
    """Train on each fold, and record the predictions in the task.

    Args:
      task: `MatbenchTask` or task of the package.
      regressor: estimator to copy and fit for each fold, possibly with a pre-trained model.
      folder: folder for the predictions of each fold; existing ones are not recomputed.

    Raises:
      MismatchError: the folder has predictions of another task or with other options.
      InputError: predictions in the folder cannot be read.
      ConfigError, TargetError: see `CGATRegressor.fit`.
    """
    params = _json_params(regressor)
    for fold in task.folds:
        if task.is_recorded[fold]:
            continue
        file = None if folder is None else Path(folder) / f"fold_{fold}.json"
        predictions = _load_predictions(file, task.dataset_name, params)
        if predictions is None:
            structures, values = task.get_train_and_val_data(fold)
            fresh = type(regressor)(**regressor.get_params())
            fresh.fit(list(structures), np.asarray(values, np.float64))
            predictions = np.asarray(fresh.predict(list(task.get_test_data(fold)))).tolist()
            content = {"task": task.dataset_name, "params": params, "predictions": predictions}
            _save_predictions(file, content)
        task.record(fold, predictions=predictions, params=params)


def _json_params(regressor: CGATRegressor) -> dict[str, Any]:
    """Convert the arguments of the estimator to JSON values, if need be as text."""
    params = {k: v for k, v in regressor.get_params().items() if v is not None and k != "verbose"}
    return {
        name: value if isinstance(value, str | int | float | bool) else f"{value!s:.500}"
        for name, value in params.items()
    }


def _load_predictions(
    file: Path | None, name: str, params: Mapping[str, Any]
) -> list[float] | None:
    """Read the predictions of an earlier run, if any."""
    if file is None or not file.exists():
        return None
    with reading(file, "predictions of a fold", "remove it"):
        content = json.loads(file.read_text())
        before = {"task": content["task"], "params": content["params"]}
        predictions: list[float] = content["predictions"]
    if before != {"task": name, "params": params}:
        raise MismatchError(
            f"{file}: expected predictions of {name} with {dict(params)}, got {before['task']} "
            f"with {before['params']}; choose another folder"
        )
    return predictions


def _save_predictions(file: Path | None, content: Mapping[str, Any]) -> None:
    if file is not None:
        write_durably(file, json.dumps(content).encode())
