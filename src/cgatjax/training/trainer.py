"""Trainer: the epochs of one training, from a step to the next."""

import logging
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from cgatjax.config import TrainConfig
from cgatjax.data.datasets import Crystals
from cgatjax.data.loader import BatchLoader, epoch_order, shuffled
from cgatjax.model.losses import predicts_std
from cgatjax.model.metrics import Totals, mean_over_targets, summarize
from cgatjax.model.model import Model
from cgatjax.runtime import StopRequest
from cgatjax.runtime.distributed import stop_is_agreed
from cgatjax.training.history import (
    PHASES,
    History,
    StepMonitor,
    Stopwatch,
    epoch_columns,
    one_line,
)
from cgatjax.training.input_pipeline import make_loaders, step_batches
from cgatjax.training.optimizer import Labels, groups
from cgatjax.training.run_state import RunRecorder, RunState
from cgatjax.training.schedules import factor_at
from cgatjax.training.train_step import StepMetrics, step_functions

logger = logging.getLogger("cgatjax")
RatesAt = Callable[[int, float], Mapping[str, float]]
"""Epoch (from 0) and schedule factor -> learning-rate factor of each group."""


class Trainer:
    """Training of one model on one training and validation set.

    Attributes:
      state: between two steps.
      stop: request of a signal to stop.
    """

    def __init__(
        self,
        model: Model,
        train: Crystals,
        valid: Crystals,
        config: TrainConfig,
        labels: Labels,
        rates: RatesAt | None,
        recorder: RunRecorder,
        embeddings: Path | None,
        shapes_of: Crystals | None,
    ) -> None:
        """Load the newest checkpoint of a resumed run; programs are compiled when first called.

        Args:
          model: with weights and normalizers.
          train: the training set.
          valid: the validation set.
          config: how to train.
          labels: "frozen" or a learning-rate group for every parameter.
          rates: learning-rate factors of the groups; None for the schedule's.
          recorder: of the run folder.
          embeddings: folder for cached embeddings, if the encoder is frozen.
          shapes_of: as of `fit`.
        """
        self.model, self.config, self._recorder, self._train_set = model, config, recorder, train
        self._rates = rates or (lambda epoch, factor: dict.fromkeys(groups(labels), factor))
        self._loaders = make_loaders(model, train, valid, config, labels, embeddings, shapes_of)
        self._valid_order = shuffled(len(valid), 0, 0)  # mixed sizes fill batches
        self._functions = step_functions(model.network, config, labels)
        self._devices = self._functions.devices
        self._scales = {t: (n.mean, n.std) for t, n in model.normalizers.items()}
        start = self._functions.start(model.params)
        # Copied: a step reuses the memory of its state, and the model stays as it is.
        first = RunState(train=self._devices.replicate(start), best=model.params)
        self.state = recorder.restore(first, self._devices)
        skipped = int(self.state.train.skipped)
        self._monitor = StepMonitor(self.state.sums, skipped, config, self._note_skipped)
        self._clock, self.stop, self._boundaries = Stopwatch(), StopRequest(), 0

    def run_epoch(self) -> str:
        """Finish the current epoch, validate if due, and return a one-line summary.

        Raises:
          Interrupted: a signal asked to stop, and a checkpoint is saved.
          TrainingError: too many steps were not finite.
        """
        state, config = self.state, self.config
        # The plateau moves in validations only, so that a resumed epoch gets the same rates.
        factor = factor_at(config, state.epoch, state.plateau)
        self._train_steps()
        rate = factor * config.learning_rate
        row = {"epoch": state.epoch + 1, "step": int(state.train.step), "rate": rate}
        row |= epoch_columns("train", state.sums.totals) | {"skipped": state.sums.skipped}
        self._clock.book("valid")
        if (state.epoch + 1) % config.validate_every == 0 or state.epoch + 1 == config.epochs:
            row |= self._validate()
        # From here on a checkpoint is one of the next epoch.
        state.epoch, state.position = state.epoch + 1, 0
        state.sums.start_epoch()
        self._clock.book(None)
        state.rows.append(row | self._clock.take())
        self._recorder.log(state.rows[-1])
        if self.is_done or self._recorder.is_due:
            self._save()
        return one_line(row)

    @property
    def is_done(self) -> bool:
        """True after the last epoch, or after `patience` validations without improvement."""
        patience = self.config.patience
        stale = patience is not None and self.state.waited >= patience
        return stale or self.state.epoch >= self.config.epochs

    def finish(self) -> tuple[Model, History]:
        """Return the best model and the history, and write both."""
        history, loader = History(rows=self.state.rows), self._loaders[0]
        if isinstance(loader, BatchLoader):
            history.padding = loader.padding.fraction
        self._log_costs(history)
        best = self._best_model()
        self._recorder.finish(best, history.rows)
        return best, history

    def _train_steps(self) -> None:
        """Run the remaining steps of the epoch."""
        state, config, clock = self.state, self.config, self._clock
        # Of seed and epoch alone: a resumed epoch continues in the same order.
        order = epoch_order(self._train_set, config.seed, state.epoch)
        loader, devices = self._loaders[0], self._devices
        batches = step_batches(
            loader, order, config.accumulate, state.position, devices, equal=True
        )
        clock.book("wait")
        for batch, positions, fraction in batches:
            clock.book("step")
            factor = factor_at(config, state.epoch, state.plateau, fraction)
            rates = {k: np.float32(v) for k, v in self._rates(state.epoch, factor).items()}
            state.train, metrics = self._functions.train(state.train, batch, rates, self._scales)
            state.position += 1
            step = (state.epoch + 1, state.position)
            self._monitor.watch(*step, positions, state.train.skipped, metrics)
            if self._recorder.is_due:
                self._save()
            self._stop_if_asked()
            clock.book("wait")
        clock.book("step")
        self._monitor.drain()
        self._monitor.check_epoch(state.epoch + 1, state.position)
        self._stop_if_asked()

    def _validate(self) -> dict[str, Any]:
        """Evaluate the validation set, keep the parameters if they are the best so far."""
        state, totals, under_way = self.state, Totals(), list[StepMetrics]()
        for batch, _, _ in step_batches(
            self._loaders[1], self._valid_order, 1, devices=self._devices
        ):
            under_way.append(self._functions.evaluate(state.train.params, batch, self._scales))
            # Read one batch late, so that the device never waits for the host.
            if len(under_way) > 1:
                totals.add(*jax.device_get(under_way.pop(0)))
            self._stop_if_asked()
        for metrics in under_way:
            totals.add(*jax.device_get(metrics))
        errors = {t: summarize(e) for t, e in totals.errors.items()}
        score = mean_over_targets(errors, {t: n.std for t, n in self.model.normalizers.items()})
        state.plateau = state.plateau.after(score, self.config)
        state.waited += 1
        if score < state.best_score:
            state.best_score, state.waited = score, 0
            # Copied: the next step reuses the memory of the training state.
            state.best = jax.tree.map(lambda p: np.array(p, copy=True), state.train.params)
        return epoch_columns("valid", totals)

    def _best_model(self) -> Model:
        params = jax.tree.map(np.array, self.state.best)
        # Only robust losses train log_std.
        learned = self.model.targets if predicts_std(self.config.loss) else ()
        kept = [t for t in self.model.predicts_std if t not in self.model.targets]
        return self.model.replace(params=params, predicts_std=(*kept, *learned))

    def _note_skipped(self, epoch: int, step: int, positions: np.ndarray) -> None:
        ids = self._train_set.ids
        self._recorder.note_skipped(epoch, step, [ids[p] for p in positions])

    def _log_costs(self, history: History) -> None:
        """Log the seconds of each phase."""
        spent, left = history.seconds, self._clock.take()
        seconds = {phase: spent[phase] + left[f"seconds_{phase}"] for phase in PHASES}
        logger.info(
            "time: wait for data %.1f s, steps %.1f s, validation %.1f s, checkpoints %.1f s",
            *(seconds[phase] for phase in PHASES),
        )

    def _save(self) -> None:
        before = self._clock.book("checkpoint")
        self._monitor.drain()
        self._recorder.save(self.state, self._best_model())
        self._clock.book(before)

    def _stop_if_asked(self) -> None:
        """Save a checkpoint and raise Interrupted if a signal has come."""
        # All processes count the same points, and agree on one to stop at.
        self._boundaries += 1
        if stop_is_agreed(self._boundaries):
            self.stop.signum = signal.SIGTERM
        if self.stop.signum is None:
            return
        self._save()
        self._recorder.wait()
        state = self.state
        raise self.stop.interrupted(f"after epoch {state.epoch} and {state.position} steps")
