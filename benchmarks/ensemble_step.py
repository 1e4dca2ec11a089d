"""Training steps of an ensemble: the members one after another, and all in one `vmap`ped step.

    python -m benchmarks.ensemble_step --store pbe.store --target e-form --members 4

Prints the best time of some steps, the time of the first, which compiles, and the largest
difference between the weights that both ways arrive at.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import cgatjax as cg
from cgatjax.data.loader import BatchLoader, shuffled
from cgatjax.models.losses import LOSSES
from cgatjax.training.optimizer import make_optimizer
from cgatjax.training.train_step import init_state, make_loss, make_train_step
from cgatjax.training.transfer_params import TRAINED, label_parameters

STEPS = 6


class Vmapped:
    """Stands in for `Devices`: compiles a step for members stacked along the first axis."""

    def sum(self, tree: Any) -> Any:
        """One device: there is nothing to add up."""
        return tree

    def compile(self, function: Callable[..., Any], *, donate: bool = False) -> Any:
        """As of `Devices`, with members in the first and second argument."""
        mapped = jax.vmap(function, in_axes=(0, 0, None))
        return jax.jit(mapped, donate_argnums=(0,) if donate else ())


def timed(move: Callable[[int], Any], number: int) -> float:
    """Seconds of a step."""
    begin = time.perf_counter()
    jax.block_until_ready(move(number))
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--members", type=int, default=4)
    options = parser.parse_args()
    store = cg.open_store(options.store)
    train = store.split(seed=0)[0]
    config = cg.TrainConfig(loss="robust_l1")
    seeds = range(options.members)
    network = cg.ModelConfig.small()
    models = [cg.init_model(network, store, target=options.target, seed=s) for s in seeds]
    scales = {options.target: cg.Normalizer.fit(train.target(options.target))}
    labels = label_parameters(models[0].params, [("*", TRAINED)])
    optimizer = make_optimizer(config, labels)
    loader = BatchLoader(train, (options.target,), config.batch_size)
    budget = max(loader.budgets)
    batches = [
        [
            jax.tree.map(lambda x: x[None], loader.load(planned._replace(budget=budget)))
            for planned in loader.plan(shuffled(len(train), seed, 0))[:STEPS]
        ]
        for seed in seeds
    ]
    loss = make_loss(models[0].forward, LOSSES[config.loss], scales)
    rates = {TRAINED: np.float32(1)}
    starts = [lambda m=m: init_state(jax.tree.map(jnp.array, m.params), optimizer) for m in models]

    alone, step = [start() for start in starts], make_train_step(loss, optimizer, labels)

    def one_after_another(number: int) -> Any:
        for seed in seeds:
            alone[seed] = step(alone[seed], batches[seed][number], rates)[0]
        return alone

    def stacked(trees: list[Any]) -> Any:
        return jax.tree.map(lambda *x: jnp.stack(x), *trees)

    together = [stacked([start() for start in starts])]
    vmapped = make_train_step(loss, optimizer, labels, Vmapped())  # type: ignore[arg-type]

    def side_by_side(number: int) -> Any:
        batch = stacked([batches[seed][number] for seed in seeds])
        together[0] = vmapped(together[0], batch, rates)[0]
        return together

    ways = {"one after another": one_after_another, "vmap": side_by_side}
    # In turn, so that both meet whatever else the machine does.
    seconds = [
        {name: timed(move, number) for name, move in ways.items()} for number in range(STEPS)
    ]
    for name in ways:
        first, *later = (step[name] for step in seconds)
        print(
            f"{name}: {min(later):.3f} s a step of {options.members} members, first {first:.1f} s"
        )
    pairs = zip(
        jax.tree.leaves(stacked(alone).params), jax.tree.leaves(together[0].params), strict=True
    )
    print(
        f"largest difference of a weight: {max(float(jnp.abs(a - b).max()) for a, b in pairs):.1e}"
    )


if __name__ == "__main__":
    main()
