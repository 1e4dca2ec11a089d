"""Training of ensembles: members that differ in their seeds, one after another.

Each member is an ordinary run below `RUN/members`, so that an interrupted ensemble resumes where
its members were. The step is compiled once for all of them.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cgatjax.config import TrainConfig, TransferConfig
from cgatjax.data.datasets import Crystals, Dataset
from cgatjax.data.store import Store
from cgatjax.errors import ConfigError, InputError
from cgatjax.inference.loading import describe_ensemble, member_seeds
from cgatjax.inference.predictor import Predictor
from cgatjax.model.model import Model
from cgatjax.options import Options
from cgatjax.runs.loggers import Logger
from cgatjax.runs.run_folder import (
    CHECKPOINTS,
    DATA,
    ENSEMBLE,
    MEMBERS,
    SPLIT,
    RunFolder,
    removed_if_untrained,
)
from cgatjax.runtime import write_durably
from cgatjax.training.history import History
from cgatjax.training.loop import check_arguments, fit
from cgatjax.training.transfer import training_sets, transfer_model

logger = logging.getLogger("cgatjax")
LoggersOf = Callable[[RunFolder], Sequence[Logger]]
"""Run folder of a member -> its loggers."""
Trained = tuple[Model, History]


def fit_ensemble(
    model: Model,
    train: Crystals,
    valid: Crystals,
    config: TrainConfig | Mapping[str, Any] = TrainConfig(),  # noqa: B008 - frozen
    *,
    size: int,
    test: Crystals | None = None,
    run: RunFolder | None = None,
    loggers: LoggersOf = lambda run: (),
    show_progress: bool | None = None,
) -> tuple[Predictor, list[History]]:
    """Train an ensemble from fresh weights.

    Member i is the result of `fit` from fresh weights of seed `config.seed + i`, shuffled by that
    seed.

    Args:
      model: template for config, targets and units; its weights are not used.
      train: the training set, the same for all members.
      valid: the validation set, the same for all members.
      config: how to train; `seed` is the first member's.
      size: number of members.
      test: as of `fit`.
      run: folder that receives the members' runs; a resumed one may get more members.
      loggers: makes the loggers of a member, with a run folder only.
      show_progress: show progress of each member; by default in terminals and notebooks.

    Raises:
      ConfigError: no member, or fewer than a resumed ensemble has; further, all errors of `fit`.
    """
    with removed_if_untrained(run):
        options = check_arguments(model, train, valid, config)

    def train_member(number: int, folder: RunFolder | None, loggers: Sequence[Logger]) -> Trained:
        own = options.replace(seed=options.seed + number)
        # The seed decides weights and order, as of a single run with that seed.
        fresh = model.replace(params=model.network.init(own.seed))
        return fit(
            fresh,
            train,
            valid,
            own,
            test=test,
            run=folder,
            loggers=loggers,
            show_progress=show_progress,
        )

    written = {"graph": model.graph_config, "model": model.config, "train": options}
    return _train_members(train_member, options.seed, size, run, written, loggers)


def transfer_ensemble(
    models: Model | Predictor,
    data: Store | Sequence[Dataset],
    config: TransferConfig | Mapping[str, Any] = TransferConfig(),  # noqa: B008 - frozen
    *,
    size: int,
    keep_training: Dataset | None = None,
    run: RunFolder | None = None,
    loggers: LoggersOf = lambda run: (),
    show_progress: bool | None = None,
) -> tuple[Predictor, list[History]]:
    """Fine-tune one model, or the members of an ensemble, as an ensemble on new data.

    Member i is the result of `transfer_model` with seed `config.train.seed + i` from the old member
    i, counted from the first again where there are fewer. Members that start from one model differ
    in re-initialized parameters and in the order of the crystals.

    Args:
      models: the trained model or ensemble.
      data: as of `transfer_model`.
      config: what is carried over and how to train; the seed is the first member's.
      size: number of members.
      keep_training: for mode "joint", the low-fidelity data that the old heads train on further.
      run: folder that receives the members' runs; a resumed one may get more members.
      loggers: makes the loggers of a member, with a run folder only.
      show_progress: show progress of each member; by default in terminals and notebooks.

    Raises:
      ConfigError: no member, or fewer than a resumed ensemble has; further, all errors of
        `transfer_model`.
    """
    old, shared = Predictor.of(models), TransferConfig.of(config)
    target, seed = shared.target or old.targets[0], shared.train.seed
    split = data.split(seed=seed, targets=(target,)) if isinstance(data, Store) else data
    sets = training_sets(split)

    def train_member(number: int, folder: RunFolder | None, loggers: Sequence[Logger]) -> Trained:
        return transfer_model(
            old.members[number % len(old.members)],
            sets,
            shared.replace(train=shared.train.replace(seed=seed + number)),
            keep_training=keep_training,
            run=folder,
            loggers=loggers,
            show_progress=show_progress,
        )

    options = {"graph": old.graph_config, "transfer": shared}
    return _train_members(train_member, seed, size, run, options, loggers)


def _train_members(
    train_member: Callable[[int, RunFolder | None, Sequence[Logger]], Trained],
    seed: int,
    size: int,
    run: RunFolder | None,
    options: dict[str, Options],
    loggers: LoggersOf,
) -> tuple[Predictor, list[History]]:
    """Train the members one after another, each in its folder."""
    with removed_if_untrained(run):
        if size < 1:
            raise ConfigError(f"ensemble: expected at least 1 member, got {size}")
        # The number of members is no option: a resumed ensemble may have more.
        if run is not None:
            run.save_config(options)
            _record(run, [seed + number for number in range(size)])
        trained: list[Trained] = []
        # One after another: a vmapped step is no quicker on CPUs, and compiles 4 to 6 times longer.
        for number in range(size):
            logger.info("member %d of %d, seed %d", number + 1, size, seed + number)
            folder = None if run is None else _member_folder(run, number)
            trained.append(
                train_member(number, folder, loggers(folder) if folder is not None else ())
            )
        return Predictor.of([model for model, _ in trained]), [history for _, history in trained]


def _record(run: RunFolder, seeds: Sequence[int]) -> None:
    """Write the members' seeds; a resumed ensemble may only grow."""
    if run.resuming and (run.path / ENSEMBLE).is_file():
        before = member_seeds(run.path)
        if before != list(seeds[: len(before)]):
            raise ConfigError(
                f"{run.path}: an ensemble of {len(before)} members can be resumed with as many or "
                f"more, got {len(seeds)}"
            )
    elif run.resuming and (run.path / CHECKPOINTS).is_dir():
        raise InputError(f"{run.path}: holds the run of one model; resume it without --ensemble")
    run.save_json(ENSEMBLE, describe_ensemble(seeds))


def _member_folder(run: RunFolder, number: int) -> RunFolder:
    """Create or resume a member's run folder, and copy the ensemble's split into it."""
    path = run.path / MEMBERS / str(number)
    folder = RunFolder(path, resume=path.is_dir())
    for name in (SPLIT, DATA):
        if (run.path / name).is_file() and not (path / name).exists():
            write_durably(path / name, (run.path / name).read_bytes())
    return folder
