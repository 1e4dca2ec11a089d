"""Trainings done once: each in a folder named by its key, with a record when it is finished.

OUT/trainings/KEY/record.json   what came out; its presence says that the training is finished
OUT/trainings/KEY/model, history.csv, ...   the run folder
OUT/trainings/KEY/test.json     errors on the test set, where that was read
"""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import cgatjax as cg
from cgatjax.runs.run_folder import CONFIG
from cgatjax.runtime.atomic_files import write_durably
from experiments.claims import claimed
from experiments.sources import Sources, nested
from experiments.specification import Cell, Training


class Bench:
    """Performs trainings and keeps what they leave.

    Attributes:
      sources: the data sets.
      out: the folder of all experiments of one scale.
    """

    def __init__(self, sources: Sources, out: Path) -> None:
        self.sources = sources
        self.out = out

    def key(self, training: Training) -> str:
        """What the training is called on disk."""
        return training.key(self.sources.fingerprints)

    def folder(self, training: Training) -> Path:
        """Its run folder."""
        return self.out / "trainings" / self.key(training)

    def record(self, training: Training) -> dict[str, Any] | None:
        """What came out, or None if it is not finished."""
        return _read(self.folder(training) / "record.json")

    def perform(self, training: Training, *, show_progress: bool = False) -> bool:
        """Trains, or goes on where a training was stopped; a finished one is not repeated.

        Returns:
          whether it is finished; not if another process is at it.

        Raises:
          InputError: it starts from a training that is not finished.
        """
        with claimed(self.folder(training)) as mine:
            if mine and self.record(training) is None:
                self._perform(training, show_progress)
            return mine

    def _perform(self, training: Training, show_progress: bool) -> None:
        folder = self.folder(training)
        train, valid, _ = self.sources.parts(training)
        began = time.monotonic()
        started = (folder / CONFIG).is_file()
        if folder.is_dir() and not started:
            shutil.rmtree(folder)
        run = cg.RunFolder(folder, resume=started)
        model, history = self._train(training, train, valid, run, show_progress)
        errors = history.column(f"valid_mae:{training.target}")
        record = {
            "training": training.to_dict(),
            "n_train": len(train),
            "n_valid": len(valid),
            "epochs": len(history.rows),
            "steps": int(history.rows[-1]["step"]),
            "valid_mae": min(errors),
            "unit": model.units[training.target],
            "weights": model.n_params,
            "seconds": round(time.monotonic() - began, 1),
        }
        write_durably(folder / "record.json", json.dumps(record, indent=1).encode())

    def _train(
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
            low = self.sources.parts(training.start)[0]
            kept = nested(low, min(len(train), len(low)), training.seed)
        crystals = len(train) + (len(kept) if kept is not None else 0)
        schedule = training.schedule(crystals)
        frozen = round(training.frozen_share * schedule.epochs)
        options = cg.TransferConfig(
            mode=training.mode,
            target=training.target,
            normalizer=training.normalizer,
            lr_groups=training.lr_groups,
            unfreeze=((frozen, "encoder/*"),) if frozen else (),
            train=schedule,
        )
        start = cg.load_model(self.folder(training.start))
        return cg.transfer_model(
            start, (train, valid), options, keep_training=kept, run=run, show_progress=show_progress
        )

    def test(self, training: Training) -> dict[str, Any]:
        """{"mae", "rmse", "n"} of a finished training on the test set, which is read once."""
        file = self.folder(training) / "test.json"
        found = _read(file)
        if found is None:
            model = cg.load_model(self.folder(training))
            errors = cg.evaluate(model, self.sources.parts(training)[2])
            found = errors if "mae" in errors else errors[training.target]
            write_durably(file, json.dumps(found).encode())
        return found

    def best(self, cell: Cell) -> Training | None:
        """The candidate with the lowest validation error, or None while one is missing."""
        records = [self.record(training) for training in cell.candidates]
        errors = [record["valid_mae"] for record in records if record is not None]
        if len(errors) < len(records):
            return None
        return cell.candidates[errors.index(min(errors))]

    def row(self, cell: Cell) -> dict[str, Any] | None:
        """The finished row of a cell, or None while a candidate is missing."""
        best = self.best(cell)
        if best is None:
            return None
        records = [self.record(training) or {} for training in cell.candidates]
        record, errors = records[cell.candidates.index(best)], self.test(best)
        return {
            "key": cell.key(self.sources.fingerprints),
            **cell.labels,
            "n_train": record["n_train"],
            "learning_rate": best.train.learning_rate,
            "valid_mae": record["valid_mae"],
            "test_mae": errors["mae"],
            "test_rmse": errors["rmse"],
            "n_test": errors["n"],
            "unit": record["unit"],
            "steps": record["steps"],
            "seconds": sum(r["seconds"] for r in records),
        }


def _read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text()) if path.is_file() else None
