"""Training step on one batch with fixed scales, for the benchmarks that time it."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cgatjax.config import TrainConfig
from cgatjax.model.losses import LOSSES
from cgatjax.training.optimizer import make_optimizer
from cgatjax.training.train_step import MaskedLoss, StepMetrics, init_state, make_train_step
from cgatjax.training.transfer_params import TRAINED, label_parameters

EVERYTHING = (("*", TRAINED),)


def repeated_step(
    forward: Callable[[Any, Any], dict[str, jax.Array]],
    params: Any,
    batch: Any,
    rules: Sequence[tuple[str, str]] = EVERYTHING,
    config: TrainConfig = TrainConfig(),  # noqa: B008 - frozen
) -> Callable[[], StepMetrics]:
    """Compile a training step; each call of the result updates the weights once.

    Args:
      forward: function of parameters and batch that returns {target: (graphs, 2)}.
      params: initial parameters.
      batch: padded batch with targets.
      rules: (pattern, label) pairs of trained and frozen parameters.
      config: optimizer options.
    """
    labels = label_parameters(params, rules)
    optimizer = make_optimizer(config, labels)
    step = make_train_step(MaskedLoss(forward, LOSSES["l1"]), optimizer, labels)
    stack = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], batch)
    scales = dict.fromkeys(batch.targets, (0.0, 1.0))
    state = init_state(jax.tree.map(jnp.array, params), optimizer)

    def advance() -> StepMetrics:
        nonlocal state
        state, metrics = step(state, stack, {TRAINED: np.float32(1)}, scales)
        return metrics

    return advance
