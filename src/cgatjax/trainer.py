"""The epochs of a run: steps, validation, the best weights, saving and resuming."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cgatjax.checkpoint import StateFolder, save_model
from cgatjax.config import TrainConfig
from cgatjax.data.loader import BatchLoader, shuffled
from cgatjax.data.subsets import Crystals
from cgatjax.errors import TrainingError
from cgatjax.feeds import loaders, stacked
from cgatjax.losses import LOSSES, learns_std
from cgatjax.metrics import mean_over_targets, summarize
from cgatjax.model import Model
from cgatjax.optim import Labels, Params, groups, make_optimizer
from cgatjax.run import RunFolder
from cgatjax.schedules import Plateau, factor_at
from cgatjax.train_step import StepMetrics, init_state, make_loss, make_train_step
from cgatjax.transfer import TransferReport

logger = logging.getLogger("cgatjax")
RatesAt = Callable[[int, float], Mapping[str, float]]
"""Epoch and schedule factor -> learning-rate factor of each group."""


@dataclass(eq=False)
class History:
    """What happened in training, one row per epoch.

    Attributes:
      rows: epoch, rate, training loss, errors of each target, seconds.
      waste: share of padding among nodes and edges.
      report: of a transfer, what was carried over.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    waste: tuple[float, float] = (0.0, 0.0)
    report: TransferReport | None = None

    def column(self, name: str) -> list[Any]:
        """One quantity over the epochs in which it was measured."""
        return [row[name] for row in self.rows if row.get(name) is not None]


