"""Training of ensembles: members that differ in their seed, one after another or side by side.

Each member is an ordinary run of its own below `RUN/members`, so that an interrupted ensemble goes
on where its members were. The step is compiled once for all of them.
"""

import logging
from collections.abc import Callable, Sequence

from cgatjax.config import TrainConfig, TransferConfig
from cgatjax.data.datasets import Crystals, Dataset
from cgatjax.data.store import Store
from cgatjax.errors import ConfigError, InputError
from cgatjax.inference.loading import describe_ensemble, member_seeds
from cgatjax.inference.predictor import Predictor
from cgatjax.models.model import Model, fresh_params
from cgatjax.options import Options
from cgatjax.runs.loggers import Logger
from cgatjax.runs.run_folder import DATA, ENSEMBLE, MEMBERS, SPLIT, RunFolder
from cgatjax.runtime.atomic_files import write_durably
from cgatjax.runtime.distributed import several_processes
from cgatjax.training.history import History
from cgatjax.training.loop import fit_trainer, run_trainer, transfer_trainer
from cgatjax.training.trainer import Trainer
from cgatjax.training.vmapped_ensembles import train_side_by_side

logger = logging.getLogger("cgatjax")
LoggersOf = Callable[[RunFolder], Sequence[Logger]]
"""What a member's epochs are given to."""


def fit_ensemble(
    model: Model,
    train: Crystals,
    valid: Crystals,
    config: TrainConfig = TrainConfig(),  # noqa: B008 - frozen
    *,
    size: int,
    run: RunFolder | None = None,
    loggers: LoggersOf = lambda run: (),
    side_by_side: bool = False,
    show_progress: bool = False,
) -> tuple[Predictor, list[History]]:
    """Trains an ensemble from fresh weights.

    Member i is what `fit` makes of fresh weights of seed `config.seed + i`, shuffled by that seed.

    Args:
      model: says what is trained; its own weights are those of no member.
      train: the training set, the same for all members.
      valid: the validation set, the same for all members.
      config: how to train; `seed` is the first member's.
      size: number of members.
      run: folder that receives the members' runs; resumed, it may get more members.
      loggers: makes those of a member, with a run folder only.
      side_by_side: all members in one `vmap`ped step, in the memory of so many runs: quicker where
        one network leaves the device idle, not on CPUs, and long to compile.
      show_progress: a progress bar for each member on standard error.

    Raises:
      ConfigError: no member, or fewer than a resumed ensemble has; further, all errors of `fit`.
    """

    def member(number: int, folder: RunFolder | None) -> Trainer:
        own = config.replace(seed=config.seed + number)
        fresh = model.replace(params=fresh_params(model, train, own.seed))
        shown = loggers(folder) if folder is not None else ()
        return fit_trainer(fresh, train, valid, own, run=folder, loggers=shown)

    options = {"graph": model.graph_config, "model": model.config, "train": config}
    return _each(member, config.seed, size, run, options, side_by_side, show_progress)


def transfer_ensemble(
    models: Model | Predictor,
    data: Store | tuple[Dataset, Dataset],
    config: TransferConfig = TransferConfig(),  # noqa: B008 - frozen
    *,
    size: int,
    keep_training: Dataset | None = None,
    run: RunFolder | None = None,
    loggers: LoggersOf = lambda run: (),
    side_by_side: bool = False,
    show_progress: bool = False,
) -> tuple[Predictor, list[History]]:
    """Carries one model, or the members of an ensemble, over to an ensemble on new data.

    Member i is what `transfer_model` makes with seed `config.train.seed + i` of the old member i,
    counted from the first again where there are fewer. Members that start from one model differ
    in what starts anew and in the order of the crystals.

    Args:
      models: the trained model or ensemble.
      data: (training, validation) sets, or a store to split by id with the training seed.
      config: what is carried over and how to train; the seed is the first member's.
      size: number of members.
      keep_training: for mode "joint", the cheap data that the old heads go on learning.
      run: folder that receives the members' runs; resumed, it may get more members.
      loggers: makes those of a member, with a run folder only.
      side_by_side: all members in one `vmap`ped step, in the memory of so many runs: quicker where
        one network leaves the device idle, not on CPUs, and long to compile.
      show_progress: a progress bar for each member on standard error.

    Raises:
      ConfigError: no member, or fewer than a resumed ensemble has; further, all errors of
        `transfer_model`.
    """
    old = Predictor.of(models)
    target, seed = config.target or old.targets[0], config.train.seed
    if isinstance(data, Store):
        train, valid, _ = data.split(seed=seed, targets=(target,))
        data = train, valid
    parts = data

    def member(number: int, folder: RunFolder | None) -> Trainer:
        return transfer_trainer(
            old.members[number % len(old.members)],
            parts,
            config.replace(train=config.train.replace(seed=seed + number)),
            keep_training=keep_training,
            run=folder,
            loggers=loggers(folder) if folder is not None else (),
        )

    options = {"graph": old.graph_config, "transfer": config}
    return _each(member, seed, size, run, options, side_by_side, show_progress)


def _each(
    member: Callable[[int, RunFolder | None], Trainer],
    seed: int,
    size: int,
    run: RunFolder | None,
    options: dict[str, Options],
    side_by_side: bool,
    show_progress: bool,
) -> tuple[Predictor, list[History]]:
    """Trains the members, each in its folder."""
    if size < 1:
        raise ConfigError(f"ensemble: expected at least 1 member, got {size}")
    if side_by_side and several_processes():
        raise ConfigError("members side by side share one device; several processes train in turn")
    if run is not None:
        run.save_config(options)
        _record(run, [seed + number for number in range(size)])
    folders = (None if run is None else _member_folder(run, number) for number in range(size))
    members = (member(number, folder) for number, folder in enumerate(folders))
    if side_by_side:
        trained = train_side_by_side(list(members), show_progress=show_progress)
    else:
        trained = []
        for number, trainer in enumerate(members):
            logger.info("member %d of %d, seed %d", number + 1, size, seed + number)
            trained.append(run_trainer(trainer, show_progress=show_progress))
    return Predictor.of([model for model, _ in trained]), [history for _, history in trained]


def _record(run: RunFolder, seeds: Sequence[int]) -> None:
    """Writes the seeds down; a resumed ensemble may only grow."""
    if run.resuming and (run.path / ENSEMBLE).is_file():
        before = member_seeds(run.path)
        if before != list(seeds[: len(before)]):
            raise ConfigError(
                f"{run.path}: an ensemble of {len(before)} members can be resumed with as many or "
                f"more, got {len(seeds)}"
            )
    elif run.resuming and (run.path / "state").is_dir():
        raise InputError(f"{run.path}: holds the run of one model; resume it without --ensemble")
    run.save_json(ENSEMBLE, describe_ensemble(seeds))


def _member_folder(run: RunFolder, number: int) -> RunFolder:
    """A member's run folder, begun or gone on with, with the split of the ensemble in it."""
    path = run.path / MEMBERS / str(number)
    folder = RunFolder(path, resume=path.is_dir())
    for name in (SPLIT, DATA):
        if (run.path / name).is_file() and not (path / name).exists():
            write_durably(path / name, (run.path / name).read_bytes())
    return folder
