"""Several devices and several hosts: the only place that knows of more than one device.

A computation is written for one device, as a function of something replicated (weights, training
state) and of a stack of batches. `Devices` compiles it: every device gets an equal part of the
stack, and `Devices.sum` inside the function adds up over all of them. Programs differ in nothing
else, whether they run on one device, on all of a machine, or on many machines that have called
`initialize`.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.multihost_utils import broadcast_one_to_all, reached_preemption_sync_point
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from cgatjax.errors import ConfigError, TrainingError

AXIS = "devices"
DETERMINISTIC = "--xla_gpu_deterministic_ops=true"
HEARTBEAT_SECONDS = 30
"""A process that has not been heard of for so long is taken for dead."""
SHUTDOWN_SECONDS = 60
"""How long a process that is done, or has failed, waits for the others."""
T = TypeVar("T")


@dataclass(frozen=True)
class Devices:
    """The devices of a run, and how a computation is spread over them.

    Attributes:
      way: "jit" (one device), "shard_map" (one program over a mesh) or "pmap" (one per device).
      devices: all devices of all processes, those of a process side by side; none stands for
        JAX's default device.
    """

    way: Literal["jit", "shard_map", "pmap"] = "jit"
    devices: tuple[jax.Device, ...] = ()

    @classmethod
    def choose(cls, count: int = 1, way: Literal["shard_map", "pmap"] = "shard_map") -> Self:
        """The first `count` devices; 1 with "shard_map" is the ordinary `jax.jit`.

        Raises:
          ConfigError: there are fewer, or several processes are to leave devices idle.
        """
        if not several_processes() and count == 1 and way == "shard_map":
            return cls()
        found = sorted(jax.devices(), key=lambda d: (d.process_index, d.id))
        if count > len(found):
            raise ConfigError(
                f"devices: expected at most the {len(found)} {found[0].platform} devices there "
                f"are, got {count}"
            )
        if several_processes() and count != len(found):
            raise ConfigError(
                f"devices: {jax.process_count()} processes use all of their {len(found)} devices; "
                f"expected {len(found)}, got {count}"
            )
        if len(set(Counter(d.process_index for d in found[:count]).values())) > 1:
            raise ConfigError(f"devices: expected as many on every process, got {found}")
        return cls(way, tuple(found[:count]))

    @property
    def count(self) -> int:
        """Devices of all processes."""
        return max(len(self.devices), 1)

    @property
    def processes(self) -> int:
        """Processes that take part."""
        return len({d.process_index for d in self.devices}) or 1

    @property
    def process(self) -> int:
        """Which of them this one is, from 0."""
        return jax.process_index() if self.devices else 0

    @property
    def local(self) -> tuple[jax.Device, ...]:
        """Devices of this process; none stands for JAX's default device."""
        return tuple(d for d in self.devices if d.process_index == jax.process_index())

    @property
    def local_count(self) -> int:
        """Devices of this process."""
        return max(len(self.local), 1)

    def sum(self, tree: T) -> T:
        """Adds up over the devices; for use inside a function that is compiled by `compile`."""
        return tree if self.way == "jit" else jax.lax.psum(tree, AXIS)

    def compile(self, function: Callable[[Any, Any, Any], Any], *, donate: bool = False) -> Any:
        """Compiles a per-device function of (replicated, stack, replicated).

        Results must be the same on every device: what differs has gone through `sum`.

        Args:
          function: of one device; its second argument is the device's part of the stack.
          donate: the memory of the first argument is reused.

        Returns:
          A function of (replicated, placed stack, replicated), replicated results.
        """
        donated = (0,) if donate else ()
        if self.way == "jit":
            return jax.jit(function, donate_argnums=donated)
        if self.way == "pmap":
            return jax.pmap(
                function,
                axis_name=AXIS,
                in_axes=(None, 0, None),
                out_axes=None,
                devices=list(self.devices),
                donate_argnums=donated,
            )
        whole, parts = PartitionSpec(), PartitionSpec(AXIS)
        # Tracking what varies over devices would make `jax.grad` add up over them on its own, and
        # the function would no longer mean the same as under pmap.
        mapped = jax.shard_map(
            function,
            mesh=Mesh(np.array(self.devices), (AXIS,)),
            in_specs=(whole, parts, whole),
            out_specs=whole,
            check_vma=False,
        )
        return jax.jit(mapped, donate_argnums=donated)

    def place(self, stack: Any) -> Any:
        """Puts a stack of host arrays onto the devices of this process, an equal part on each.

        Args:
          stack: leaves (n, …), n a multiple of `local_count`; the stacks of all processes
            together are the batch of a step.
        """
        if self.way == "jit":
            return jax.device_put(stack)
        if self.way == "pmap":
            parts = jax.tree.map(lambda x: x.reshape(self.local_count, -1, *x.shape[1:]), stack)
            return jax.device_put(parts, self._sharding(self.local, AXIS))
        sharding = self._sharding(self.devices, AXIS)
        return jax.tree.map(lambda x: jax.make_array_from_process_local_data(sharding, x), stack)

    def replicate(self, tree: T) -> T:
        """Copies a tree of arrays, the same on all processes, to every device."""
        if self.way == "jit":
            # A copy: on a CPU, `jax.device_put` may keep using the memory of the host's array.
            return jax.tree.map(jnp.array, tree)
        devices = self.local if self.way == "pmap" else self.devices
        return jax.device_put(tree, self._sharding(devices))

    def _sharding(self, devices: tuple[jax.Device, ...], *axes: str) -> NamedSharding:
        return NamedSharding(Mesh(np.array(devices), (AXIS,)), PartitionSpec(*axes))


def make_deterministic() -> None:
    """Has XLA sum in a fixed order on GPUs, for runs that repeat bit for bit; CPUs do so anyway.

    To be called before anything is computed: XLA reads its flags once.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if DETERMINISTIC not in flags.split():
        os.environ["XLA_FLAGS"] = f"{flags} {DETERMINISTIC}".strip()


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
