"""Shared by the benchmarks: timing, hardware limits of this machine, options and output.

Freed memory is kept, as the commands do: that must come before the imports of a benchmark.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr

from cgatjax import __version__
from cgatjax.runtime.allocator import keep_freed_memory

keep_freed_memory()
ADAM_PASSES = 7
"""Reads of parameter, gradient and two moments, writes of all but the gradient."""


def parser(doc: str) -> argparse.ArgumentParser:
    """Make a parser that shows the docstring of a benchmark, with the option --json."""
    made = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--json", type=Path, metavar="FILE", help="file for the results as JSON")
    return made


def write(report: Mapping[str, Any], file: Path | None, *, show: bool = True) -> None:
    """Print a report as JSON, and write it if there is a file."""
    text = json.dumps(report, indent=1)
    if show:
        print(text)
    if file:
        file.write_text(text)


def seconds(
    work: Callable[[], Any],
    at_least: float = 2.0,
    repeats: int = 5,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Return the median time of a call, after one warm-up call.

    Args:
      work: function to time.
      at_least: seconds to measure for.
      repeats: smallest number of calls.
      clock: of wall time, or of processor time (`time.process_time`).
    """
    jax.block_until_ready(work())
    times: list[float] = []
    while len(times) < repeats or sum(times) < at_least:
        began = clock()
        jax.block_until_ready(work())
        times.append(clock() - began)
    return statistics.median(times)


def dispatched_seconds(work: Callable[[], Any], at_least: float, repeats: int = 5) -> float:
    """Return the median time of a call among `repeats` groups of calls, after two warm-up calls.

    The calls of a group do not wait for each other, so that the device is never idle.
    """
    jax.block_until_ready(work())
    began = time.perf_counter()
    jax.block_until_ready(work())
    calls = max(2, round(at_least / repeats / (time.perf_counter() - began)))
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        results = [work() for _ in range(calls)]
        jax.block_until_ready(results)
        times.append((time.perf_counter() - began) / calls)
    return statistics.median(times)


def matmul_rate(size: int = 2048, dtype: Any = jnp.float32, at_least: float = 1.0) -> float:
    """Return the floating-point operations per second of a large matrix product."""
    # Random, because some accelerators multiply constants faster than real data.
    a = jnp.asarray(np.random.default_rng(0).normal(size=(size, size)), dtype)
    multiply = jax.jit(lambda x: x @ x)
    return 2 * size**3 / seconds(lambda: multiply(a), at_least)


def copy_rate(size: int = 50_000_000, at_least: float = 1.0) -> float:
    """Return the bytes per second, read and written, of an in-place update of a large array."""
    held = [jnp.ones(size)]
    increase = jax.jit(lambda x: x + 1, donate_argnums=0)

    def work() -> Any:
        held[0] = increase(held[0])
        return held[0]

    return 2 * held[0].nbytes / seconds(work, at_least)


def product_flops(function: Callable[..., Any], *args: Any) -> int:
    """Count the floating-point operations of all matrix products, two per multiplication."""
    return product_costs(function, *args)[0]


def product_costs(function: Callable[..., Any], *args: Any) -> tuple[int, int]:
    """Count operations, and bytes of all operands and results, of the matrix products."""
    return _costs(jax.make_jaxpr(function)(*args).jaxpr)


def _costs(jaxpr: Jaxpr) -> tuple[int, int]:
    flops = traffic = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracting, _), _ = equation.params["dimension_numbers"]
            left = equation.invars[0].aval.shape
            depth = 1
            for axis in contracting:
                depth *= left[axis]
            flops += 2 * equation.outvars[0].aval.size * depth
            arrays = [v.aval for v in (*equation.invars, *equation.outvars)]
            traffic += sum(a.size * a.dtype.itemsize for a in arrays)
        if branches := [_costs(b.jaxpr) for b in equation.params.get("branches", ())]:
            flops, traffic = flops + max(branches)[0], traffic + max(branches)[1]
        times = equation.params.get("length", 1) if equation.primitive.name == "scan" else 1
        inner = [equation.params.get(name) for name in ("jaxpr", "call_jaxpr", "fun_jaxpr")]
        for found in inner:
            if isinstance(found, ClosedJaxpr):
                found = found.jaxpr
            if isinstance(found, Jaxpr):
                more = _costs(found)
                flops, traffic = flops + times * more[0], traffic + times * more[1]
    return flops, traffic


def peak_memory() -> float:
    """Return the peak memory in GiB: of the device if it reports it, else of this process."""
    counted = jax.devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in counted:
        return counted["peak_bytes_in_use"] / 2**30
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 2**30


def description() -> dict[str, Any]:
    """Describe hardware and versions."""
    names = ("jax", "jaxlib", "flax", "optax", "jraph", "numpy")
    return {
        "device": jax.devices()[0].device_kind,
        "processor": platform.processor() or platform.machine(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "cgatjax": __version__,
        **{name: version(name) for name in names},
    }
