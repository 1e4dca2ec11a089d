"""Device mapping: compile a per-device function for one or several devices.

A computation is written for one device, as a function of replicated arrays (weights, training
state) and of a stack of batches. `Devices` compiles it: every device gets an equal share of the
stack, and `Devices.sum` inside the function adds up over all of them. The program is the same on
one device, on all of a machine, or on several machines that have called
`cgatjax.runtime.distributed.initialize`.
"""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from cgatjax.errors import ConfigError
from cgatjax.runtime.distributed import several_processes

AXIS = "devices"
DETERMINISTIC = "--xla_gpu_deterministic_ops=true"
T = TypeVar("T")


@dataclass(frozen=True)
class Devices:
    """Devices of a run and the device mapping.

    Attributes:
      mapping: "jit" (one device), "shard_map" (one program over a mesh) or "pmap" (one per device).
      devices: devices of all processes, ordered by process; empty for JAX's default device.
    """

    mapping: Literal["jit", "shard_map", "pmap"] = "jit"
    devices: tuple[jax.Device, ...] = ()

    @classmethod
    def choose(cls, count: int = 1, mapping: Literal["shard_map", "pmap"] = "shard_map") -> Self:
        """Choose the first `count` devices; 1 with "shard_map" is the ordinary `jax.jit`.

        ConfigError if there are fewer, or one of several processes has idle ones.
        """
        if not several_processes() and count == 1 and mapping == "shard_map":
            return cls()
        found = sorted(jax.devices(), key=lambda d: (d.process_index, d.id))
        if count > len(found):
            raise ConfigError(
                f"devices: expected at most the {len(found)} {found[0].platform} devices of this "
                f"run, got {count}"
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
        """Number of devices of all processes."""
        return max(len(self.devices), 1)

    @property
    def platform(self) -> str:
        """Platform of the devices: "cpu", "gpu" or "tpu"."""
        return self.devices[0].platform if self.devices else jax.default_backend()

    @property
    def processes(self) -> int:
        """Number of processes."""
        return len({d.process_index for d in self.devices}) or 1

    @property
    def process(self) -> int:
        """Index of this process, from 0."""
        return jax.process_index() if self.devices else 0

    @property
    def local(self) -> tuple[jax.Device, ...]:
        """Devices of this process; empty for JAX's default device."""
        return tuple(d for d in self.devices if d.process_index == jax.process_index())

    @property
    def local_count(self) -> int:
        """Number of devices of this process."""
        return max(len(self.local), 1)

    def sum(self, tree: T) -> T:
        """Sum over the devices, inside a function compiled by `compile`."""
        return tree if self.mapping == "jit" else jax.lax.psum(tree, AXIS)

    def compile(self, function: Callable[[Any, Any, Any], Any], *, donate: bool = False) -> Any:
        """Compile a per-device function of (replicated, share of a stack, replicated).

        Results must be equal on every device: `sum` everything that differs. The compiled function
        takes the stack as `place` returns it; with `donate` it reuses the memory of its first
        argument.
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
        whole, shares = PartitionSpec(), PartitionSpec(AXIS)
        # check_vma would make `jax.grad` sum over the devices by itself, and the function would no
        # longer mean the same as with pmap.
        mapped = jax.shard_map(
            function,
            mesh=Mesh(np.array(self.devices), (AXIS,)),
            in_specs=(whole, shares, whole),
            out_specs=whole,
            check_vma=False,
        )
        return jax.jit(mapped, donate_argnums=donated)

    def place(self, stack: Any) -> Any:
        """Put a stack of host arrays onto the devices of this process, an equal share on each.

        Leaves are (n, ...), n a multiple of `local_count`; the stacks of all processes form the
        batch of a step.
        """
        if self.mapping == "jit":
            return jax.device_put(stack)
        if self.mapping == "pmap":
            shares = jax.tree.map(lambda x: x.reshape(self.local_count, -1, *x.shape[1:]), stack)
            return jax.device_put(shares, self._sharding(self.local, AXIS))
        sharding = self._sharding(self.devices, AXIS)
        return jax.tree.map(lambda x: jax.make_array_from_process_local_data(sharding, x), stack)

    def replicate(self, tree: T) -> T:
        """Copy a tree of arrays, equal on all processes, to every device."""
        if self.mapping == "jit":
            # Copied on the host: on the device, that is a compilation for each shape. And copied,
            # because `jax.device_put` may alias the host's array, which donation would overwrite.
            return jax.tree.map(lambda x: jax.device_put(np.array(x)), tree)
        devices = self.local if self.mapping == "pmap" else self.devices
        return jax.device_put(tree, self._sharding(devices))

    def _sharding(self, devices: tuple[jax.Device, ...], *axes: str) -> NamedSharding:
        return NamedSharding(Mesh(np.array(devices), (AXIS,)), PartitionSpec(*axes))


def make_deterministic() -> None:
    """Make XLA sum in a fixed order on GPUs, for bit-identical repetitions; CPUs do so anyway.

    It must be called before the first computation: XLA reads its flags once.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if DETERMINISTIC not in flags.split():
        os.environ["XLA_FLAGS"] = f"{flags} {DETERMINISTIC}".strip()
