"""Options of the library: frozen dataclasses, checked when they are made.

A configuration file is TOML with one table per class: `[graph]`, `[model]`, `[train]`,
`[transfer]`. The command line makes its options of the fields; a help text is the entry of the
field under "Attributes".
"""

from collections.abc import Callable

from cgatjax.config.adaptation import AdaptConfig as AdaptConfig
from cgatjax.config.adaptation import GPConfig as GPConfig
from cgatjax.config.data import DuplicateKey as DuplicateKey
from cgatjax.config.data import GraphConfig as GraphConfig
from cgatjax.config.data import SplitConfig as SplitConfig
from cgatjax.config.network import ModelConfig as ModelConfig
from cgatjax.config.training import TrainConfig as TrainConfig
from cgatjax.config.training import TransferConfig as TransferConfig

PRESETS: dict[str, tuple[Callable[[], ModelConfig], Callable[[], TrainConfig]]] = {
    "small": (ModelConfig.small, TrainConfig),
    "released": (ModelConfig.released, TrainConfig.paper),
    "paper": (ModelConfig.paper, TrainConfig.paper),
}
"""Preset -> functions that make the options of the network and of the training."""
