"""One optimizer step as a pure function of arrays, compiled once per batch shape.

The step is written for one device. With several, each gets its part of the batch, and the only
thing they exchange is one sum of gradients and metrics (`Devices.sum`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from cgatjax.models.losses import Loss
from cgatjax.models.metrics import ErrorSums, error_sums
from cgatjax.models.normalizer import Normalizer
from cgatjax.runtime.devices import Devices
from cgatjax.training.optimizer import Labels, Params, Rates, combine, partition, project_damping

Batch = Any
"""Anything with `targets` and `target_mask`: a `CrystalBatch`, or cached embeddings."""
Forward = Callable[[Params, Batch], dict[str, Array]]
"""Parameters and batch -> {target: (graphs, 2)}, normalized."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class TrainState:
    """Everything that a step changes, arrays only.

    Attributes:
      step: () int32, optimizer steps done.
      params: {"encoder": …, "heads": …}.
      opt_state: optax state; frozen leaves have none.
      skipped: () int32, steps left out because loss or gradient was not finite.
    """

    step: Array
    params: Params
    opt_state: optax.OptState
    skipped: Array


class StepMetrics(NamedTuple):
    """Sums over one or more steps; dividing comes last.

    Attributes:
      loss: sum of the losses of known values.
      n: number of known values.
      errors: target -> sums of the errors, in the target's unit.
    """

    loss: Array
    n: Array
    errors: dict[str, ErrorSums]


Step = Callable[[TrainState, Batch, Rates], tuple[TrainState, StepMetrics]]


def init_state(params: Params, optimizer: optax.GradientTransformation) -> TrainState:
    """The state before the first step."""
    step, skipped = jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32)
    return TrainState(step=step, params=params, opt_state=optimizer.init(params), skipped=skipped)


@dataclass(frozen=True, eq=False)
class MaskedLoss:
    """The masked loss and errors of a batch as sums, for training and for validation.

    Each known value counts once, whatever its target (masked sum over masked count). Mean and std
    of the targets are arguments of what is compiled, not constants in it, so that runs which
    differ in nothing else share one compilation.

    Attributes:
      forward: parameters and batch -> normalized outputs.
      loss: element-wise, on normalized targets.
      scales: target -> (mean, std).
    """

    forward: Forward
    loss: Loss
    scales: Mapping[str, tuple[Any, Any]]

    def __call__(
        self, params: Params, batch: Batch, scales: Mapping[str, tuple[Any, Any]] | None = None
    ) -> StepMetrics:
        """Sums over the batch; `scales` stand in for the own ones where they are traced."""
        outputs = self.forward(params, batch)
        total, count, errors = jnp.zeros(()), jnp.zeros(()), {}
        for name, output in outputs.items():
            mean, std = (self.scales if scales is None else scales)[name]
            target, mask = batch.targets[name], batch.target_mask[name]
            target = jnp.where(mask, target, mean)  # what is unknown may be anything, even NaN
            losses = self.loss(output, (target - mean) / std)
            total = total + jnp.where(mask, losses, 0).sum()
            count = count + mask.sum()
            prediction = jax.lax.stop_gradient(output[:, 0]) * std + mean
            errors[name] = error_sums(prediction, target, mask)
        return StepMetrics(total, count, errors)


def make_loss(forward: Forward, loss: Loss, normalizers: Mapping[str, Normalizer]) -> MaskedLoss:
    """The loss of a network in terms of its targets' normalizers."""
    scales = {name: (n.mean, n.std) for name, n in normalizers.items()}
    return MaskedLoss(forward, loss, scales)


def make_train_step(
    sums: MaskedLoss,
    optimizer: optax.GradientTransformationExtraArgs,
    labels: Labels,
    devices: Devices = Devices(),  # noqa: B008 - frozen
    *,
    members: bool = False,
) -> Step:
    """Builds the compiled step: state, stacked micro-batches, rates -> new state, metrics.

    The batch's leaves have a leading axis of micro-batches, which every device gets an equal part
    of (see `Devices.place`). Gradients of summed losses are added, over the micro-batches of a
    device and then once over the devices, and divided by the total count of known values, so any
    division of a batch gives the same step. The frozen leaves are not differentiated. A non-finite
    loss or gradient, on whichever device, leaves the state as it was and is counted. The state's
    memory is reused: do not touch the argument afterwards.

    With `members`, the step of one device moves several runs at a time, each as it would move
    alone: the leaves of state, batch, rates and metrics have another leading axis, of the runs.
    """

    def gradient(params: Params, batch: Batch, scales: Any) -> tuple[StepMetrics, Params]:
        trainable, frozen = partition(params, labels)

        def objective(trainable: Params) -> tuple[Array, StepMetrics]:
            metrics = sums(combine(trainable, frozen), batch, scales)
            return metrics.loss, metrics

        gradients, metrics = jax.grad(objective, has_aux=True)(trainable)
        return metrics, gradients

    def step(
        state: TrainState, stack: Batch, extra: tuple[Rates, Any]
    ) -> tuple[TrainState, StepMetrics]:
        rates, scales = extra
        summed = _sum_over_stack(lambda batch: gradient(state.params, batch, scales), stack)
        metrics, gradients = devices.sum(summed)
        scale = 1 / jnp.maximum(metrics.n, 1)
        gradients = jax.tree.map(lambda g: g * scale.astype(g.dtype), gradients)
        finite = jnp.isfinite(metrics.loss) & _all_finite(gradients)
        trainable, frozen = partition(state.params, labels)
        zeros = jax.tree.map(jnp.zeros_like, frozen)

        def update() -> tuple[Params, optax.OptState]:
            updates, opt_state = optimizer.update(
                combine(gradients, zeros), state.opt_state, state.params, rates=rates
            )
            changes = partition(updates, labels)[0]
            return project_damping(optax.apply_updates(trainable, changes)), opt_state

        trainable, opt_state = jax.lax.cond(finite, update, lambda: (trainable, state.opt_state))
        new = TrainState(
            step=state.step + finite,
            params=combine(trainable, frozen),
            opt_state=opt_state,
            skipped=state.skipped + ~finite,
        )
        return new, jax.tree.map(lambda m: jnp.where(finite, m, jnp.zeros_like(m)), metrics)

    function = jax.vmap(step, in_axes=(0, 0, (0, None))) if members else step
    compiled = devices.compile(function, donate=True)
    return lambda state, stack, rates: compiled(state, stack, (rates, sums.scales))


def _all_finite(tree: Any) -> Array:
    """Whether all numbers are finite, and their squares, in one pass over each leaf."""
    return jnp.isfinite(sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(tree)))


def make_eval_step(
    sums: MaskedLoss,
    devices: Devices = Devices(),  # noqa: B008 - frozen
) -> Callable[[Params, Batch], StepMetrics]:
    """Builds the compiled sums of loss and errors over stacked batches, as `make_train_step`'s."""

    def evaluate(params: Params, stack: Batch, scales: Any) -> StepMetrics:
        return devices.sum(_sum_over_stack(lambda batch: sums(params, batch, scales), stack))

    compiled = devices.compile(evaluate)
    return lambda params, stack: compiled(params, stack, sums.scales)


def _sum_over_stack(function: Callable[[Batch], Any], stack: Batch) -> Any:
    """Adds up a function of micro-batches along the leading axis, one of them at a time."""
    first = function(jax.tree.map(lambda x: x[0], stack))
    if jax.tree.leaves(stack)[0].shape[0] == 1:
        return first

    def body(total: Any, batch: Batch) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, function(batch)), None

    return jax.lax.scan(body, first, jax.tree.map(lambda x: x[1:], stack))[0]
