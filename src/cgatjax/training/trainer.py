"""The epochs of a run: steps, validation, the best weights, saving and resuming.

Between two steps a run is its `TrainState`, the best weights so far, and a few numbers: epochs
done, steps done in the next one, their sums, the plateau, the history. All else follows from the
options, the data and the first weights. So a run that is resumed from a saved state takes the very
next batch and ends with the weights and the history of one that was never interrupted.
"""

import logging
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cgatjax.config import TrainConfig
from cgatjax.data.datasets import Crystals
from cgatjax.data.loader import BatchLoader, shuffled
from cgatjax.models.fingerprint import versions
from cgatjax.models.losses import predicts_std
from cgatjax.models.metrics import Totals, mean_over_targets, summarize
from cgatjax.models.model import Model
from cgatjax.models.model_io import save_model
from cgatjax.runs.checkpoints import StateFolder, state_name
from cgatjax.runs.loggers import Logger, curves
from cgatjax.runs.run_folder import RunFolder, differences
from cgatjax.runtime.distributed import restored_by_first, stop_is_agreed
from cgatjax.runtime.signals import StopRequest
from cgatjax.training.compiled import compiled_for
from cgatjax.training.history import PARTS, History, Stopwatch, epoch_columns, note
from cgatjax.training.input_pipeline import Fed, feed, loaders
from cgatjax.training.monitor import StepMonitor
from cgatjax.training.optimizer import Labels, Params, groups
from cgatjax.training.schedules import Plateau, factor_at
from cgatjax.training.train_step import StepMetrics

logger = logging.getLogger("cgatjax")
SHOWN_IDS = 3
"""Crystals of a skipped batch that are named in the log; the run folder has all."""
RatesAt = Callable[[int, float], Mapping[str, float]]
"""Epoch and schedule factor -> learning-rate factor of each group."""


