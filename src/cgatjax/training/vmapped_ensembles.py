"""Runs that differ in seeds and weights alone, moved together by one compiled step.

The step is `vmap`ped over the runs, each on batches of its own, so that a device that one small
network leaves idle is kept busy. Every run ends with the weights that it would have alone, up to
the rounding of sums in another order. Validation, histories and states are those of each run, so
runs that were stopped together may go on alone, and the other way round.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cgatjax.errors import ConfigError, Interrupted
from cgatjax.models.model import Model
from cgatjax.runtime.progress import progress
from cgatjax.runtime.signals import stop_requests
from cgatjax.training.history import History
from cgatjax.training.trainer import Trainer


def train_side_by_side(
    trainers: Sequence[Trainer], *, show_progress: bool = False
) -> list[tuple[Model, History]]:
    """Trains runs to their last epochs, and returns each one's best model and history.

    Args:
      trainers: before their first step or resumed, on one device; closed in the end.
      show_progress: one progress bar for all on standard error.

    Raises:
      ConfigError: runs that differ in more than seeds and weights, or on several devices.
      Interrupted: a signal asked to stop; all runs can be resumed.
      TrainingError: as `fit`, for any of the runs.
    """
    epochs = trainers[0].config.epochs
    try:
        _check_alike(trainers)
        with (
            stop_requests(trainers[0].run is not None) as stop,
            progress("train", epochs, shown=show_progress) as advance,
        ):
            for trainer in trainers:
                trainer.stop = stop
            _catch_up(trainers)
            advance(trainers[0].epoch, "")
            while trainers[0].epoch < epochs:
                advance(1, _epoch(trainers))
        return [trainer.finish() for trainer in trainers]
    finally:
        for trainer in trainers:
            trainer.close()


def _check_alike(trainers: Sequence[Trainer]) -> None:
    first = trainers[0]
    if first.config.devices > 1 or first.devices.mapping != "jit":
        raise ConfigError("runs side by side share one device; train one after another on several")
    for number, other in enumerate(trainers[1:], 1):
        if other.compiled is not first.compiled or other.config.epochs != first.config.epochs:
            raise ConfigError(
                f"run {number} differs from run 0 in more than its seed and weights; "
                "train one after another"
            )


def _catch_up(trainers: Sequence[Trainer]) -> None:
    """Brings all runs to the beginning of the same epoch, those that are behind by themselves."""
    together = max(t.epoch + (t.position > 0) for t in trainers)
    for trainer in trainers:
        while trainer.epoch < together:
            trainer.run_epoch()


def _epoch(trainers: Sequence[Trainer]) -> str:
    """An epoch of all runs; the note of the first one.

    Epochs may differ by a step in length, because batches end where they are full: the longer ones
    are finished by themselves.
    """
    rates = [trainer.epoch_rates() for trainer in trainers]
    try:
        _steps(trainers, rates)
        notes = [t.finish_epoch(r) for t, r in zip(trainers, rates, strict=True)]
        return notes[0]
    except Interrupted:
        for trainer in trainers:
            trainer.save()
        raise


def _steps(trainers: Sequence[Trainer], rates: Sequence[Mapping[str, Any]]) -> None:
    """The steps that all runs have in this epoch, or those before a signal."""
    first, all_rates = trainers[0], _stacked_on_host(rates)
    state = _stacked([trainer.state for trainer in trainers])
    first.clock.book("wait")
    feeds = [trainer.feed() for trainer in trainers]
    for fed in zip(*feeds, strict=False):
        first.clock.book("step")
        batch = _stacked([one.batch for one in fed])
        state, metrics = first.compiled.step_together(state, batch, all_rates)
        for number, (trainer, one) in enumerate(zip(trainers, fed, strict=True)):
            trainer.note_step(one, state.skipped[number], _member(metrics, number))
        if first.stop.signum is not None:
            break
        if first.is_due():
            _hand_back(trainers, state)
            for trainer in trainers:
                trainer.save()
        first.clock.book("wait")
    _hand_back(trainers, state)
    first.stop_if_asked()


def _hand_back(trainers: Sequence[Trainer], state: Any) -> None:
    """Gives every run its own state again."""
    for number, trainer in enumerate(trainers):
        trainer.state = _member(state, number)


@jax.jit
def _stacked(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def _stacked_on_host(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def _member(tree: Any, number: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[number], tree)
