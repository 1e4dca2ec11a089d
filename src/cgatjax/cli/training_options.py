"""Options of `train` and `transfer`, and the option classes that they resolve to.

A value comes from the flag, otherwise from the configuration file, otherwise from the preset or,
in a transfer without one, from the run that it starts from.
"""

from collections.abc import Callable, Mapping
from typing import Any

import click

from cgatjax import ConfigError, GraphConfig, ModelConfig, SplitConfig, TrainConfig
from cgatjax.cli.command_options import Decorator, option
from cgatjax.cli.config_options import chosen, config_options
from cgatjax.config import PRESETS
from cgatjax.options import Options, load_toml
from cgatjax.runs.loggers import LOGGERS

NETWORKS = {name: network() for name, (network, _) in PRESETS.items()}
TRAININGS = {name: training() for name, (_, training) in PRESETS.items()}
"""Options of the network and of the training that each preset stands for."""
_ON_DEVICES = ("devices", "device_mapping")
_NETWORK_ON_DEVICES = ("precision", "rematerialize")

_SPLIT = config_options(SplitConfig, "Data", without=("seed", "exclude_seen"))
_SEEN = config_options(SplitConfig, "Data", only=("exclude_seen",))
_NETWORK = config_options(
    ModelConfig, "Network", without=("targets", *_NETWORK_ON_DEVICES), presets=NETWORKS
)
_TRAINING: tuple[Decorator, ...] = (
    option(
        "--config",
        type=click.Path(),
        group="Training",
        help="TOML file of options; flags take precedence.",
    ),
    config_options(TrainConfig, "Training", without=_ON_DEVICES, presets=TRAININGS),
    option(
        "--ensemble",
        type=int,
        metavar="N",
        group="Training",
        help="Train N members on the same split, with the seeds --seed, --seed + 1, ...",
    ),
    config_options(TrainConfig, "Hardware", only=_ON_DEVICES),
    config_options(ModelConfig, "Hardware", only=_NETWORK_ON_DEVICES),
    option(
        "--coordinator",
        metavar="HOST:PORT|auto",
        group="Hardware",
        help="Train with several processes: address of process 0, or auto under SLURM, Open MPI "
        "and on TPU pods. The default of --devices is then all.",
    ),
    option(
        "--num-processes",
        type=int,
        group="Hardware",
        help="Number of processes, with --coordinator HOST:PORT.",
    ),
    option(
        "--process-id",
        type=int,
        group="Hardware",
        help="Number of this process, from 0, with --coordinator HOST:PORT.",
    ),
    option(
        "--deterministic",
        is_flag=True,
        group="Hardware",
        help="Sum in a fixed order on GPUs: slower, and runs repeat bit for bit.",
    ),
    option("--out", required=True, type=click.Path(), group="Output", help="Run folder to create."),
    option("--resume", is_flag=True, group="Output", help="Resume the run in --out."),
    option("--plots", is_flag=True, group="Output", help="Draw learning curves into --out."),
    option(
        "--log",
        "loggers",
        multiple=True,
        type=click.Choice(LOGGERS),
        group="Output",
        help="Log the learning curves to TensorBoard (RUN/tensorboard) or Weights & Biases. "
        "Repeatable.",
    ),
)


def split_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the split."""
    return _SPLIT(command)


def exclude_seen_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option that leaves out what the pre-trained model has seen."""
    return _SEEN(command)


def network_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the network."""
    return _NETWORK(command)


def training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of training, hardware and output."""
    for decorator in reversed(_TRAINING):
        command = decorator(command)
    return command


def read_tables(file: str | None, **sections: type[Options]) -> dict[str, dict[str, Any]]:
    """Return the tables of a configuration file, empty ones where it has none.

    Raises:
      ConfigError: the file cannot be read, or has a table that does not belong to a training.
    """
    found = load_toml(file, {"graph": GraphConfig, **sections}) if file else {}
    if "graph" in found:
        raise ConfigError(f"{file}: [graph] belongs to `cgatjax featurize --config`")
    return {name: found.get(name, {}) for name in sections}


def train_config(
    start: TrainConfig, table: Mapping[str, Any], flags: Mapping[str, Any]
) -> TrainConfig:
    """Return the training options: flags over the table of the file over those to start from."""
    return start.replace(**{**table, **chosen(flags, TrainConfig)})


def split_config(flags: Mapping[str, Any], seed: int) -> SplitConfig:
    """Return the split options of the flags."""
    return SplitConfig(seed=seed, **chosen(flags, SplitConfig, without=("seed",)))
