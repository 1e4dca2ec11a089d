"""Matbench files: data sets, folds and recorded predictions.

A. Dunn et al., npj Comput. Mater. 6 (2020) 138. A data set is a pandas table as JSON, as matminer
distributes it ("matbench_jdft2d.json.gz"). The five folds follow from its length, or are read from
the validation file of the package `matbench`, which itself is not needed. `MatbenchTask.save`
writes the format of the leaderboard.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson

import cgatjax as cg
from cgatjax.runtime import reading, write_durably
from cgatjax.structures.archives.matbench import matbench_id
from cgatjax.structures.formats import read_bytes

BENCHMARK, VERSION = "matbench_v0.1", "0.6"
"""Name of the benchmark, and version of the package whose file format is written."""
N_FOLDS, SEED = 5, 18012019
"""Folds of all tasks: contiguous parts of a permutation by NumPy's legacy generator."""
RESULTS = "results.json"
"""File name that the leaderboard expects."""
_SMALL = 1e-5
"""Magnitude of values below which the mean absolute percentage error ignores them."""


@dataclass(frozen=True, eq=False, kw_only=True)
class MatbenchTask:
    """Regression task on structures.

    Attributes:
      dataset_name: name of the data set, such as "matbench_jdft2d".
      target: name of the property, with the unit if the data set gives one.
      crystals: n crystals with the ids of Matbench.
      values: (n,) float64 target values.
      splits: fold -> int64 positions of training and of test crystals.
      results: fold -> "data" (id -> prediction), "parameters" and "scores", if recorded.
    """

    dataset_name: str
    target: str
    crystals: Sequence[cg.Crystal]
    values: np.ndarray
    splits: Mapping[str, tuple[np.ndarray, np.ndarray]]
    results: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def load(
        cls, path: str | Path, *, name: str | None = None, folds: str | Path | None = None
    ) -> "MatbenchTask":
        """Read a data set.

        Args:
          path: file from matminer, `.json` or `.json.gz`.
          name: name of the task; None for that of the file.
          folds: validation file of the package, JSON with {"splits": {task: {fold: ...}}}; None to
            compute the same folds.

        Raises:
          InputError: not a regression task on structures, or folds of other crystals.
          StructureError: a structure cannot be used.
        """
        path = Path(path)
        name = name or path.name.split(".")[0]
        crystals = []
        for item in cg.read_crystals(path):
            if isinstance(item, cg.Rejected):
                raise item.error()
            # The ids in the file are those of a task of its name.
            crystals.append(replace(item, id=matbench_id(name, item.id.rpartition("-")[2])))
        columns = {column for crystal in crystals for column in crystal.targets}
        if len(columns) != 1 or len(crystals) < N_FOLDS or not all(c.targets for c in crystals):
            raise cg.InputError(
                f"{path}: expected at least {N_FOLDS} structures with finite numbers of one "
                f"property, got {len(crystals)} with {sorted(columns) or 'classes or nothing'}"
            )
        [target] = columns
        ids = [crystal.id for crystal in crystals]
        return cls(
            dataset_name=name,
            target=target,
            crystals=crystals,
            values=np.array([crystal.targets[target] for crystal in crystals], np.float64),
            splits=_splits(len(ids)) if folds is None else _read_splits(Path(folds), name, ids),
        )

    @property
    def folds(self) -> list[int]:
        """Numbers of the folds."""
        return list(range(len(self.splits)))

    @property
    def is_recorded(self) -> dict[int, bool]:
        """Fold -> True if it has predictions."""
        return {k: name in self.results for k, name in enumerate(self.splits)}

    def get_train_and_val_data(self, fold_number: int) -> tuple[list[cg.Crystal], np.ndarray]:
        """Return the training and validation crystals of a fold with their values."""
        train, _ = self._split(fold_number)
        return [self.crystals[i] for i in train], self.values[train]

    def get_test_data(self, fold_number: int) -> list[cg.Crystal]:
        """Return the test crystals of a fold."""
        return [self.crystals[i] for i in self._split(fold_number)[1]]

    def record(
        self, fold_number: int, predictions: Any, params: Mapping[str, Any] | None = None
    ) -> None:
        """Record and score the predictions for the test crystals of a fold.

        Args:
          fold_number: number of the fold, from 0.
          predictions: (test crystals,) predictions in order.
          params: parameters of the model to record.

        Raises:
          InputError: wrong number of predictions, or one that is not finite.
        """
        _, test = self._split(fold_number)
        found = np.asarray(predictions, np.float64)
        if found.shape != (len(test),) or not np.isfinite(found).all():
            raise cg.InputError(
                f"{self.dataset_name}, fold {fold_number}: expected {len(test)} finite "
                f"predictions, got shape {found.shape}"
            )
        data = {self.crystals[i].id: v for i, v in zip(test, found.tolist(), strict=True)}
        self.results[list(self.splits)[fold_number]] = {
            "data": data,
            "parameters": dict(params or {}),
            "scores": scores_of(self.values[test], found),
        }

    def scores(self) -> dict[str, dict[str, float]]:
        """Summarize each score over the folds: {"mae": {"mean", "max", "min", "std"}, ...}."""
        names = next(iter(self._complete().values()))["scores"]
        columns = {n: [fold["scores"][n] for fold in self.results.values()] for n in names}
        return {
            name: {
                "mean": float(np.mean(column)),
                "max": float(np.max(column)),
                "min": float(np.min(column)),
                "std": float(np.std(column)),
            }
            for name, column in columns.items()
        }

    def save(self, path: str | Path, metadata: Mapping[str, Any] | None = None) -> None:
        """Write the results for `MatbenchBenchmark.from_file`.

        Args:
          path: JSON file, replaced if it exists.
          metadata: description of the model.

        Raises:
          InputError: a fold has no predictions.
        """
        task = {
            "@module": "matbench.task",
            "@class": "MatbenchTask",
            "benchmark_name": BENCHMARK,
            "dataset_name": self.dataset_name,
            "results": self._complete(),
        }
        content = {
            "@module": "matbench.bench",
            "@class": "MatbenchBenchmark",
            "version": VERSION,
            "tasks": {self.dataset_name: task},
            "user_metadata": dict(metadata or {}),
            "benchmark_name": BENCHMARK,
            "datestamp": datetime.now(UTC).strftime("%Y.%m.%d %H:%M.%S"),
        }
        content["hash"] = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        write_durably(Path(path), json.dumps(content).encode())

    def _split(self, fold_number: int) -> tuple[np.ndarray, np.ndarray]:
        return list(self.splits.values())[fold_number]

    def _complete(self) -> dict[str, dict[str, Any]]:
        missing = [name for name in self.splits if name not in self.results]
        if missing:
            raise cg.InputError(
                f"{self.dataset_name}: expected all folds, got no record of {missing}"
            )
        return {name: self.results[name] for name in self.splits}


