"""Training and transfer: data sets and a model in, a better model and its history out."""

import functools
import logging
from collections.abc import Sequence

import numpy as np

from cgatjax.config import TrainConfig, TransferConfig
from cgatjax.data.datasets import ConcatDataset, Crystals, Dataset
from cgatjax.data.store import Store
from cgatjax.errors import ConfigError, InputError, TargetError
from cgatjax.inference.prediction import evaluate
from cgatjax.models.fingerprint import inputs_of
from cgatjax.models.model import Model
from cgatjax.models.normalizer import Normalizer
from cgatjax.runs.loggers import Logger
from cgatjax.runs.run_folder import REPORT, RunFolder
from cgatjax.runtime.distributed import is_first_process, naming_lost_processes, several_processes
from cgatjax.runtime.progress import progress
from cgatjax.runtime.signals import stop_requests
from cgatjax.training.history import History
from cgatjax.training.optimizer import Labels
from cgatjax.training.trainer import RatesAt, Trainer
from cgatjax.training.transfer_params import (
    TRAINED,
    TransferReport,
    label_parameters,
    prepare_transfer,
    rates_at,
)

logger = logging.getLogger("cgatjax")


def fit(
    model: Model,
    train: Crystals,
    valid: Crystals,
    config: TrainConfig = TrainConfig(),  # noqa: B008 - frozen
    *,
    labels: Labels | None = None,
    rates: RatesAt | None = None,
    run: RunFolder | None = None,
    loggers: Sequence[Logger] = (),
    show_progress: bool = False,
) -> tuple[Model, History]:
    """Trains a model, and returns it at its best validation error.

    Normalizers that the model lacks are fitted on the training set. If the encoder is frozen,
    its embeddings are computed once and only the heads run from then on (exact).

    With a run folder, SIGTERM and SIGINT (Ctrl-C) are answered between two steps: the state is
    saved, and `Interrupted` raised. A second Ctrl-C is a KeyboardInterrupt at once.

    Several processes that have called `parallel.initialize` train one model together: all call
    this with the same arguments, except that only the first has a run folder. SIGTERM to one of
    them stops all after the same step.

    Args:
      model: with fresh or carried-over weights.
      train: the training set.
      valid: the validation set; all of it is used.
      config: how to train.
      labels: "frozen" or a learning-rate group for every parameter; None trains all.
      rates: learning-rate factors of the groups; by default the schedule's for all.
      run: folder that receives options, history, checkpoints and the best model.
      loggers: are given each epoch, and closed at the end; of several processes, those of the
        first alone.
      show_progress: a progress bar on standard error.

    Raises:
      MismatchError: graphs made with other options than the model's, or a resumed run with other
        data or first weights.
      TargetError: a target is unknown to the data or has nothing to learn.
      TrainingError: more than `max_bad_steps` steps in a row, or all steps of an epoch, had a
        loss or gradient that was not finite; or another process was lost.
      ConfigError: a resumed run with other options, more devices than there are, or a run folder
        given to another process than the first.
      Interrupted: a signal asked to stop; the run folder can be resumed.
      StorageError: a file of the run cannot be written.
    """
    trainer = fit_trainer(model, train, valid, config, labels, rates, run, loggers)
    return run_trainer(trainer, show_progress=show_progress)


def fit_trainer(
    model: Model,
    train: Crystals,
    valid: Crystals,
    config: TrainConfig,
    labels: Labels | None = None,
    rates: RatesAt | None = None,
    run: RunFolder | None = None,
    loggers: Sequence[Logger] = (),
) -> Trainer:
    """What `fit` runs, before its first step; arguments and errors as there."""
    if run is not None:
        options = {"graph": model.graph_config, "model": model.config, "train": config}
        run.save_config(options)
    return _trainer(model, train, valid, config, labels, rates, run, loggers)


