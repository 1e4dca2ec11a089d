"""Optimizers over a full parameter tree of which only some leaves are trained.

Labels decide: every leaf is labeled "frozen" or with a learning-rate group. Clipping, moments,
weight decay and rates live inside the trainable branch of `optax.multi_transform`, so that frozen
leaves get no update and no memory, and do not count in the norm of the gradient.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from cgatjax.config import TrainConfig

FROZEN = "frozen"
LARGE = 100_000
"""Leaves of more numbers than this are updated on their own."""
Params = Any
Labels = Any
Rates = Mapping[str, Any]
"""Learning-rate factor of each group, the schedule included: a run-time value."""


def make_optimizer(config: TrainConfig, labels: Labels) -> optax.GradientTransformationExtraArgs:
    """Make the configured optimizer for the leaves that are not labeled "frozen".

    Its `update` takes a keyword `rates`: {group: factor}, for every group among the labels.

    Args:
      config: optimizer, peak learning rate, weight decay, clipping.
      labels: tree like the parameters, "frozen" or a group name at each leaf.
    """
    # Groups of learning rates share one branch: the clipping norm is that of all trained leaves.
    branches = jax.tree.map(lambda label: FROZEN if label == FROZEN else "trained", labels)
    rule = optax.chain(_rule(config), optax.scale(-config.learning_rate))
    if config.optimizer != "lamb":  # LAMB scales by the norm of each layer
        rule = _small_leaves_together(rule)
    clip = optax.clip_by_global_norm(config.clip_norm) if config.clip_norm else optax.identity()
    # Rates come last: the moments of Adam are those of the gradient, whatever the schedule.
    trained = optax.chain(_mask_standing(labels), clip, rule, _scale_by_rates(labels))
    return optax.multi_transform({"trained": trained, FROZEN: optax.set_to_zero()}, branches)


def _small_leaves_together(rule: optax.GradientTransformation) -> optax.GradientTransformation:
    """Apply an element-wise rule to all small leaves concatenated, and to each large leaf in place.

    Compiling hundreds of small updates is slow; concatenating large ones copies them twice.
    """

    def kinds(params: Params) -> Any:
        return jax.tree.map(lambda p: "large" if p.size > LARGE else "small", params)

    def init(params: Params) -> optax.OptState:
        return rule.init(ravel_pytree(params)[0])

    def update(updates: Any, state: optax.OptState, params: Params) -> tuple[Any, optax.OptState]:
        vector, restored = ravel_pytree(updates)
        vector, state = rule.update(vector, state, ravel_pytree(params)[0])
        return restored(vector), state

    together = optax.GradientTransformation(init, update)
    return optax.multi_transform({"small": together, "large": rule}, kinds)


def _rule(config: TrainConfig) -> optax.GradientTransformation:
    """Make the update direction; epsilons and the place of weight decay are torch's."""
    decay = optax.add_decayed_weights(config.weight_decay)
    if config.optimizer == "adamw":
        return optax.chain(optax.scale_by_adam(), decay)
    # torch's Adam and SGD add the decay to the gradient (L2), AdamW and LAMB decouple it.
    if config.optimizer == "adam":
        return optax.chain(decay, optax.scale_by_adam())
    if config.optimizer == "sgd":
        return optax.chain(decay, optax.trace(config.momentum))
    return optax.chain(optax.scale_by_adam(eps=1e-6), decay, optax.scale_by_trust_ratio())


def _mask_standing(labels: Labels) -> optax.GradientTransformationExtraArgs:
    """Set gradients to zero where the rate is zero: neither norm nor moments count them.

    A single group never stands still while others move, so that nothing is done for it.
    """
    if len(groups(labels)) < 2:
        return optax.with_extra_args_support(optax.identity())
    return _scale_by(labels, lambda rate: rate != 0)


def _scale_by_rates(labels: Labels) -> optax.GradientTransformationExtraArgs:
    """Multiply each leaf's update by the factor of its group."""
    return _scale_by(labels, lambda rate: rate)


def _scale_by(
    labels: Labels, weight: Callable[[Any], Any]
) -> optax.GradientTransformationExtraArgs:
    """Multiply each leaf by a function of its group's rate."""

    def is_masked(node: Any) -> bool:
        return isinstance(node, optax.MaskedNode)

    def update(
        updates: Any, state: optax.EmptyState, params: Any = None, *, rates: Rates, **_: Any
    ) -> tuple[Any, optax.EmptyState]:
        def scaled(leaf: Any, label: str) -> Any:
            return leaf if is_masked(leaf) else leaf * jnp.asarray(weight(rates[label]), leaf.dtype)

        return jax.tree.map(scaled, updates, labels, is_leaf=is_masked), state

    return optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)


def partition(params: Params, labels: Labels) -> tuple[Params, Params]:
    """Split parameters into (trainable, frozen), each with None in the other's places."""
    # None is an empty subtree to JAX: `jax.grad` and optax pass over it.
    trainable = jax.tree.map(lambda p, label: None if label == FROZEN else p, params, labels)
    frozen = jax.tree.map(lambda p, label: p if label == FROZEN else None, params, labels)
    return trainable, frozen


def combine(trainable: Params, frozen: Params) -> Params:
    """Join the two trees of `partition`."""
    return jax.tree.map(
        lambda a, b: b if a is None else a, trainable, frozen, is_leaf=lambda x: x is None
    )


def project_damping(params: Params) -> Params:
    """Clip every damping to [0, 1], to be called after each optimizer step.

    The reference clamps the weights in place before each forward pass and lets gradients pass: a
    projection, not a clip inside the loss.
    """

    def projected(path: tuple[Any, ...], leaf: Any) -> Any:
        return jnp.clip(leaf, 0, 1) if path[-1] == jax.tree_util.DictKey("damping") else leaf

    return jax.tree_util.tree_map_with_path(projected, params)


def groups(labels: Labels) -> tuple[str, ...]:
    """List the learning-rate groups among labels."""
    return tuple(sorted(set(jax.tree.leaves(labels)) - {FROZEN}))


def encoder_is_frozen(labels: Labels) -> bool:
    """True if only heads are trained, so that embeddings need computing once."""
    return set(jax.tree.leaves(labels["encoder"])) == {FROZEN}