class Trainer:
    """The state of a run between epochs.

    Attributes:
      epoch: epochs done.
      history: one row for each of them.
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
    ) -> None:
        self.model, self.config, self.run = model, config, run
        self.n_train = len(train)
        self.valid_order = np.arange(len(valid))
        forward, self.train_loader, self.valid_loader = loaders(model, train, valid, config, labels)
        optimizer = make_optimizer(config, labels)
        sums = make_loss(forward, LOSSES[config.loss], model.normalizers)
        self.step = make_train_step(sums, optimizer, labels)
        self.sums = sums.compiled()
        self.rates = rates or (lambda epoch, factor: dict.fromkeys(groups(labels), factor))
        self.state = init_state(jax.tree.map(jnp.array, model.params), optimizer)
        self.epoch, self.plateau, self.history = 0, Plateau(), History()
        self.best: Params = model.params
        self.best_score = float("inf")
        self.states = StateFolder(run.path / "state") if run is not None else None
        self.saved_at = time.monotonic()
        if run is not None and run.resuming:
            self._restore()

    def run_epoch(self) -> str:
        """One pass over the training set, and a validation if it is due; a note for people."""
        began = time.monotonic()
        factor = factor_at(self.config, self.epoch, self.plateau)
        rates = {k: np.float32(v) for k, v in self.rates(self.epoch, factor).items()}
        order = shuffled(self.n_train, self.config.seed, self.epoch)
        before = int(self.state.skipped)
        totals, n_steps, waited = None, 0, 0.0
        feed = stacked(self.train_loader, order, self.config.accumulate)
        mark = time.monotonic()
        for batch in feed:
            waited += time.monotonic() - mark
            self.state, metrics = self.step(self.state, batch, rates)
            totals = metrics if totals is None else jax.tree.map(jnp.add, totals, metrics)
            n_steps += 1
            mark = time.monotonic()
        skipped = int(self.state.skipped) - before
        trained = time.monotonic()
        self._check_skipped(skipped, n_steps)
        row = {"epoch": self.epoch + 1, "step": int(self.state.step), "rate": factor}
        row |= _row("train", totals) | {"skipped": skipped}
        self.epoch += 1
        if self.epoch % self.config.validate_every == 0 or self.epoch == self.config.epochs:
            row |= self._validate()
        row |= {
            "seconds_wait": round(waited, 3),
            "seconds_train": round(trained - began - waited, 3),
            "seconds_valid": round(time.monotonic() - trained, 3),
        }
        self.history.rows.append(row)
        self._save(last=self.epoch == self.config.epochs)
        return _note(row)

    def finish(self) -> tuple[Model, History]:
        """The best model, saved if there is a run folder."""
        if isinstance(self.train_loader, BatchLoader):
            self.history.waste = self.train_loader.waste.fraction
        self._log_costs()
        params = jax.tree.map(np.array, self.best)
        learned = self.model.targets if learns_std(self.config.loss) else ()
        kept = [t for t in self.model.learns_std if t not in self.model.targets]
        best = self.model.replace(params=params, learns_std=(*kept, *learned))
        if self.run is not None and self.states is not None:
            save_model(self.run.path / "model", best)
            self.run.save_history(self.history.rows)
        return best, self.history

    def close(self) -> None:
        """Waits for a state that is being written, after an interruption too."""
        if self.states is not None:
            self.states.close()

    def _log_costs(self) -> None:
        """Where the time went, and how much of the batches was padding."""
        parts = ("wait", "train", "valid")
        spent = [f"{p} {sum(self.history.column(f'seconds_{p}')):.1f} s" for p in parts]
        nodes, edges = self.history.waste
        logger.info(
            "time: %s; padding: %.0f %% of nodes, %.0f %% of edges",
            ", ".join(spent),
            100 * nodes,
            100 * edges,
        )

    def _validate(self) -> dict[str, Any]:
        totals = None
        for _, batch in self.valid_loader.batches(self.valid_order):
            metrics = self.sums(self.state.params, batch)
            totals = metrics if totals is None else jax.tree.map(jnp.add, totals, metrics)
        row = _row("valid", totals)
        errors = {t: summarize(e) for t, e in totals.errors.items()} if totals is not None else {}
        score = mean_over_targets(errors, {t: n.std for t, n in self.model.normalizers.items()})
        self.plateau = self.plateau.after(score, self.config)
        if score < self.best_score:
            self.best_score = score
            self.best = jax.tree.map(lambda p: np.array(p, copy=True), self.state.params)
        return row

    def _check_skipped(self, skipped: int, n_steps: int) -> None:
        if skipped:
            logger.warning("epoch %d: %d steps skipped, not finite", self.epoch + 1, skipped)
        if n_steps and skipped == n_steps:
            raise TrainingError(
                f"epoch {self.epoch + 1}: loss or gradient of all {n_steps} steps was not finite; "
                "lower the learning rate, set clip_norm, or check the targets"
            )

    def _arrays(self) -> dict[str, list[Any]]:
        return {"state": jax.tree.leaves(self.state), "best": jax.tree.leaves(self.best)}

    def _save(self, last: bool) -> None:
        """Writes history and state, at most once per `checkpoint_seconds` and at the end."""
        due = time.monotonic() - self.saved_at >= self.config.checkpoint_seconds
        if self.run is None or self.states is None or not (due or last):
            return
        self.saved_at = time.monotonic()
        self.run.save_history(self.history.rows)
        progress_made = {
            "epoch": self.epoch,
            "best_score": self.best_score,
            "plateau": list(self.plateau),
            "rows": self.history.rows,
        }
        self.states.save(self.epoch, self._arrays(), progress_made)

    def _restore(self) -> None:
        found = self.states.restore(self._arrays()) if self.states is not None else None
        if found is None:
            return
        arrays, made = found
        structure = jax.tree.structure(self.state)
        self.state = jax.tree.unflatten(structure, [jnp.array(a) for a in arrays["state"]])
        self.best = jax.tree.unflatten(jax.tree.structure(self.best), arrays["best"])
        self.epoch, self.best_score = made["epoch"], made["best_score"]
        self.plateau, self.history.rows = Plateau(*made["plateau"]), made["rows"]


def _row(part: str, totals: StepMetrics | None) -> dict[str, Any]:
    """Loss and errors of an epoch as columns of the history."""
    if totals is None:
        return {}
    row: dict[str, Any] = {f"{part}_loss": float(totals.loss) / max(float(totals.n), 1)}
    for target, sums in totals.errors.items():
        errors = summarize(sums)
        row |= {f"{part}_mae:{target}": errors["mae"], f"{part}_rmse:{target}": errors["rmse"]}
    return row


def _note(row: Mapping[str, Any]) -> str:
    errors = [f"{k.split(':', 1)[1]} {v:.4g}" for k, v in row.items() if k.startswith("valid_mae:")]
    valid = f", valid MAE {', '.join(errors)}" if errors else ""
    return f"epoch {row['epoch']}: loss {row.get('train_loss', float('nan')):.4g}{valid}"