def _trainer(
    model: Model,
    train: Crystals,
    valid: Crystals,
    config: TrainConfig,
    labels: Labels | None,
    rates: RatesAt | None,
    run: RunFolder | None,
    loggers: Sequence[Logger],
) -> Trainer:
    """`fit_trainer`, once the options are written down."""
    if run is not None and not is_first_process():
        raise ConfigError("of several processes only the first has a run folder; give None here")
    model = _ready(model, train, valid, config)
    if run is not None:
        run.save_inputs(inputs_of(model, train, valid))
    labels = label_parameters(model.params, [("*", TRAINED)]) if labels is None else labels
    loggers = loggers if is_first_process() else ()
    return Trainer(model, train, valid, config, labels, rates, run, loggers)


def run_trainer(trainer: Trainer, *, show_progress: bool = False) -> tuple[Model, History]:
    """All epochs that are left, as of `fit`; closes the trainer."""
    # Several processes hear of SIGTERM through `stop_is_agreed`.
    listening = trainer.run is not None and not several_processes()
    shown = show_progress and is_first_process()
    try:
        with (
            naming_lost_processes(),
            stop_requests(listening) as trainer.stop,
            progress("train", trainer.config.epochs, shown=shown) as advance,
        ):
            advance(trainer.epoch, "compiling before the first step")
            while trainer.epoch < trainer.config.epochs:
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
    loggers: Sequence[Logger] = (),
    show_progress: bool = False,
) -> tuple[Model, History]:
    """Carries a trained model over to new data, and trains it there.

    Args:
      model: the trained model.
      data: (training, validation) sets, or a store to split by id with the training seed.
      config: what is carried over, frozen or started anew, and how to train.
      keep_training: for mode "joint", the cheap data that the old heads go on learning.
      run: folder that receives the report and everything of `fit`.
      loggers: as of `fit`.
      show_progress: a progress bar on standard error.

    Raises:
      InputError: "joint" has no cheap data; further, all errors of `prepare_transfer` and `fit`.
    """
    trainer = transfer_trainer(model, data, config, keep_training, run, loggers)
    return run_trainer(trainer, show_progress=show_progress)


def transfer_trainer(
    model: Model,
    data: Store | tuple[Dataset, Dataset],
    config: TransferConfig,
    keep_training: Dataset | None = None,
    run: RunFolder | None = None,
    loggers: Sequence[Logger] = (),
) -> Trainer:
    """What `transfer_model` runs, before its first step; arguments and errors as there."""
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
        together = ConcatDataset(
            keep_training.restrict_targets(*model.targets), train.restrict_targets(target)
        )
        valid = valid.restrict_targets(target)
    report = _with_step_zero(prepared.report, prepared.model, target, train, valid)
    log_report(report)
    if run is not None:
        new_config = prepared.model.config
        run.save_config({"graph": model.graph_config, "model": new_config, "transfer": config})
        run.save_json(REPORT, report.__dict__)
    rates = functools.partial(rates_at, config)
    trainer = _trainer(
        prepared.model, together, valid, config.train, prepared.labels, rates, run, loggers
    )
    trainer.history.report = report
    return trainer


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


def _ready(model: Model, train: Crystals, valid: Crystals, config: TrainConfig) -> Model:
    """The model with its normalizers, after the checks that need no computing."""
    for data, name in ((train, "training"), (valid, "validation")):
        if len(data) == 0:
            raise InputError(
                f"the {name} set is empty; give more crystals or other split fractions"
            )
        model.check_graphs(data, f"the {name} set")
    if not any(np.isfinite(valid.target(t)).any() for t in model.targets):
        raise TargetError(
            f"the validation set has no known value of {list(model.targets)}, so that no epoch "
            "could be called best; give crystals with known values"
        )
    missing = [t for t in model.targets if t not in model.normalizers]
    fitted = {t: Normalizer.fit(train.target(t), t) for t in missing}
    return model.replace(normalizers={**model.normalizers, **fitted})


def _with_step_zero(
    report: TransferReport, model: Model, target: str, train: Dataset, valid: Dataset
) -> TransferReport:
    errors = {}
    for name, part in (("train", train), ("valid", valid)):
        found = evaluate(model, part.restrict_targets(target))
        errors[name] = found[target] if len(model.targets) > 1 else found
    return TransferReport(**{**report.__dict__, "step_zero": errors})
