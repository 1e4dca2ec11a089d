"""Training and validation steps: pure functions of arrays, compiled once per batch shape.

A step is written for one device. With several, each gets its share of the batch, and all that they
exchange is one sum of gradients and metrics (`Devices.sum`).
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import optax
from flax import traverse_util
from jax import Array

from cgatjax.config import TrainConfig
from cgatjax.model.losses import LOSSES, Loss
from cgatjax.model.metrics import ErrorSums, error_sums
from cgatjax.model.network import Network, compiled
from cgatjax.runtime.devices import Devices
from cgatjax.training.optimizer import (
    Labels,
    Optimizer,
    Packed,
    Params,
    Rates,
    combine,
    encoder_is_frozen,
    make_optimizer,
    partition,
    project_damping,
)

_NOT_COMPILED = {
    **{"baseline": None, "references": False},
    **{"seed": 0, "epochs": 0, "checkpoint_seconds": 0, "max_bad_steps": 0},
    **{"schedule": "constant", "cycle_period": None, "patience": None, "validate_every": 1},
}
"""Training options that no compiled function depends on."""
T = TypeVar("T")
Batch = Any
"""Anything with `targets` and `target_mask`: a `CrystalBatch`, or an `EmbeddingBatch`."""
Forward = Callable[[Params, Batch], dict[str, Array]]
"""Parameters and batch -> {target: (graphs, 2)}, normalized."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class TrainState:
    """State that a training step changes, arrays only.

    Attributes:
      step: () int32, optimizer steps done.
      params: {"encoder": …, "heads": …}.
      opt_state: optax state of packed leaves; frozen ones have none.
      skipped: () int32, steps that changed nothing because loss or gradient was not finite.
    """

    step: Array
    params: Params
    opt_state: optax.OptState
    skipped: Array


class StepMetrics(NamedTuple):
    """Sums of loss and errors over one or more steps; dividing comes last.

    Attributes:
      loss: sum of the losses of known values.
      n: number of known values.
      errors: target -> sums of the errors, in the target's unit.
    """

    loss: Array
    n: Array
    errors: dict[str, ErrorSums]


Scales = Mapping[str, tuple[Any, Any]]
"""Target -> (mean, std). A run-time value, so that trainings on other data share a program."""


class StepFunctions(NamedTuple):
    """Compiled functions of a training.

    Attributes:
      start: parameters -> state before the first step.
      train: state, placed batch, rates, scales -> new state, metrics. Reuses the state's memory.
      evaluate: parameters, placed batch, scales -> metrics.
      devices: of both.
    """

    start: Callable[[Params], TrainState]
    train: Callable[[TrainState, Batch, Rates, Scales], tuple[TrainState, StepMetrics]]
    evaluate: Callable[[Params, Batch, Scales], StepMetrics]
    devices: Devices


def step_functions(network: Network, config: TrainConfig, labels: Labels) -> StepFunctions:
    """Make the compiled functions of a training, or return those of an equal earlier one.

    Args:
      network: to be trained.
      config: loss, optimizer, devices.
      labels: "frozen" or a learning-rate group for every parameter.

    Raises:
      ConfigError: more devices than there are.
    """
    # Hashable, in the order of the parameters.
    flat = tuple(traverse_util.flatten_dict(labels, sep="/").items())
    return compiled(_make_functions, network, config.replace(**_NOT_COMPILED), flat)


def _make_functions(
    network: Network, config: TrainConfig, flat: tuple[tuple[str, str], ...]
) -> StepFunctions:
    labels: Labels = traverse_util.unflatten_dict(dict(flat), sep="/")
    optimizer = make_optimizer(config, labels)
    sums = MaskedLoss(forward_of(network, labels), LOSSES[config.loss])
    devices = Devices.choose(config.devices, config.device_mapping)
    return StepFunctions(
        start=lambda params: init_state(params, optimizer),
        train=make_train_step(sums, optimizer, labels, devices),
        evaluate=make_eval_step(sums, devices),
        devices=devices,
    )


def forward_of(network: Network, labels: Labels) -> Forward:
    """Choose the function for the batches of `input_pipeline.make_loaders`.

    The whole network on graphs, or the heads alone on cached embeddings.
    """
    if encoder_is_frozen(labels):
        return lambda params, batch: network.read_heads(params, batch.embedding)
    return network.apply


def init_state(params: Params, optimizer: Optimizer) -> TrainState:
    """Make the state before the first step."""
    # Two arrays: the step donates its state, and one buffer cannot be donated twice.
    step, skipped = jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32)
    # One program, instead of one for each operation and shape.
    opt_state = jax.jit(optimizer.init)(params)
    return TrainState(step=step, params=params, opt_state=opt_state, skipped=skipped)


@dataclass(frozen=True, eq=False)
class MaskedLoss:
    """Masked loss and errors of a batch as sums, for training and for validation.

    Each known value counts once, whatever its target (masked sum over masked count).

    Attributes:
      forward: parameters and batch -> normalized outputs.
      loss: element-wise, on normalized targets.
    """

    forward: Forward
    loss: Loss

    def __call__(self, params: Params, batch: Batch, scales: Scales) -> StepMetrics:
        """Sum over the batch."""
        outputs = self.forward(params, batch)
        total, count, errors = jnp.zeros(()), jnp.zeros(()), {}
        for name, output in outputs.items():
            mean, std = scales[name]
            target, mask = batch.targets[name], batch.target_mask[name]
            # An unknown value may be NaN, and 0 * NaN would reach the gradient.
            target = jnp.where(mask, target, mean)
            losses = self.loss(output, (target - mean) / std)
            total = total + jnp.where(mask, losses, 0).sum()
            count = count + mask.sum()
            prediction = jax.lax.stop_gradient(output[:, 0]) * std + mean
            errors[name] = error_sums(prediction, target, mask)
        return StepMetrics(total, count, errors)


