"""Pool of trainings: each is done once, in a folder named by its key.

OUT/trainings/KEY/record.json   results; exists only if the training is finished
OUT/trainings/KEY/model, history.csv, ...   run folder
OUT/trainings/KEY/test.json     errors on the test set, if the training was evaluated
"""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import cgatjax as cg
from cgatjax.runs.run_folder import CONFIG
from cgatjax.runtime.files import write_durably
from experiments.grid.datasets import Datasets, nested
from experiments.grid.locks import locked
from experiments.grid.training import Row, Training


class TrainingPool:
    """Trainings of all experiments of one scale.

    Attributes:
      datasets: data sets of the scale.
      out: folder of the results of the scale.
    """

    def __init__(self, datasets: Datasets, out: Path) -> None:
        self.datasets = datasets
        self.out = out

    def folder(self, training: Training) -> Path:
        """Return the run folder of a training."""
        return self.out / "trainings" / training.key(self.datasets.fingerprint)

    def record(self, training: Training) -> dict[str, Any] | None:
        """Return the results of a training, None if it is not finished."""
        return _read(self.folder(training) / "record.json")

    def train(self, training: Training, *, show_progress: bool = False) -> bool:
        """Train, or resume a stopped training; do nothing if it is finished.

        Returns:
          False if another process is working on this training, else True.

        Raises:
          InputError: the training that it starts from is not finished.
        """
        with locked(self.folder(training)) as acquired:
            if acquired and self.record(training) is None:
                self._train(training, show_progress)
            return acquired

    def _train(self, training: Training, show_progress: bool) -> None:
        folder = self.folder(training)
        train, valid, _ = self.datasets.subsets(training)
        began = time.monotonic()
        resume = (folder / CONFIG).is_file()
        if folder.is_dir() and not resume:
            shutil.rmtree(folder)
        run = cg.RunFolder(folder, resume=resume)
        model, history = self._fit(training, train, valid, run, show_progress)
        record = {
            "training": training.to_dict(),
            "n_train": len(train),
            "n_valid": len(valid),
            "epochs": len(history.rows),
            "steps": int(history.rows[-1]["step"]),
            "valid_mae": min(history.column(f"valid_mae:{training.target}")),
            "unit": model.units[training.target],
            "weights": model.n_params,
            "seconds": round(time.monotonic() - began, 1),
        }
        write_durably(folder / "record.json", json.dumps(record, indent=1).encode())

    def _fit(
        self,
        training: Training,
        train: cg.Dataset,
        valid: cg.Dataset,
        run: cg.RunFolder,
        show_progress: bool,
    ) -> tuple[cg.Model, cg.History]:
        if training.start is None:
            model = cg.init_model(training.model, train, target=training.target, seed=training.seed)
            config = training.schedule(len(train))
            return cg.fit(model, train, valid, config, run=run, show_progress=show_progress)
        kept = None
        if training.mode == "joint":
            low = self.datasets.subsets(training.start)[0]
            kept = nested(low, min(len(train), len(low)), training.seed)
        schedule = training.schedule(len(train) + (len(kept) if kept is not None else 0))
        frozen_epochs = round(training.frozen_share * schedule.epochs)
        options = cg.TransferConfig(
            mode=training.mode,
            target=training.target,
            normalizer=training.normalizer,
            lr_groups=training.lr_groups,
            unfreeze=((frozen_epochs + 1, "encoder/*"),) if frozen_epochs else (),
            train=schedule,
        )
        start = cg.load_model(self.folder(training.start))
        return cg.transfer_model(
            start, (train, valid), options, keep_training=kept, run=run, show_progress=show_progress
        )

    def test(self, training: Training) -> dict[str, Any]:
        """Return {"mae", "rmse", "n"} of a finished training; evaluate it on the first call."""
        file = self.folder(training) / "test.json"
        errors = _read(file)
        if errors is None:
            model = cg.load_model(self.folder(training))
            errors = cg.evaluate(model, self.datasets.subsets(training)[2])
            # A joint model has several targets, and errors of each.
            errors = errors if "mae" in errors else errors[training.target]
            write_durably(file, json.dumps(errors).encode())
        return errors

    def best(self, row: Row) -> Training | None:
        """Return the candidate with the lowest validation error, None if one is not finished."""
        records = [self.record(training) for training in row.candidates]
        errors = [record["valid_mae"] for record in records if record is not None]
        if len(errors) < len(records):
            return None
        return row.candidates[errors.index(min(errors))]

    def result(self, row: Row) -> dict[str, Any] | None:
        """Return the line of the results table, None if a candidate is not finished."""
        best = self.best(row)
        if best is None:
            return None
        records = {training: self.record(training) or {} for training in row.candidates}
        record, errors = records[best], self.test(best)
        return {
            "key": row.key(self.datasets.fingerprint),
            **row.labels,
            "n_train": record["n_train"],
            "learning_rate": best.train.learning_rate,
            "valid_mae": record["valid_mae"],
            "test_mae": errors["mae"],
            "test_rmse": errors["rmse"],
            "n_test": errors["n"],
            "unit": record["unit"],
            "steps": record["steps"],
            "seconds": sum(r["seconds"] for r in records.values()),
        }


def _read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text()) if path.is_file() else None
