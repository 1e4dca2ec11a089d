"""Training and prediction of all folds of a Matbench task."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import cgatjax as cg
from cgatjax.runtime import reading, write_durably


def run_matbench(
    task: cg.MatbenchTask, regressor: cg.CGATRegressor, folder: str | Path | None = None
) -> None:
    """Train on each fold, and record the predictions in the task.

    Args:
      task: `MatbenchTask`, or a task of the package `matbench`, which has the same methods.
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
            if file is not None:
                write_durably(file, json.dumps(content).encode())
        task.record(fold, predictions=predictions, params=params)


def _json_params(regressor: cg.CGATRegressor) -> dict[str, Any]:
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
        raise cg.MismatchError(
            f"{file}: expected predictions of {name} with {dict(params)}, got {before['task']} "
            f"with {before['params']}; choose another folder"
        )
    return predictions
