"""Training and transfer: data sets and a model in, a better model and its history out."""

import functools
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cgatjax.checkpoint import StateFolder, save_model
from cgatjax.config import TrainConfig, TransferConfig
from cgatjax.data.loader import BatchLoader, choose_budgets, shuffled
from cgatjax.data.normalizer import Normalizer
from cgatjax.data.store import Store
from cgatjax.data.subsets import Crystals, Dataset, Mixture
from cgatjax.errors import InputError, TargetError, TrainingError
from cgatjax.inference import embed, evaluate
from cgatjax.losses import LOSSES, learns_std
from cgatjax.metrics import mean_over_targets, summarize
from cgatjax.model import Model
from cgatjax.optim import FROZEN, Labels, Params, groups, make_optimizer
from cgatjax.progress import progress
from cgatjax.run import REPORT, RunFolder
from cgatjax.schedules import Plateau, factor_at
from cgatjax.train_step import (
    Forward,
    StepMetrics,
    init_state,
    make_loss,
    make_train_step,
)
from cgatjax.transfer import TRAINED, TransferReport, label_parameters, prepare_transfer, rates_at

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


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class EmbeddingBatch:
    """Crystal embeddings computed before, for training heads alone.

    Attributes:
      embedding: (G, width).
      targets, target_mask, graph_mask: as of `CrystalBatch`.
    """

    embedding: Any
    targets: dict[str, Any]
    target_mask: dict[str, Any]
    graph_mask: Any


class EmbeddingLoader:
    """Batches of cached embeddings of one data set; used like a `BatchLoader`."""

    def __init__(
        self, embeddings: np.ndarray, data: Crystals, targets: Sequence[str], batch_size: int
    ) -> None:
        self._embeddings = embeddings
        self._values = {t: data.target(t) for t in targets}
        self._size = min(batch_size, len(embeddings))

    def batches(self, order: np.ndarray) -> Iterator[tuple[np.ndarray, EmbeddingBatch]]:
        """Batches of the given order of positions; the last one is padded."""
        for start in range(0, len(order), self._size):
            rows = order[start : start + self._size]
            real = np.arange(self._size) < len(rows)
            rows = np.resize(rows, self._size)
            values = {t: v[rows].astype(self._embeddings.dtype) for t, v in self._values.items()}
            yield (
                rows,
                EmbeddingBatch(
                    embedding=self._embeddings[rows],
                    targets={t: np.nan_to_num(v) for t, v in values.items()},
                    target_mask={t: np.isfinite(v) & real for t, v in values.items()},
                    graph_mask=real,
                ),
            )


Loader = BatchLoader | EmbeddingLoader


def fit(
    model: Model,
    train: Crystals,
    valid: Crystals,
    config: TrainConfig = TrainConfig(),  # noqa: B008 - frozen
    *,
    labels: Labels | None = None,
    rates: RatesAt | None = None,
    run: RunFolder | None = None,
    show_progress: bool = False,
) -> tuple[Model, History]:
    """Trains a model, and returns it at its best validation error.

    Normalisers that the model lacks are fitted on the training set. If the encoder is frozen,
    its embeddings are computed once and only the heads run from then on (exact).

    Args:
      model: with fresh or carried-over weights.
      train: the training set.
      valid: the validation set; all of it is used.
      config: how to train.
      labels: "frozen" or a learning-rate group for every parameter; None trains all.
      rates: learning-rate factors of the groups; by default the schedule's for all.
      run: folder that receives options, history, checkpoints and the best model.
      show_progress: a progress bar on standard error.

    Raises:
      MismatchError: graphs made with other options than the model's.
      TargetError: a target is unknown to the data or has nothing to learn.
      TrainingError: every step of an epoch had a non-finite loss or gradient.
    """
    model = _ready(model, train, valid, config)
    labels = label_parameters(model.params, [("*", TRAINED)]) if labels is None else labels
    trainer = _Trainer(model, train, valid, config, labels, rates, run)
    try:
        with progress("train", config.epochs, shown=show_progress) as advance:
            advance(trainer.epoch, "")
            while trainer.epoch < config.epochs:
                advance(1, trainer.run_epoch())
        return trainer.finish()
    finally:
        trainer.close()


