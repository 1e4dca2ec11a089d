"""Training with several processes: start, agreement to stop, broadcast of checkpoints."""

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
"""A process without a heartbeat for this long is considered lost."""
SHUTDOWN_SECONDS = 60
"""Time that a finished or failed process waits for the others."""


def initialize(
    coordinator: str | None = None, num_processes: int | None = None, process_id: int | None = None
) -> bool:
    """Join this process to the others of a run, before any other use of JAX.

    Args:
      coordinator: "HOST:PORT" of process 0; "auto" to ask SLURM, Open MPI, a TPU pod or
        Kubernetes, also for the other two. None reads JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES
        and JAX_PROCESS_ID of the environment.
      num_processes: number of processes.
      process_id: index of this process, 0 <= process_id < num_processes.

    Returns:
      True if there are processes to join; False without a coordinator.

    Raises:
      ConfigError: an argument is missing, or JAX has already computed something.
      TrainingError: the others did not connect within five minutes.
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
            f"expected {num_processes} processes to connect to {coordinator}: "
            f"{_first_line(error)}; check that all were started and can reach that address"
        ) from error
    except (RuntimeError, ValueError) as error:
        raise ConfigError(f"cannot join a run of several processes: {error}") from error
    return True


def several_processes() -> bool:
    """True if `initialize` has joined this process to others."""
    return jax.process_count() > 1


def is_first_process() -> bool:
    """True for the process that writes the files of the run."""
    return jax.process_index() == 0


def stop_is_agreed(count: int) -> bool:
    """True if a process has received SIGTERM and all are at the agreed point.

    Every process must call it at the same points with the same, increasing counts. The processes
    agree in the background on a point that none has passed; no step waits for it. Always False
    with a single process.
    """
    return several_processes() and reached_preemption_sync_point(count)


def broadcast_restored(
    found: tuple[Any, dict[str, Any]] | None, like: Any
) -> tuple[Any, dict[str, Any]] | None:
    """Broadcast a training checkpoint, or its absence, from the first process to all.

    `like` is a tree of arrays with the shapes and dtypes of the checkpoint's.
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
    """Broadcast bytes from the first process."""
    # As integers: a sum over processes of floats would turn -0.0 to 0.0 and could change NaNs.
    size = int(broadcast_one_to_all(np.int32(len(content))))
    own = np.frombuffer(content, np.uint8) if is_first_process() else np.zeros(size, np.uint8)
    return np.asarray(broadcast_one_to_all(own)).tobytes()


@contextmanager
def lost_process_errors() -> Iterator[None]:
    """Turn JAX's error after the loss of another process into a TrainingError.

    If a collective operation does not return at all, JAX's runtime ends the program after
    `HEARTBEAT_SECONDS`, with the name of the lost process (docs/scaling.md).
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if not several_processes():
            raise
        raise TrainingError(
            f"process {jax.process_index()} of {jax.process_count()} lost contact with another "
            f"one: {_first_line(error)}; see the others' output for the cause, and start all of "
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
