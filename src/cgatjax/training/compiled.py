"""The compiled functions of a training, shared by runs that differ in seeds and weights alone.

Compiling a step takes as long as hundreds of steps of a small network; the members of an ensemble
do it once.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from flax import traverse_util

from cgatjax.config import ModelConfig, TrainConfig
from cgatjax.models.losses import LOSSES
from cgatjax.models.model import Model
from cgatjax.models.normalizer import Normalizer
from cgatjax.runtime.devices import Devices
from cgatjax.structures.elements import ElementTable
from cgatjax.training.input_pipeline import forward_of
from cgatjax.training.optimizer import Labels, Params, make_optimizer
from cgatjax.training.train_step import (
    Step,
    StepMetrics,
    TrainState,
    init_state,
    make_eval_step,
    make_loss,
    make_train_step,
)

_NO_NUMBERS = {"seed": 0, "epochs": 0, "checkpoint_seconds": 0, "max_bad_steps": 0}
"""Training options that are in none of the compiled functions."""


class Compiled(NamedTuple):
    """What a run computes with.

    Attributes:
      start: the state before the first step, of parameters.
      step: a training step, as of `make_train_step`.
      step_together: the same for several runs side by side (`members` of `make_train_step`).
      evaluate: sums of loss and errors, as of `make_eval_step`.
      devices: that both run on.
    """

    start: Callable[[Params], TrainState]
    step: Step
    step_together: Step
    evaluate: Callable[[Params, Any], StepMetrics]
    devices: Devices


def compiled_for(model: Model, config: TrainConfig, labels: Labels) -> Compiled:
    """The functions for a run; those of an earlier run where nothing in them differs.

    Raises:
      ConfigError: more devices than there are.
    """
    flat = traverse_util.flatten_dict(labels, sep="/")
    scales = tuple(sorted(model.normalizers.items(), key=lambda item: item[0]))
    neutral = config.replace(**_NO_NUMBERS)
    return _compiled(model.config, model.element_table, neutral, tuple(flat.items()), scales)


@functools.lru_cache(maxsize=2)
def _compiled(
    network: ModelConfig,
    table: ElementTable,
    config: TrainConfig,
    labels: tuple[tuple[str, str], ...],
    scales: tuple[tuple[str, Normalizer], ...],
) -> Compiled:
    tree: Mapping[str, Any] = traverse_util.unflatten_dict(dict(labels), sep="/")
    model = Model(config=network, params=None, graph_config=None, element_table=table)  # type: ignore[arg-type]
    optimizer = make_optimizer(config, tree)
    loss = make_loss(forward_of(model, tree), LOSSES[config.loss], dict(scales))
    devices = Devices.choose(config.devices, config.device_mapping)
    return Compiled(
        start=lambda params: init_state(params, optimizer),
        step=make_train_step(loss, optimizer, tree, devices),
        step_together=make_train_step(loss, optimizer, tree, devices, members=True),
        evaluate=make_eval_step(loss, devices),
        devices=devices,
    )
