"""Device mapping: the only place that knows of more than one device.

A computation is written for one device, as a function of something replicated (weights, training
state) and of a stack of batches. `Devices` compiles it: every device gets an equal part of the
stack, and `Devices.sum` inside the function adds up over all of them. Programs differ in nothing
else, whether they run on one device, on all of a machine, or on many machines that have called
`cgatjax.runtime.distributed.initialize`.
"""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from cgatjax.errors import ConfigError
from cgatjax.runtime.distributed import several_processes

AXIS = "devices"
DETERMINISTIC = "--xla_gpu_deterministic_ops=true"
T = TypeVar("T")


@dataclass(frozen=True)
class Devices:
    """The devices of a run, and how a computation is spread over them.

    Attributes:
      mapping: "jit" (one device), "shard_map" (one program over a mesh) or "pmap" (one per device).
      devices: all devices of all processes, those of a process side by side; none stands for
        JAX's default device.
    """

    mapping: Literal["jit", "shard_map", "pmap"] = "jit"
    devices: tuple[jax.Device, ...] = ()

    @classmethod
    def choose(cls, count: int = 1, mapping: Literal["shard_map", "pmap"] = "shard_map") -> Self:
        """The first `count` devices; 1 with "shard_map" is the ordinary `jax.jit`.

        Raises:
          ConfigError: there are fewer, or several processes are to leave devices idle.
        """
        if not several_processes() and count == 1 and mapping == "shard_map":
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
        return cls(mapping, tuple(found[:count]))

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
        return tree if self.mapping == "jit" else jax.lax.psum(tree, AXIS)

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
        if self.mapping == "jit":
            return jax.jit(function, donate_argnums=donated)
        if self.mapping == "pmap":
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
        if self.mapping == "jit":
            return jax.device_put(stack)
        if self.mapping == "pmap":
            parts = jax.tree.map(lambda x: x.reshape(self.local_count, -1, *x.shape[1:]), stack)
            return jax.device_put(parts, self._sharding(self.local, AXIS))
        sharding = self._sharding(self.devices, AXIS)
        return jax.tree.map(lambda x: jax.make_array_from_process_local_data(sharding, x), stack)

    def replicate(self, tree: T) -> T:
        """Copies a tree of arrays, the same on all processes, to every device."""
        if self.mapping == "jit":
            # A copy: on a CPU, `jax.device_put` may keep using the memory of the host's array.
            return jax.tree.map(jnp.array, tree)
        devices = self.local if self.mapping == "pmap" else self.devices
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
