"""What this machine is and can do: the floors that the other benchmarks stand on."""

import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr

from cgatjax import __version__

ADAM_PASSES = 7
"""Reads of parameter, gradient and two moments, writes of all but the gradient."""


def seconds(work: Callable[[], Any], at_least: float = 2.0, repeats: int = 5) -> float:
    """Median time of a call, after one that is not counted."""
    jax.block_until_ready(work())
    times: list[float] = []
    while len(times) < repeats or sum(times) < at_least:
        began = time.perf_counter()
        jax.block_until_ready(work())
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def matmul_rate(size: int = 2048, dtype: Any = jnp.float32) -> float:
    """Floating-point operations per second in a large product of square matrices."""
    a = jnp.ones((size, size), dtype)
    multiply = jax.jit(lambda x: x @ x)
    return 2 * size**3 / seconds(lambda: multiply(a), 1.0)


def copy_rate(size: int = 50_000_000) -> float:
    """Bytes per second, read and written, in an operation on a large array in its own place."""
    held = [jnp.ones(size)]
    increase = jax.jit(lambda x: x + 1, donate_argnums=0)

    def work() -> Any:
        held[0] = increase(held[0])
        return held[0]

    return 2 * held[0].nbytes / seconds(work, 1.0)


def product_flops(function: Callable[..., Any], *args: Any) -> int:
    """Floating-point operations of all matrix products in a function, two a multiplication."""
    return _flops(jax.make_jaxpr(function)(*args).jaxpr)


def _flops(jaxpr: Jaxpr) -> int:
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracting, _), _ = equation.params["dimension_numbers"]
            left = equation.invars[0].aval.shape
            depth = 1
            for axis in contracting:
                depth *= left[axis]
            total += 2 * equation.outvars[0].aval.size * depth
        times = equation.params.get("length", 1) if equation.primitive.name == "scan" else 1
        inner = [equation.params.get(name) for name in ("jaxpr", "call_jaxpr", "fun_jaxpr")]
        for found in inner:
            if isinstance(found, ClosedJaxpr):
                found = found.jaxpr
            if isinstance(found, Jaxpr):
                total += times * _flops(found)
    return total


def peak_memory() -> float:
    """GiB at most so far: of the device where it counts them, else of this process."""
    counted = jax.devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in counted:
        return counted["peak_bytes_in_use"] / 2**30
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def description() -> dict[str, Any]:
    """Hardware and versions."""
    names = ("jax", "jaxlib", "flax", "optax", "jraph", "numpy")
    return {
        "device": jax.devices()[0].device_kind,
        "platform": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "cgatjax": __version__,
        **{name: version(name) for name in names},
    }
