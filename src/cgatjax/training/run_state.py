"""State of a training between two steps, and its way to the disk and back.

All else follows from options, data and first weights. So a training that is resumed from a
checkpoint takes the very next batch, and ends with the weights and the history of one that was
never interrupted.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np

from cgatjax.config import TrainConfig
from cgatjax.model.model import Model, versions
from cgatjax.model.model_io import save_model
from cgatjax.runs.checkpoints import CheckpointFolder, checkpoint_name
from cgatjax.runs.loggers import Logger, curves
from cgatjax.runs.run_folder import CHECKPOINTS, RunFolder, differences
from cgatjax.runtime.devices import Devices
from cgatjax.runtime.distributed import broadcast_restored
from cgatjax.training.history import EpochSums
from cgatjax.training.optimizer import Params
from cgatjax.training.schedules import Plateau
from cgatjax.training.train_step import TrainState

logger = logging.getLogger("cgatjax")
SHOWN_IDS = 3
"""Crystals of a skipped step that are named in the log; the run folder lists all."""


@dataclass
class RunState:
    """State of a training between two steps: arrays and plain numbers.

    Attributes:
      train: parameters and optimizer state, on the devices.
      best: parameters of the best validation so far.
      best_score: its error, `mean_over_targets`.
      epoch: epochs done.
      position: steps done in the next epoch.
      waited: validations since the best one.
      plateau: state of the plateau schedule.
      sums: of those steps.
      rows: of the history, one for each epoch done.
    """

    train: TrainState
    best: Params
    best_score: float = float("inf")
    epoch: int = 0
    position: int = 0
    waited: int = 0
    plateau: Plateau = field(default_factory=Plateau)
    sums: EpochSums = field(default_factory=EpochSums)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def arrays(self) -> dict[str, list[Any]]:
        """List the arrays of a checkpoint."""
        return {"state": jax.tree.leaves(self.train), "best": jax.tree.leaves(self.best)}

    def numbers(self) -> dict[str, Any]:
        """Collect the plain values of a checkpoint."""
        return {
            "epoch": self.epoch,
            "position": self.position,
            "waited": self.waited,
            "best_score": self.best_score,
            "plateau": list(self.plateau),
            "sums": self.sums.to_plain(),
            "rows": self.rows,
        }

    def restored(
        self, arrays: Mapping[str, list[Any]], numbers: Mapping[str, Any], devices: Devices
    ) -> "RunState":
        """Make the state of a checkpoint, with the tree structures of this one."""
        # The structure comes from options and weights, so that the checkpoint need not hold it.
        train = jax.tree.unflatten(jax.tree.structure(self.train), arrays["state"])
        return replace(
            self,
            train=devices.replicate(jax.tree.map(np.asarray, train)),
            best=jax.tree.unflatten(jax.tree.structure(self.best), arrays["best"]),
            plateau=Plateau(*numbers["plateau"]),
            sums=EpochSums.from_plain(numbers["sums"]),
            **{n: numbers[n] for n in ("best_score", "epoch", "position", "waited", "rows")},
        )


class RunRecorder:
    """Files and loggers of a training: checkpoints, best model, history, skipped steps.

    Without a run folder (of several processes only the first has one) nothing is written.
    """

    def __init__(
        self, run: RunFolder | None, loggers: Sequence[Logger], model: Model, config: TrainConfig
    ) -> None:
        self._run, self._loggers = run, loggers
        self._checkpoints = CheckpointFolder(run.path / CHECKPOINTS) if run is not None else None
        self._seconds = config.checkpoint_seconds
        scales = {t: [n.mean, n.std] for t, n in model.normalizers.items()}
        self._about = {"config": config.to_dict(), "normalizers": scales, "versions": versions()}
        self._saved_at, self._saved_name = time.monotonic(), ""
        self._saved_score = float("inf")

    def restore(self, state: RunState, devices: Devices) -> RunState:
        """Return the newest checkpoint of a resumed run, or the given state if there is none.

        Args:
          state: before the first step.
          devices: that receive the arrays.

        Raises:
          InputError: all checkpoints are damaged.
        """
        run, found = self._run, None
        if run is not None and run.resuming and self._checkpoints is not None:
            found = self._checkpoints.restore(state.arrays())
        found = broadcast_restored(found, state.arrays())
        if found is None:
            # Killed before its first checkpoint: the notes of that start are void.
            if run is not None and run.resuming:
                run.forget_skipped(0, 0)
                logger.info("%s: no checkpoint was saved; starting from the first step", run.path)
            return state
        arrays, numbers = found
        state = state.restored(arrays, numbers, devices)
        self._saved_name = checkpoint_name(state.epoch, state.position)
        # Steps after the checkpoint are taken again, and noted again if they are skipped again.
        if run is not None:
            run.forget_skipped(state.epoch + 1, state.position)
        if changes := differences(numbers["versions"], versions()):
            logger.warning(
                "resumed with other versions (%s); the last bits may differ from those of an "
                "uninterrupted run",
                "; ".join(map(str, changes)),
            )
        logger.info("resumed after epoch %d and %d steps", state.epoch, state.position)
        # Loggers may have lost what came last before a kill; those that have a point keep it.
        for row in state.rows:
            self.log(row)
        return state

    @property
    def is_due(self) -> bool:
        """True if the last checkpoint is older than `checkpoint_seconds`."""
        return time.monotonic() - self._saved_at >= self._seconds

    def save(self, state: RunState, best: Model) -> None:
        """Write history and best model, and start writing a checkpoint in the background."""
        if self._run is None or self._checkpoints is None:
            return
        name = checkpoint_name(state.epoch, state.position)
        # An epoch's end may be due right after its last step was saved.
        if name != self._saved_name:
            self._checkpoints.save(name, state.arrays(), {**state.numbers(), **self._about})
        # What is best by now can be used while the training still runs. The history comes last: an
        # epoch in it has been taken into account in the model (`RunFolder.is_finished`).
        if state.best_score < self._saved_score:
            save_model(self._run.path / "model", best)
            self._saved_score = state.best_score
        self._run.save_history(state.rows)
        self._saved_at, self._saved_name = time.monotonic(), name

    def wait(self) -> None:
        """Wait until the checkpoint under way is on the disk."""
        if self._checkpoints is not None:
            self._checkpoints.wait()

    def log(self, row: Mapping[str, Any]) -> None:
        """Pass the row of an epoch to the loggers."""
        for each in self._loggers:
            each.log(row["epoch"], curves(row))

    def note_skipped(self, epoch: int, step: int, ids: Sequence[str]) -> None:
        """Record a step that was skipped because it was not finite."""
        shown = ", ".join([*ids[:SHOWN_IDS], *(["..."] if len(ids) > SHOWN_IDS else [])])
        logger.warning("epoch %d, step %d skipped, not finite: %s", epoch, step, shown)
        if self._run is not None:
            self._run.log_skipped(epoch, step, ids)

    def finish(self, best: Model, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the result: the best model and the whole history."""
        if self._run is not None:
            save_model(self._run.path / "model", best)
            self._run.save_history(rows)

    def close(self) -> None:
        """Wait for the checkpoint under way and close the loggers; after errors too."""
        if self._checkpoints is not None:
            self._checkpoints.close()
        for each in self._loggers:
            each.close()
