"""Options that `train` and `transfer` share, and what they resolve to."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click

from cgatjax.config import SplitConfig, TrainConfig
from cgatjax.data.leakage import split_from_options
from cgatjax.data.overlap import KEYS
from cgatjax.data.splits import SUBSETS, Split
from cgatjax.data.store import Store
from cgatjax.errors import ConfigError, InputError, MismatchError
from cgatjax.runs.loggers import LOGGERS
from cgatjax.runs.run_folder import DATA, SPLIT, RunFolder, differences

F = TypeVar("F", bound=Callable[..., Any])
TRAIN_FLAGS = (
    "epochs",
    "batch_size",
    "learning_rate",
    "weight_decay",
    "loss",
    "optimizer",
    "schedule",
    "cycle_period",
    "clip_norm",
    "accumulate",
    "devices",
    "validate_every",
    "seed",
)
"""Flags that are fields of `TrainConfig`."""
SPLIT_FLAGS = ("split", "split_by", "fractions", "exclude", "exclude_by", "train_size")


def _choice(*names: str) -> click.Choice:
    return click.Choice(list(names))


_OPTIONS = (
    click.option("--config", type=click.Path(), help="TOML file of options; flags win over it."),
    click.option("--epochs", type=int, help="Passes over the training set."),
    click.option("--batch-size", type=int, help="Crystals per step and micro-batch."),
    click.option("--learning-rate", type=float, help="Peak rate."),
    click.option("--weight-decay", type=float),
    click.option(
        "--loss",
        type=_choice("l1", "l2", "robust_l1", "robust_l2"),
        help="The robust ones learn a standard deviation, too.",
    ),
    click.option("--optimizer", type=_choice("adamw", "adam", "sgd", "lamb")),
    click.option("--schedule", type=_choice("cyclical", "plateau", "constant")),
    click.option("--cycle-period", type=int, help="Epochs per triangle of the cyclical schedule."),
    click.option("--clip-norm", type=float, help="Largest norm of the gradient."),
    click.option("--accumulate", type=int, help="Micro-batches per optimizer step."),
    click.option(
        "--devices",
        metavar="N|all",
        help="That share each micro-batch.  [default: 1; all with several processes]",
    ),
    click.option(
        "--coordinator",
        metavar="HOST:PORT|auto",
        help="Train with several processes: the address of process 0, or auto under SLURM, "
        "Open MPI or on a TPU pod.",
    ),
    click.option("--num-processes", type=int, help="With --coordinator HOST:PORT: how many."),
    click.option("--process-id", type=int, help="With --coordinator HOST:PORT: which, from 0."),
    click.option(
        "--precision",
        type=_choice("float32", "bfloat16"),
        help="Of matrix products; weights stay float32.",
    ),
    click.option("--validate-every", type=int, help="Epochs between validations."),
    click.option(
        "--ensemble",
        type=int,
        metavar="N",
        help="Train N members, with seeds from --seed upwards, on the same split.",
    ),
    click.option(
        "--side-by-side",
        is_flag=True,
        help="All members of the ensemble in one step; for accelerators that one leaves idle.",
    ),
    click.option("--seed", type=int, help="Of initialization, shuffling and split.  [default: 0]"),
    click.option(
        "--deterministic",
        is_flag=True,
        help="On a GPU: sum in a fixed order, more slowly, so that runs repeat bit for bit.",
    ),
    click.option("--resume", is_flag=True, help="Go on with the run in --out."),
    click.option("--plots", is_flag=True, help="Draw the learning curves into the run folder."),
    click.option(
        "--log",
        "loggers",
        multiple=True,
        type=_choice(*LOGGERS),
        help="Show the curves there, too: in RUN/tensorboard, or at Weights & Biases. Repeat.",
    ),
    click.option("--split", type=click.Path(), help="JSON file with ids of train, valid, test."),
    click.option(
        "--split-by",
        type=_choice("id", "formula", "prototype"),
        default="id",
        show_default=True,
        help="Keep all crystals of a composition, or of a structure type, in one part.",
    ),
    click.option(
        "--fractions", default="0.8,0.1,0.1", show_default=True, help="Of train, valid and test."
    ),
    click.option(
        "--exclude",
        multiple=True,
        metavar="RUN|STORE|FILE",
        help="Leave out what another training is judged by: the validation and test ids "
        "of a run, of a store under the same split options, or of a split JSON; or the "
        "ids in a text or CSV file. Repeat.",
    ),
    click.option(
        "--exclude-by",
        type=_choice(*KEYS),
        default="id",
        show_default=True,
        help="Leave out these ids alone, or with them every crystal of their formulas, with the "
        "same graph, or of their structure types.",
    ),
    click.option("--train-size", type=int, help="Crystals of a nested subset of the training set."),
)


def recipe_options(command: F) -> F:
    """Adds the shared options to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def joined(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Joins the other processes if there are any; the flags with `--devices` as a number.

    Raises:
      ConfigError: a half description of the processes, no number of devices, or too many.
      TrainingError: the others did not come.
    """
    import jax

    from cgatjax.runtime.devices import Devices, make_deterministic
    from cgatjax.runtime.distributed import initialize, several_processes

    if flags["deterministic"]:
        make_deterministic()
    initialize(flags["coordinator"], flags["num_processes"], flags["process_id"])
    devices = flags["devices"]
    if devices == "all" or (devices is None and several_processes()):
        devices = jax.device_count()
    elif devices is not None and not devices.isdecimal():
        raise ConfigError(f"--devices: expected a number or all, got {devices!r}")
    if devices is None:
        return dict(flags)
    return {**flags, "devices": Devices.choose(int(devices)).count}


def train_config(
    start: TrainConfig, from_file: Mapping[str, Any], flags: Mapping[str, Any]
) -> TrainConfig:
    """Training options: flags over the file over the preset."""
    given = {name: flags[name] for name in TRAIN_FLAGS if flags[name] is not None}
    return start.replace(**{**from_file, **given})


def compute_of(precision: str | None) -> dict[str, str]:
    """`--precision` as a change of the network's options."""
    if precision is None:
        return {}
    return {"compute": "bfloat16" if precision == "bfloat16" else "parameters"}


def split_config(flags: Mapping[str, Any]) -> SplitConfig:
    """Split options from the flags.

    Raises:
      ConfigError: a value out of range, or fractions that are not three numbers.
    """
    given = {name: flags[name] for name in (*SPLIT_FLAGS, "seed")}
    return SplitConfig(**{**given, "fractions": _fractions(flags["fractions"])})


def _fractions(text: str) -> tuple[float, float, float]:
    try:
        train, valid, test = (float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"--fractions: expected three numbers a,b,c, got {text!r}") from error
    return train, valid, test


def open_run(
    out: str,
    store: Store,
    targets: Sequence[str],
    flags: Mapping[str, Any],
    about: Mapping[str, Any],
) -> tuple[RunFolder | None, Split]:
    """A new run folder with its split and `about` written down, or a resumed one with its own.

    Of several processes only the first has a folder; the others find the same split by themselves.

    Args:
      out: the folder.
      store: the data to split.
      targets: properties of which at least one must be known.
      flags: of the command line; "seed" is the resolved one.
      about: what else `data.json` says.

    Raises:
      RunExistsError: the folder exists, and is not to be resumed.
      MismatchError: a resumed run was trained on another store.
      ConfigError: a resumed run was split in another way.
    """
    from cgatjax.runtime.distributed import is_first_process

    if not is_first_process():
        return None, split_from_options(store, targets, split_config(flags))
    config = split_config(flags)
    options = config.to_dict()
    if flags["resume"] and (run := RunFolder(out, resume=True)).resuming:
        _check_same_data(run, store, options)
        return run, Split.load(run.path / SPLIT)
    split = split_from_options(store, targets, config)
    run = RunFolder(out, resume=flags["resume"])
    split.save(run.path / SPLIT)
    counts = {part: len(getattr(split, part)) for part in SUBSETS}
    described = {"store": str(store.path), "digest": store.digest, "targets": list(targets)}
    run.save_json(DATA, {**described, **about, "counts": counts, "split": options})
    return run, split


def _check_same_data(run: RunFolder, store: Store, options: Mapping[str, Any]) -> None:
    try:
        old = json.loads((run.path / DATA).read_text())
        digest, before = old["digest"], old["split"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{run.path}: cannot be resumed, its {DATA} is damaged") from error
    if digest != store.digest:
        raise MismatchError(
            f"{run.path}: trained on {old.get('store')} (digest {digest[:12]}), which is not "
            f"{store.path} (digest {store.digest[:12]}); resume with the same store"
        )
    if changes := differences(before, options):
        raise ConfigError(
            f"{run.path}: a resumed run cannot change its split: {'; '.join(map(str, changes))}"
        )