def make_train_step(
    sums: MaskedLoss,
    optimizer: Optimizer,
    labels: Labels,
    devices: Devices = Devices(),  # noqa: B008 - frozen
) -> Callable[[TrainState, Batch, Rates, Scales], tuple[TrainState, StepMetrics]]:
    """Compile the training step: state, micro-batches, rates, scales -> new state, metrics.

    The batch's leaves have a leading axis of micro-batches, of which every device gets an equal
    share (`Devices.place`). Gradients of summed losses are added, over the micro-batches of a
    device and then once over the devices, and divided by the total count of known values, so that
    any division of a batch gives the same step. A non-finite loss or gradient, on whichever device,
    leaves the state as it was and is counted. The state's memory is reused: its argument must not
    be read afterwards.
    """

    def gradient(params: Params, batch: Batch, scales: Scales) -> tuple[StepMetrics, Params]:
        # Frozen leaves are constants here: nothing is differentiated with respect to them.
        trainable, frozen = partition(params, labels)

        def objective(trainable: Params) -> tuple[Array, StepMetrics]:
            metrics = sums(combine(trainable, frozen), batch, scales)
            return metrics.loss, metrics

        gradients, metrics = jax.grad(objective, has_aux=True)(trainable)
        return metrics, optimizer.pack(gradients)

    def step(
        state: TrainState, stack: Batch, extra: tuple[Rates, Scales]
    ) -> tuple[TrainState, StepMetrics]:
        rates, scales = extra
        summed = _sum_over_stack(lambda batch: gradient(state.params, batch, scales), stack)
        metrics, gradients = devices.sum(summed)  # the only exchange between devices
        scale = 1 / jnp.maximum(metrics.n, 1)  # a batch without known values moves nothing
        gradients = jax.tree.map(lambda g: g * scale.astype(g.dtype), gradients)
        finite = jnp.isfinite(metrics.loss) & _all_finite(gradients)
        # Unknown to XLA, being results of a `cond`, they let leaves of one shape share a kernel:
        # those of a copy from a known place, one for each leaf, take a third of the compile time.
        starts = optimizer.starts(state.params)
        kept = optimizer.pack(state.params), state.opt_state, starts

        def update() -> tuple[Packed, optax.OptState, dict[str, Any]]:
            return *optimizer.update(gradients, state.opt_state, kept[0], rates), starts

        packed, opt_state, starts = _updated_if(finite, update, kept, devices.platform)
        trainable, frozen = partition(optimizer.unpack(packed, starts, state.params), labels)
        new = TrainState(
            step=state.step + finite,
            params=combine(project_damping(trainable), frozen),
            opt_state=opt_state,
            skipped=state.skipped + ~finite,
        )
        return new, jax.tree.map(lambda m: jnp.where(finite, m, jnp.zeros_like(m)), metrics)

    run = devices.compile(step, donate=True)
    return lambda state, stack, rates, scales: run(state, stack, (rates, scales))


def _updated_if(finite: Array, update: Callable[[], T], kept: T, platform: str) -> T:
    """Return `update()` if `finite`, else `kept`, in the way that suits the platform."""
    if platform == "cpu":
        return jax.lax.cond(finite, update, lambda: kept)
    # A GPU's host would wait for the predicate of a `cond`.
    return jax.tree.map(functools.partial(jnp.where, finite), update(), kept)


def _all_finite(tree: Any) -> Array:
    """Check that all numbers and their squares are finite, in one pass over each leaf."""
    # NaN and infinity sort to the end. A sum instead is computed again by XLA for each leaf that
    # the flag selects: five times as many instructions, minutes to compile.
    return jnp.isfinite(jnp.sort(jnp.stack([jnp.vdot(x, x) for x in jax.tree.leaves(tree)]))[-1])


def make_eval_step(
    sums: MaskedLoss,
    devices: Devices = Devices(),  # noqa: B008 - frozen
) -> Callable[[Params, Batch, Scales], StepMetrics]:
    """Compile the sums of loss and errors over micro-batches, stacked as for `make_train_step`."""

    def evaluate(params: Params, stack: Batch, scales: Scales) -> StepMetrics:
        return devices.sum(_sum_over_stack(lambda batch: sums(params, batch, scales), stack))

    return devices.compile(evaluate)


def _sum_over_stack(function: Callable[[Batch], Any], stack: Batch) -> Any:
    """Sum a function of micro-batches over the leading axis, one of them at a time."""
    first = jax.tree.map(lambda x: x[0], stack)
    if jax.tree.leaves(stack)[0].shape[0] == 1:
        return function(first)

    def body(total: Any, batch: Batch) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, function(batch)), None

    # From zeros, so that the program holds the network once: a third less to compile.
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(function, first))
    return jax.lax.scan(body, zeros, stack)[0]