class Trainer:
    """The state of a run between two steps.

    Attributes:
      epoch: epochs done.
      position: steps done in the next one.
      history: one row for each epoch done.
      stop: whether a signal has asked to stop.
    """

    def __init__(
        self,
        model: Model,
        train: Crystals,
        valid: Crystals,
        config: TrainConfig,
        labels: Labels,
        rates: RatesAt | None,
        run: RunFolder | None,
        loggers: Sequence[Logger] = (),
    ) -> None:
        self.model, self.config, self.run, self.train = model, config, run, train
        self.loggers, self.valid_order = loggers, np.arange(len(valid))
        folder = run.path / "embeddings" if run is not None else None
        self.train_loader, self.valid_loader = loaders(model, train, valid, config, labels, folder)
        compiled = compiled_for(model, config, labels)
        self.compiled, self.devices = compiled, compiled.devices
        self.rates = rates or (lambda epoch, factor: dict.fromkeys(groups(labels), factor))
        state = compiled.start(jax.tree.map(jnp.array, model.params))
        self.state = self.devices.replicate(state)
        self.epoch, self.position, self.boundaries = 0, 0, 0
        self.plateau, self.history = Plateau(), History()
        self.best: Params = model.params
        self.best_score = float("inf")
        self.monitor = StepMonitor(config, self._note_skipped)
        self.clock, self.stop = Stopwatch(), StopRequest()
        self.states = StateFolder(run.path / "state") if run is not None else None
        self.saved_at, self.saved_name, self.model_is_saved = time.monotonic(), "", False
        self._restore()
        for row in self.history.rows:
            self._log(row)

    def run_epoch(self) -> str:
        """The rest of a pass over the training set, a validation if it is due; a note for people.

        Raises:
          Interrupted: a signal asked to stop, and the state is saved.
          TrainingError: too many steps were not finite.
          StorageError: a state cannot be written.
        """
        return self.finish_epoch(self.epoch_rates())

    def epoch_rates(self) -> dict[str, np.float32]:
        """Learning-rate factor of each group in this epoch."""
        factor = factor_at(self.config, self.epoch, self.plateau)
        return {k: np.float32(v) for k, v in self.rates(self.epoch, factor).items()}

    def finish_epoch(self, rates: Mapping[str, Any]) -> str:
        """`run_epoch` with the rates that `epoch_rates` gave at its beginning."""
        factor = factor_at(self.config, self.epoch, self.plateau)
        self._train_steps(rates)
        row = {"epoch": self.epoch + 1, "step": int(self.state.step), "rate": factor}
        row |= epoch_columns("train", self.monitor.totals) | {"skipped": self.monitor.skipped}
        self.clock.book("valid")
        is_last = self.epoch + 1 == self.config.epochs
        if (self.epoch + 1) % self.config.validate_every == 0 or is_last:
            row |= self._validate()
        self.epoch, self.position = self.epoch + 1, 0
        self.monitor.start_epoch()
        self.clock.book(None)
        self.history.rows.append(row | self.clock.take())
        self._log(self.history.rows[-1])
        if is_last or self.is_due():
            self.save()
        return note(row)

    def finish(self) -> tuple[Model, History]:
        """The best model, saved if there is a run folder."""
        if isinstance(self.train_loader, BatchLoader):
            self.history.padding = self.train_loader.padding.fraction
        self._log_costs()
        best = self._best_model()
        if self.run is not None:
            save_model(self.run.path / "model", best)
            self.run.save_history(self.history.rows)
        return best, self.history

    def close(self) -> None:
        """Waits for a state that is being written, and closes the loggers; after errors too."""
        if self.states is not None:
            self.states.close()
        for logger in self.loggers:
            logger.close()

    def feed(self) -> Iterator[Fed]:
        """The steps of the epoch from `position` on."""
        order = shuffled(len(self.train), self.config.seed, self.epoch)
        accumulate, start = self.config.accumulate, self.position
        return feed(self.train_loader, order, accumulate, start, self.devices)

    def note_step(self, fed: Fed, skipped: jax.Array, metrics: StepMetrics) -> None:
        """Counts a step that was just dispatched; `skipped` as of its `TrainState`."""
        self.position += 1
        self.monitor.watch(self.epoch + 1, self.position, fed.positions, skipped, metrics)

    def _train_steps(self, rates: Mapping[str, Any]) -> None:
        self.clock.book("wait")
        for fed in self.feed():
            self.clock.book("step")
            self.state, metrics = self.compiled.step(self.state, fed.batch, rates)
            self.note_step(fed, self.state.skipped, metrics)
            if self.is_due():
                self.save()
            self.stop_if_asked()
            self.clock.book("wait")
        self.clock.book("step")
        self.monitor.drain()
        self.monitor.check_epoch(self.epoch + 1, self.position)
        self.stop_if_asked()

    def _validate(self) -> dict[str, Any]:
        totals, under_way = Totals(), list[StepMetrics]()
        for fed in feed(self.valid_loader, self.valid_order, 1, devices=self.devices):
            under_way.append(self.compiled.evaluate(self.state.params, fed.batch))
            if len(under_way) > 1:
                totals.add(*jax.device_get(under_way.pop(0)))
            self.stop_if_asked()
        for metrics in under_way:
            totals.add(*jax.device_get(metrics))
        errors = {t: summarize(e) for t, e in totals.errors.items()}
        score = mean_over_targets(errors, {t: n.std for t, n in self.model.normalizers.items()})
        self.plateau = self.plateau.after(score, self.config)
        if score < self.best_score:
            self.best_score, self.model_is_saved = score, False
            self.best = jax.tree.map(lambda p: np.array(p, copy=True), self.state.params)
        return epoch_columns("valid", totals)

    def _best_model(self) -> Model:
        params = jax.tree.map(np.array, self.best)
        learned = self.model.targets if predicts_std(self.config.loss) else ()
        kept = [t for t in self.model.predicts_std if t not in self.model.targets]
        return self.model.replace(params=params, predicts_std=(*kept, *learned))

    def _note_skipped(self, epoch: int, step: int, positions: np.ndarray) -> None:
        all_ids = self.train.ids
        ids = [all_ids[p] for p in positions]
        shown = ", ".join([*ids[:SHOWN_IDS], *(["..."] if len(ids) > SHOWN_IDS else [])])
        logger.warning("epoch %d, step %d skipped, not finite: %s", epoch, step, shown)
        if self.run is not None:
            self.run.log_skipped(epoch, step, ids)

    def _log(self, row: Mapping[str, Any]) -> None:
        for logger in self.loggers:
            logger.log(row["epoch"], curves(row))

    def _log_costs(self) -> None:
        """Where the time went, and how much of the batches was padding."""
        spent, left = self.history.seconds, self.clock.take()
        seconds = {part: spent[part] + left[f"seconds_{part}"] for part in PARTS}
        nodes, edges = self.history.padding
        logger.info(
            "time: wait for data %.1f s, steps %.1f s, validation %.1f s, checkpoints %.1f s; "
            "padding: %.0f %% of nodes, %.0f %% of edges",
            *(seconds[part] for part in PARTS),
            100 * nodes,
            100 * edges,
        )

    def is_due(self) -> bool:
        """Whether it is time to save."""
        return time.monotonic() - self.saved_at >= self.config.checkpoint_seconds

    def stop_if_asked(self) -> None:
        """Saves the state and raises Interrupted if a signal has come."""
        self.boundaries += 1
        if stop_is_agreed(self.boundaries):
            self.stop.signum = signal.SIGTERM
        if self.stop.signum is None:
            return
        self.save()
        if self.states is not None:
            self.states.wait()
        raise self.stop.interrupted(f"after epoch {self.epoch} and {self.position} steps")

    def save(self) -> None:
        """Writes history, best model and state; the state goes on being written meanwhile."""
        if self.run is None or self.states is None:
            return
        before = self.clock.book("checkpoint")
        self.monitor.drain()
        name = state_name(self.epoch, self.position)
        if name != self.saved_name:
            self.states.save(name, self._arrays(), self._progress())
        self.run.save_history(self.history.rows)
        if not self.model_is_saved and self.best_score < float("inf"):
            save_model(self.run.path / "model", self._best_model())
            self.model_is_saved = True
        self.saved_at, self.saved_name = time.monotonic(), name
        self.clock.book(before)

    def _arrays(self) -> dict[str, list[Any]]:
        return {"state": jax.tree.leaves(self.state), "best": jax.tree.leaves(self.best)}

    def _progress(self) -> dict[str, Any]:
        """What is no array, and the options that it belongs to."""
        scales = {t: [n.mean, n.std] for t, n in self.model.normalizers.items()}
        return {
            "epoch": self.epoch,
            "position": self.position,
            "monitor": self.monitor.to_plain(),
            "best_score": self.best_score,
            "plateau": list(self.plateau),
            "rows": self.history.rows,
            "config": self.config.to_dict(),
            "normalizers": scales,
            "versions": versions(),
        }

    def _restore(self) -> None:
        """Goes on from the newest state of a resumed run, if there is one."""
        run, found = self.run, None
        if run is not None and run.resuming and self.states is not None:
            found = self.states.restore(self._arrays())
        found = restored_by_first(found, self._arrays())
        if found is None:
            if run is not None and run.resuming:
                run.forget_skipped(0, 0)
                logger.info("%s: no state was saved; beginning from the start", run.path)
            return
        arrays, made = found
        state = jax.tree.unflatten(jax.tree.structure(self.state), arrays["state"])
        self.state = self.devices.replicate(jax.tree.map(np.asarray, state))
        self.best = jax.tree.unflatten(jax.tree.structure(self.best), arrays["best"])
        self.epoch, self.position = made["epoch"], made["position"]
        self.monitor.restore(made["monitor"], int(self.state.skipped))
        self.best_score, self.plateau = made["best_score"], Plateau(*made["plateau"])
        self.history.rows = made["rows"]
        self.saved_name = state_name(self.epoch, self.position)
        if run is not None:
            run.forget_skipped(self.epoch + 1, self.position)
        if changes := differences(made["versions"], versions()):
            logger.warning(
                "resumed with other versions (%s); the last bits may differ from those of an "
                "uninterrupted run",
                "; ".join(map(str, changes)),
            )
        logger.info("resumed after epoch %d and %d steps", self.epoch, self.position)
