"""Forward passes of networks whose outputs a prediction needs."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from cgatjax.model.model import Model
from cgatjax.model.network import Method

Outputs = Mapping[str, np.ndarray]
"""Output of a method of `Network` -> (crystals, ...)."""


class Pass(NamedTuple):
    """Forward pass that a prediction needs: a method of a model's network."""

    model: Model
    method: Method


def distinct(passes: Sequence[Pass]) -> tuple[list[Pass], list[int]]:
    """Find the passes that differ: parts of an adapted model often read the same network.

    Returns:
      The distinct passes, and for each pass its number among them.
    """
    run, numbers = list[Pass](), list[int]()
    for own in passes:
        number = next((k for k, other in enumerate(run) if _equal(own, other)), len(run))
        if number == len(run):
            run.append(own)
        numbers.append(number)
    return run, numbers


def _equal(one: Pass, other: Pass) -> bool:
    if (one.method, one.model.network) != (other.method, other.model.network):
        return False
    # Leaf by leaf: those of other networks differ from the first one on.
    leaves = (jax.tree.leaves(each.model.params) for each in (one, other))
    return all(np.array_equal(a, b) for a, b in zip(*leaves, strict=True))
