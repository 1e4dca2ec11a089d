"""Optimizers over a full parameter tree of which only some leaves are trained.

Labels decide: every leaf is labeled "frozen" or with a learning-rate group. Frozen leaves are not
packed for the optimizer, so that they get no update and no memory, and do not count in the norm of
the gradient.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import traverse_util
from jax import Array

from cgatjax.config import TrainConfig

FROZEN = "frozen"
LARGE = 100_000
"""Leaves of more numbers than this are updated on their own."""
SMALL = "small leaves"
"""Name of the vector of all other leaves of a group."""
Params = Any
Labels = Any
Packed = dict[str, dict[str, Array]]
"""Group -> name -> array."""
Rates = Mapping[str, Any]
"""Learning-rate factor of each group, the schedule included: a run-time value."""


@dataclass(frozen=True, eq=False)
class Optimizer:
    """Optimizer of the leaves of a parameter tree that are not labeled "frozen".

    It works on packed leaves, {group: {name: array}}. The small leaves of a learning-rate group are
    one vector, so that few instructions are compiled; a large one, which concatenating would copy
    twice, stays on its own.

    Attributes:
      rule: optax transformation of packed gradients, with a keyword `rates`.
      labels: "frozen" or a learning-rate group at each leaf.
      layerwise: True for a rule that treats each leaf apart; all are then on their own.
    """

    rule: optax.GradientTransformationExtraArgs
    labels: Labels
    layerwise: bool

    def init(self, params: Params) -> optax.OptState:
        """Make the state before the first step."""
        return self.rule.init(self.pack(params))

    def update(
        self, gradients: Packed, state: optax.OptState, params: Packed, rates: Rates
    ) -> tuple[Packed, optax.OptState]:
        """Update packed parameters, given packed gradients and the factor of every group."""
        updates, state = self.rule.update(gradients, state, params, rates=rates)
        updated: Any = optax.apply_updates(params, updates)
        return updated, state

    def pack(self, tree: Params) -> Packed:
        """Pack a tree like the parameters; its frozen leaves are not read."""
        leaves = traverse_util.flatten_dict(dict(tree), sep="/")

        def packed(name: str, paths: Sequence[str]) -> Array:
            if name != SMALL:
                return leaves[name]
            return jnp.concatenate([jnp.ravel(leaves[path]) for path in paths])

        return {
            group: {name: packed(name, paths) for name, paths in names.items()}
            for group, names in self._places(leaves).items()
        }

    def starts(self, tree: Params) -> dict[str, int]:
        """Map each small leaf of a tree like the parameters to its start in the packed vector."""
        leaves, starts = traverse_util.flatten_dict(dict(tree), sep="/"), dict[str, int]()
        for names in self._places(leaves).values():
            paths = names.get(SMALL, [])
            sizes = [jnp.size(leaves[path]) for path in paths]
            starts |= zip(paths, itertools.accumulate(sizes, initial=0), strict=False)
        return starts

    def unpack(self, packed: Packed, starts: Mapping[str, Any], like: Params) -> Params:
        """Undo `pack`, with the shapes and the frozen leaves of another tree."""
        leaves = traverse_util.flatten_dict(dict(like), sep="/")
        for group, names in self._places(leaves).items():
            for name, paths in names.items():
                array = packed[group][name]
                for path in paths:
                    shape, size = jnp.shape(leaves[path]), jnp.size(leaves[path])
                    if name == SMALL:
                        part = jax.lax.dynamic_slice(array, (starts[path],), (size,))
                        leaves[path] = part.reshape(shape)
                    else:
                        leaves[path] = array
        return traverse_util.unflatten_dict(leaves, sep="/")

    def _places(self, leaves: Mapping[str, Any]) -> dict[str, dict[str, list[str]]]:
        """Map groups to the names of their arrays, and these to paths of leaves."""
        places: dict[str, dict[str, list[str]]] = {}
        for path, group in traverse_util.flatten_dict(dict(self.labels), sep="/").items():
            if group != FROZEN:
                is_large = self.layerwise or jnp.size(leaves[path]) > LARGE
                name = path if is_large else SMALL
                places.setdefault(group, {}).setdefault(name, []).append(path)
        return places


def make_optimizer(config: TrainConfig, labels: Labels) -> Optimizer:
    """Make the configured optimizer for the leaves that are not labeled "frozen".

    Args:
      config: optimizer, peak learning rate, weight decay, clipping.
      labels: tree like the parameters, "frozen" or a group name at each leaf.
    """
    clip = optax.clip_by_global_norm(config.clip_norm) if config.clip_norm else optax.identity()
    scale = optax.scale(-config.learning_rate)
    # Rates come last: the moments of Adam are those of the gradient, whatever the schedule.
    rule = optax.chain(_mask_standing(labels), clip, _rule(config), scale, _scale_by_rates())
    # LAMB scales by the norm of each layer.
    return Optimizer(rule=rule, labels=labels, layerwise=config.optimizer == "lamb")


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
    return _scale_by(lambda rate: rate != 0)


def _scale_by_rates() -> optax.GradientTransformationExtraArgs:
    """Multiply updates by the factor of their group."""
    return _scale_by(lambda rate: rate)


def _scale_by(weight: Callable[[Any], Any]) -> optax.GradientTransformationExtraArgs:
    """Multiply packed leaves by a function of their group's rate."""

    def update(
        updates: Packed, state: optax.EmptyState, params: Any = None, *, rates: Rates, **_: Any
    ) -> tuple[Packed, optax.EmptyState]:
        def scaled(leaf: Array, factor: Any) -> Array:
            return leaf * jnp.asarray(factor, leaf.dtype)

        weights = {group: weight(rates[group]) for group in updates}
        return {
            group: {name: scaled(leaf, weights[group]) for name, leaf in leaves.items()}
            for group, leaves in updates.items()
        }, state

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
