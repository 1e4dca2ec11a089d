"""Transfer learning: a trained model, new data and options in, a fine-tuned model out."""

import dataclasses
import functools
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from cgatjax.config import TransferConfig
from cgatjax.data.arguments import require_dataset
from cgatjax.data.datasets import ConcatDataset, Crystals, Dataset
from cgatjax.data.store import Store
from cgatjax.errors import InputError
from cgatjax.inference.baselines import properties_needed
from cgatjax.inference.memory import count_trained_on
from cgatjax.inference.prediction import errors_by_target
from cgatjax.inference.predictor import Predictor
from cgatjax.model.model import Model, make_source, require_model
from cgatjax.runs.loggers import Logger
from cgatjax.runs.run_folder import REPORT, RunFolder, removed_if_untrained
from cgatjax.training.history import History
from cgatjax.training.loop import Recorded, train_epochs
from cgatjax.training.transfer_params import TransferReport, prepare_transfer, rates_at

logger = logging.getLogger("cgatjax")


def transfer_model(
    model: Model,
    data: Store | Sequence[Dataset],
    config: TransferConfig | Mapping[str, Any] = TransferConfig(),  # noqa: B008 - frozen
    *,
    keep_training: Dataset | None = None,
    run: RunFolder | None = None,
    loggers: Sequence[Logger] = (),
    show_progress: bool | None = None,
) -> tuple[Model, History]:
    """Fine-tune a trained model on new data.

    Args:
      model: the trained model.
      data: (training, validation) sets, or with a test set, whose hashes the model records; or a
        store to split by id with the training seed.
      config: what is carried over, frozen or re-initialized, and how to train.
      keep_training: for mode "joint", the low-fidelity data that the old heads train on further.
      run: folder that receives the report and everything of `fit`.
      loggers: as of `fit`.
      show_progress: show progress on standard error; by default in terminals and notebooks.

    Raises:
      InputError: "joint" has no low-fidelity data; further, all errors of `prepare_transfer` and
        `fit`.
    """
    config = TransferConfig.of(config)
    require_model(model, "cg.transfer_model(model, data, config)")
    with removed_if_untrained(run):
        return _transfer(model, data, config, keep_training, run, loggers, show_progress)


def _transfer(
    model: Model,
    data: Store | Sequence[Dataset],
    config: TransferConfig,
    keep_training: Dataset | None,
    run: RunFolder | None,
    loggers: Sequence[Logger],
    show_progress: bool | None,
) -> tuple[Model, History]:
    """Transfer the parameters and train; arguments and errors as of `transfer_model`."""
    target = config.target or model.targets[0]
    if isinstance(data, Store):
        data = data.split(seed=config.train.seed, targets=(target,))
    train, valid, *tests = training_sets(data)
    prepared = prepare_transfer(model, train, config)
    named = (target,)
    recorded = Recorded(
        [(train, named)], [(valid, named)], [(test, named) for test in tests], config.to_dict()
    )
    together: Crystals = train
    if config.mode == "joint":
        if keep_training is None or not len(keep_training):
            raise InputError(
                "joint transfer needs the low-fidelity data that the old heads train on further"
            )
        recorded = recorded._replace(train=[(train, named), (keep_training, model.targets)])
        # Both stores may have a column of the same name; each trains its own head.
        together = ConcatDataset(
            keep_training.restrict_targets(*model.targets),
            train.restrict_targets(target),
            last_fraction=config.joint_fraction,
        )
    # The new head alone: its data need not have the baselines of the old ones.
    alone = make_source(prepared.model, target)
    visible = (target, *properties_needed([alone]))
    sets = {"train": train.restrict_targets(*visible), "valid": valid.restrict_targets(*visible)}
    if config.mode != "none":
        log_seen(Predictor.of(model), {"validation": valid, "test": tests[0] if tests else None})
    step_zero = {name: errors_by_target(alone, d)[target] for name, d in sets.items()}
    report = dataclasses.replace(prepared.report, step_zero=step_zero)
    if config.mode == "joint":
        valid = valid.restrict_targets(target)
    log_report(report)
    if run is not None:
        new_config = prepared.model.config
        run.save_config({"graph": model.graph_config, "model": new_config, "transfer": config})
        run.save_json(REPORT, report.__dict__)
    rates = functools.partial(rates_at, config)
    trained, history = train_epochs(
        prepared.model,
        together,
        valid,
        recorded,
        config.train,
        prepared.labels,
        rates,
        run,
        loggers,
        show_progress,
    )
    history.report = report
    return trained, history


def log_seen(predictor: Predictor, sets: Mapping[str, Dataset | None]) -> None:
    """Log how many held-out crystals the old model was trained on."""
    for name, data in sets.items():
        counts = count_trained_on(predictor.members, data) if data else None
        if counts is not None and (counts.train or counts.formulas):
            logger.info("%s", counts.text(f"{name} crystals"))


def training_sets(data: Any) -> Sequence[Dataset]:
    """Return training and validation set of the argument of a transfer, and its test set if any.

    Raises:
      InputError: it is no pair of data sets.
    """
    if not isinstance(data, tuple | list) or len(data) not in (2, 3):
        raise InputError(
            "the data of a transfer: expected a store or the pair (train, valid), got "
            f"{type(data).__name__}"
        )
    for part, name in zip(data, ("training", "validation", "test"), strict=False):
        require_dataset(part, f"the {name} set")
    return data


def log_report(report: TransferReport) -> None:
    """Log what is frozen, loaded and re-initialized, and the error before training."""
    logger.info("transfer: %r", report)
    for name, errors in report.step_zero.items():
        logger.info("before training, %s: MAE %.5g on %d", name, errors["mae"], errors["n"])