def transfer_model(
    model: Model,
    data: Store | tuple[Dataset, Dataset],
    config: TransferConfig = TransferConfig(),  # noqa: B008 - frozen
    *,
    keep_training: Dataset | None = None,
    run: RunFolder | None = None,
    show_progress: bool = False,
) -> tuple[Model, History]:
    """Carries a trained model over to new data, and trains it there.

    Args:
      model: the trained model.
      data: (training, validation) sets, or a store to split by id with the training seed.
      config: what is carried over, frozen or started anew, and how to train.
      keep_training: for mode "joint", the cheap data that the old heads go on learning.
      run: folder that receives the report and everything of `fit`.
      show_progress: a progress bar on standard error.

    Raises:
      As `prepare_transfer` and `fit`; InputError if "joint" has no cheap data.
    """
    target = config.target or model.targets[0]
    if isinstance(data, Store):
        train, valid, _ = data.split(seed=config.train.seed, targets=(target,))
    else:
        train, valid = data
    prepared = prepare_transfer(model, train, config)
    together: Crystals = train
    if config.mode == "joint":
        if keep_training is None:
            raise InputError(
                "joint transfer needs the cheap data that the old heads go on learning"
            )
        together = Mixture(keep_training.teaching(*model.targets), train.teaching(target))
        valid = valid.teaching(target)
    report = _with_step_zero(prepared.report, prepared.model, target, train, valid)
    log_report(report)
    if run is not None:
        run.save_json(REPORT, report.__dict__)
    new, history = fit(
        prepared.model,
        together,
        valid,
        config.train,
        labels=prepared.labels,
        rates=functools.partial(rates_at, config),
        run=run,
        show_progress=show_progress,
    )
    history.report = report
    return new, history


def log_report(report: TransferReport) -> None:
    """Logs what is frozen, loaded and new, and the error before training."""
    logger.info(
        "transfer: %d parameters loaded (%d of them frozen), %d start anew; head from %s%s",
        len(report.loaded),
        len(report.frozen),
        len(report.reinitialized),
        report.source or "nothing",
        ", rescaled to the new mean and std" if report.rescaled else "",
    )
    for part, errors in report.step_zero.items():
        logger.info("before training, %s: MAE %.5g on %d", part, errors["mae"], errors["n"])


class _Trainer:
    """The state of a run between epochs."""

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
        forward, self.train_loader, self.valid_loader = _loaders(
            model, train, valid, config, labels
        )
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
        feed = _stacked(self.train_loader, order, self.config.accumulate)
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


def _ready(model: Model, train: Crystals, valid: Crystals, config: TrainConfig) -> Model:
    """The model with its normalisers, after the checks that need no computing."""
    for data, name in ((train, "training"), (valid, "validation")):
        if len(data) == 0:
            raise InputError(
                f"the {name} set is empty; give more crystals or other split fractions"
            )
        model.check_graphs(data.graph_config, f"the {name} set")
    if not any(np.isfinite(valid.target(t)).any() for t in model.targets):
        raise TargetError(
            f"the validation set has no known value of {list(model.targets)}, so that no epoch "
            "could be called best; give crystals with known values"
        )
    missing = [t for t in model.targets if t not in model.normalizers]
    fitted = {t: Normalizer.fit(train.target(t), t) for t in missing}
    return model.replace(normalizers={**model.normalizers, **fitted})


def _loaders(
    model: Model, train: Crystals, valid: Crystals, config: TrainConfig, labels: Labels
) -> tuple[Forward, Loader, Loader]:
    """The forward function and loaders: on cached embeddings where the encoder is frozen."""
    names, size = model.targets, config.batch_size
    if set(jax.tree.leaves(labels["encoder"])) == {FROZEN}:
        cached = EmbeddingLoader(embed(model, train), train, names, size)
        cached_valid = EmbeddingLoader(embed(model, valid), valid, names, 4 * size)
        return (lambda p, b: model.read(p, b.embedding)), cached, cached_valid
    budgets = choose_budgets(train.sizes, size)
    fits = (valid.sizes.max(0) < np.array(max(budgets)[1:]) - 1).all()
    # One shape for the steps, whose compilation is dear; two for validation, where it is cheap.
    train_loader = BatchLoader(train, names, size, (max(budgets),))
    valid_loader = BatchLoader(valid, names, size, budgets if fits else None)
    return model.forward, train_loader, valid_loader


def _stacked(loader: Loader, order: np.ndarray, count: int) -> Iterator[Any]:
    """Batches in stacks of `count` micro-batches; padding fills a last incomplete stack."""
    group: list[Any] = []
    for _, batch in loader.batches(order):
        group.append(batch)
        if len(group) == count:
            yield _stack(group)
            group = []
    if group:
        yield _stack(group + [_blank(group[-1])] * (count - len(group)))


def _stack(group: Sequence[Any]) -> Any:
    if len(group) == 1:
        return jax.tree.map(lambda x: x[None], group[0])
    return jax.tree.map(lambda *x: np.stack(x), *group)


def _blank(batch: Any) -> Any:
    """The batch with every target masked."""
    masked = {name: np.zeros_like(mask) for name, mask in batch.target_mask.items()}
    return type(batch)(**{**batch.__dict__, "target_mask": masked})


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


def _with_step_zero(
    report: TransferReport, model: Model, target: str, train: Dataset, valid: Dataset
) -> TransferReport:
    errors = {}
    for name, part in (("train", train), ("valid", valid)):
        found = evaluate(model, part.teaching(target))
        errors[name] = found[target] if len(model.targets) > 1 else found
    return TransferReport(**{**report.__dict__, "step_zero": errors})