def scores_of(values: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    """Compute the scores of a fold.

    >>> scores_of(np.array([1.0, 2.0, 0.0]), np.array([1.5, 2.0, 0.0]))["mape"]
    0.25
    """
    errors = np.abs(values - predictions)
    counted = np.abs(values) > _SMALL
    shares = errors[counted] / np.abs(values[counted])
    return {
        "mae": float(errors.mean()),
        "rmse": float(np.sqrt(np.mean(errors**2))),
        "mape": float(shares.mean()) if len(shares) else 0.0,
        "max_error": float(errors.max()),
    }


def _splits(n: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Make five folds of ascending positions, each in one test set."""
    order = np.arange(n)
    np.random.RandomState(SEED).shuffle(order)
    tests = [np.sort(part) for part in np.array_split(order, N_FOLDS)]
    return {f"fold_{k}": (np.setdiff1d(np.arange(n), test), test) for k, test in enumerate(tests)}


def _read_splits(
    path: Path, name: str, ids: Sequence[str]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    position = {i: k for k, i in enumerate(ids)}
    with reading(path, f"folds of the {len(ids)} crystals of {name}"):
        folds = orjson.loads(read_bytes(path))["splits"][name]
        return {
            fold: (
                np.array([position[i] for i in subsets["train"]], np.int64),
                np.array([position[i] for i in subsets["test"]], np.int64),
            )
            for fold, subsets in folds.items()
        }
