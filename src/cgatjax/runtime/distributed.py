"""Processes of one training on several hosts: joining, agreeing to stop, sharing a saved state."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
from jax.experimental.multihost_utils import broadcast_one_to_all, reached_preemption_sync_point

from cgatjax.errors import ConfigError, TrainingError

HEARTBEAT_SECONDS = 30
"""A process that has not been heard of for so long is taken for dead."""
SHUTDOWN_SECONDS = 60
"""How long a process that is done, or has failed, waits for the others."""


def initialize(
    coordinator: str | None = None, num_processes: int | None = None, process_id: int | None = None
) -> bool:
    """Joins this process to the others of a run; the first thing that a program does with JAX.

    Args:
      coordinator: "HOST:PORT" of process 0; "auto" for what SLURM, Open MPI, a TPU pod or
        Kubernetes say, which also number the processes. None takes JAX_COORDINATOR_ADDRESS,
        JAX_NUM_PROCESSES and JAX_PROCESS_ID of the environment.
      num_processes: how many processes there are.
      process_id: 0 <= this one < num_processes.

    Returns:
      Whether there is anything to join: False if no coordinator is named.

    Raises:
      ConfigError: half a description, or JAX has already computed something.
      TrainingError: the others did not come within five minutes.
    """
    coordinator = coordinator or os.environ.get("JAX_COORDINATOR_ADDRESS")
    num_processes = _number("num_processes", num_processes, "JAX_NUM_PROCESSES")
    process_id = _number("process_id", process_id, "JAX_PROCESS_ID")
    given = (coordinator, num_processes, process_id)
    if coordinator is None and num_processes is None and process_id is None:
        return False
    if coordinator != "auto":
        _check_description(*given)
    try:
        jax.distributed.initialize(
            coordinator_address=None if coordinator == "auto" else coordinator,
            num_processes=num_processes,
            process_id=process_id,
            cluster_detection_method=None if coordinator == "auto" else "deactivate",
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=SHUTDOWN_SECONDS,
        )
    except jax.errors.JaxRuntimeError as error:
        raise TrainingError(
            f"expected {num_processes} processes to meet at {coordinator}, they did not: "
            f"{_first_line(error)}; check that all were started and can reach that address"
        ) from error
    except (RuntimeError, ValueError) as error:
        raise ConfigError(f"cannot join a run of several processes: {error}") from error
    return True


def several_processes() -> bool:
    """Whether `initialize` has joined this process to others."""
    return jax.process_count() > 1


def is_first_process() -> bool:
    """Whether this process is the one that writes what all have in common."""
    return jax.process_index() == 0


def stop_is_agreed(count: int) -> bool:
    """Whether a process was sent SIGTERM, and all have now come to the same point.

    To be called by every process at the same points with the same, growing counts. The processes
    agree in the background on a point that none has passed; no step waits for it. With a single
    process there is nothing to agree on, and it is False.
    """
    return several_processes() and reached_preemption_sync_point(count)


def restored_by_first(
    found: tuple[Any, dict[str, Any]] | None, like: Any
) -> tuple[Any, dict[str, Any]] | None:
    """What the first process has read from the run folder, on all processes.

    Args:
      found: on the first process: arrays and plain values, None if there was nothing to read.
      like: a tree of arrays with the shapes and dtypes of the found ones.
    """
    if not several_processes():
        return found
    text = json.dumps(None if found is None else found[1]).encode()
    values = json.loads(_bytes_of_first(text).decode())
    if values is None:
        return None
    arrays = found[0] if found is not None else jax.tree.map(np.asarray, like)

    def shared(array: Any) -> np.ndarray:
        array = np.asarray(array)
        return np.frombuffer(_bytes_of_first(array.tobytes()), array.dtype).reshape(array.shape)

    return jax.tree.map(shared, arrays), values


def _bytes_of_first(content: bytes) -> bytes:
    """The bytes that the first process has; integers, so that no bit of them changes on the way."""
    size = int(broadcast_one_to_all(np.int32(len(content))))
    own = np.frombuffer(content, np.uint8) if is_first_process() else np.zeros(size, np.uint8)
    return np.asarray(broadcast_one_to_all(own)).tobytes()


@contextmanager
def naming_lost_processes() -> Iterator[None]:
    """Turns the runtime's error after the loss of another process into a TrainingError.

    Where a collective operation does not return at all, the runtime ends the program by itself
    after `HEARTBEAT_SECONDS`, with the name of the lost process (docs/scaling.md).
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if not several_processes():
            raise
        raise TrainingError(
            f"process {jax.process_index()} of {jax.process_count()} lost contact with another "
            f"one: {_first_line(error)}; look at the others' output for the cause, start all of "
            "them again with --resume"
        ) from error


def _number(name: str, given: int | None, variable: str) -> int | None:
    text = os.environ.get(variable)
    if given is not None or text is None:
        return given
    if not text.isdecimal():
        raise ConfigError(f"{variable}: expected {name} as a whole number, got {text!r}")
    return int(text)


def _check_description(
    coordinator: str | None, num_processes: int | None, process_id: int | None
) -> None:
    if coordinator is None or num_processes is None or process_id is None:
        raise ConfigError(
            "several processes need coordinator (HOST:PORT), num_processes and process_id, got "
            f"{coordinator!r}, {num_processes!r}, {process_id!r}; give all three, or 'auto' as "
            "coordinator under SLURM, Open MPI or on a TPU pod"
        )
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigError(f"coordinator: expected HOST:PORT, got {coordinator!r}")
    if not 0 <= process_id < num_processes:
        raise ConfigError(
            f"process_id: expected 0 <= process_id < {num_processes}, got {process_id}"
        )


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]
