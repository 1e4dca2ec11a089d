"""Training: a model and data sets in, a better model and its history out."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from cgatjax.config import TrainConfig
from cgatjax.data.arguments import require_dataset
from cgatjax.data.datasets import Crystals
from cgatjax.errors import CgatjaxError, ConfigError, InputError, TargetError
from cgatjax.model.model import Model, inputs_of, require_model, versions
from cgatjax.model.model_io import read_model
from cgatjax.model.training_record import Labeled, TrainingRecord
from cgatjax.runs.loggers import Logger
from cgatjax.runs.run_folder import RunFolder, removed_if_untrained
from cgatjax.runtime import stop_requests
from cgatjax.runtime.distributed import is_first_process, lost_process_errors, several_processes
from cgatjax.runtime.progress import progress
from cgatjax.training.history import History
from cgatjax.training.optimizer import Labels
from cgatjax.training.run_state import RunRecorder
from cgatjax.training.target_fit import fitted_normalizers, without_known_parts
from cgatjax.training.trainer import RatesAt, Trainer
from cgatjax.training.transfer_params import TRAINED, label_parameters

logger = logging.getLogger("cgatjax")


class Recorded(NamedTuple):
    """Training record of a model, before it is written.

    Attributes:
      train, valid, test: data sets, each with its targets.
      options: options of the training, plain values.
    """

    train: Sequence[Labeled]
    valid: Sequence[Labeled]
    test: Sequence[Labeled]
    options: Mapping[str, Any]


def fit(
    model: Model,
    train: Crystals,
    valid: Crystals,
    config: TrainConfig | Mapping[str, Any] = TrainConfig(),  # noqa: B008 - frozen
    *,
    test: Crystals | None = None,
    labels: Labels | None = None,
    rates: RatesAt | None = None,
    run: RunFolder | None = None,
    loggers: Sequence[Logger] = (),
    shapes_of: Crystals | None = None,
    show_progress: bool | None = None,
) -> tuple[Model, History]:
    """Train a model, and return it at its best validation error with the history.

    Normalizers that the model lacks are fitted on the training set. If the encoder is frozen,
    its embeddings are computed once and only the heads run from then on (exact).

    With a run folder, SIGTERM and SIGINT (Ctrl-C) are answered between two steps: a checkpoint is
    saved, and `Interrupted` raised. A second Ctrl-C is a KeyboardInterrupt at once.

    Several processes that have called `runtime.distributed.initialize` train one model together:
    all call this with the same arguments, except that only the first has a run folder. SIGTERM to
    one of them stops all after the same step.

    Args:
      model: with fresh or carried-over weights.
      train: the training set.
      valid: the validation set; all of it is used.
      config: how to train; a dictionary of options will do.
      test: test set, whose hashes the model records; nothing else is done with it.
      labels: "frozen" or a learning-rate group for every parameter; None trains all.
      rates: learning-rate factors of the groups; by default the schedule's for all.
      run: folder that receives options, history, checkpoints and the best model. If a mistake ends
        the training before its first step, a folder that was created for it is removed again.
      loggers: receive each epoch, and are closed at the end; of several processes, those of the
        first alone.
      shapes_of: crystals that decide the padded batch shapes, of which both sets are parts:
        trainings on several parts of them, as in cross-validation, then share compiled programs.
        By default each set decides its own.
      show_progress: show progress on standard error; by default in terminals and notebooks.

    Raises:
      MismatchError: graphs made with other options than the model's, or a resumed run with other
        data or first weights.
      TargetError: a target is unknown to the data or has nothing to learn.
      TrainingError: more than `max_bad_steps` steps in a row, or all steps of an epoch, had a
        loss or gradient that was not finite; or another process was lost.
      ConfigError: a resumed run with other options, more devices than there are, or a run folder
        given to another process than the first.
      Interrupted: a signal asked to stop; the run folder can be resumed.
    """
    with removed_if_untrained(run):
        config = check_arguments(model, train, valid, config)
        if run is not None:
            run.save_config({"graph": model.graph_config, "model": model.config, "train": config})
        tested = [] if test is None else [(test, model.targets)]
        recorded = Recorded(
            [(train, model.targets)], [(valid, model.targets)], tested, config.to_dict()
        )
        return train_epochs(
            model,
            train,
            valid,
            recorded,
            config,
            labels,
            rates,
            run,
            loggers,
            show_progress,
            shapes_of,
        )


def check_arguments(
    model: Any, train: Any, valid: Any, config: TrainConfig | Mapping[str, Any]
) -> TrainConfig:
    """Return the options of a training, after checks of the arguments' kinds.

    Raises:
      InputError: an argument of another kind, such as arguments in another order.
      ConfigError: wrong options.
    """
    require_model(model, "cg.fit(model, train, valid, config)")
    require_dataset(train, "the training set")
    require_dataset(valid, "the validation set")
    return TrainConfig.of(config)


def train_epochs(
    model: Model,
    train: Crystals,
    valid: Crystals,
    recorded: Recorded,
    config: TrainConfig,
    labels: Labels | None,
    rates: RatesAt | None,
    run: RunFolder | None,
    loggers: Sequence[Logger],
    show_progress: bool | None,
    shapes_of: Crystals | None = None,
) -> tuple[Model, History]:
    """Train for all epochs that are left, once the options of the run are written.

    The one training loop: `fit` and `transfer_model` end here; arguments and errors as of `fit`,
    and `recorded`: the sets with their targets and the options, for the record.
    """
    if run is not None and not is_first_process():
        raise ConfigError("of several processes only the first has a run folder; give None here")
    model, train, valid = _ready(model, train, valid, config)
    # A resumed run must have the data and first weights that it began with.
    inputs = inputs_of(model, train, valid)
    if run is not None:
        run.save_inputs(inputs)
    shown = show_progress if is_first_process() else False
    record = _saved_record(run)
    if record is None:
        stage = {
            "targets": list(model.targets),
            "inputs": inputs,
            "options": recorded.options,
            "versions": versions(),
        }
        record = TrainingRecord.of(model.record, *recorded[:3], stage=stage, show_progress=shown)
    model = model.replace(record=record)
    labels = label_parameters(model.params, [("*", TRAINED)]) if labels is None else labels
    recorder = RunRecorder(run, loggers if is_first_process() else (), model, config)
    embeddings = run.path / "embeddings" if run is not None else None
    # Several processes learn of SIGTERM through `stop_is_agreed`.
    listening = run is not None and not several_processes()
    try:
        trainer = Trainer(
            model, train, valid, config, labels, rates, recorder, embeddings, shapes_of
        )
        with (
            lost_process_errors(),
            stop_requests(listening) as trainer.stop,
            progress("train", config.epochs, shown=shown) as advance,
        ):
            if trainer.state.epoch:
                advance(trainer.state.epoch, "")
            if run is not None:
                run.begin()
            if not trainer.is_done:
                advance(0, "compiling before the first step")
            while not trainer.is_done:
                advance(1, trainer.run_epoch())
            if trainer.state.epoch < config.epochs:
                logger.info(
                    "stopped after epoch %d: no better validation for %d of them",
                    trainer.state.epoch,
                    trainer.state.waited,
                )
        return trainer.finish()
    # After errors too: a checkpoint under way is finished, and the loggers' files are whole.
    finally:
        recorder.close()


def _saved_record(run: RunFolder | None) -> TrainingRecord | None:
    """Read the record that a resumed run has saved with its best model, if any."""
    if run is None or not run.resuming or not (run.path / "model").is_dir():
        return None
    try:
        return read_model(run.path / "model").record
    except CgatjaxError:  # a damaged model is written again; the record is computed again
        return None


def _ready(
    model: Model, train: Crystals, valid: Crystals, config: TrainConfig
) -> tuple[Model, Crystals, Crystals]:
    """Fit the normalizers that are missing, and subtract baselines and references.

    The checks that need no computing come first.
    """
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
    model = model.replace(normalizers=fitted_normalizers(model, train, config))
    rest = without_known_parts(model, train, "the training set")
    valid_rest = without_known_parts(model, valid, "the validation set")
    if not any(np.isfinite(valid_rest.target(t)).any() for t in model.targets):
        raise TargetError(
            f"no crystal of the validation set has both {list(model.targets)} and its baseline"
        )
    return model, rest, valid_rest
