"""Accelerator: forward pass and training step of the network on a GPU, by size and precision.

    python benchmarks/accelerator.py --out results
    python benchmarks/accelerator.py STORE --sizes small paper --crystals 512 --out results

One batch of crystals spread over a store or, without one, of random graphs of realistic sizes
(`random_graphs`), which need neither files nor featurization. Calls are dispatched without waiting
for each other, as in training; a time is the median over groups of calls, after a warm-up.

Every time is compared with two floors, both from rates measured on the same device: the operations
of the matrix products over the rate of one large product of the same precision, and the fewest
bytes (weights and moments, each read and written as often as the computation needs) over the rate
of a large copy. "Traffic" is the time that the operands and results of all products would take to
be read and written, which fused kernels can save.

A measurement that fails is reported with its traceback, and the others go on. Results are written
after each of them: accelerator.json, and accelerator.md with a table, which is also printed.
"""

import itertools
import json
import time
import traceback
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import machine
import numpy as np
from network import SIZES, TARGET, read_graphs
from training_step import repeated_step

from cgatjax.data.batching import CrystalBatch, assemble, snug_budget
from cgatjax.graphs.graph_arrays import GraphArrays
from cgatjax.model.network import MATMUL_PRECISION, Network

NEIGHBORS = 24
COLUMNS = {
    "size": "network",
    "precision": "precision",
    "kernels": "kernels",
    "kind": "computation",
    "ms": "ms",
    "crystals_per_second": "crystals/s",
    "over_products": "over products",
    "over_bytes": "over bytes",
    "over_traffic": "over traffic",
    "first_call": "first call, s",
}


def random_graphs(crystals: int, seed: int = 0) -> GraphArrays:
    """Make graphs of the sizes that real crystals have with the released options, once reduced.

    On average 9 sites in 6.25 classes, 93 merged edges and 3 elements a crystal; common elements
    are as frequent as oxygen is.
    """
    random = np.random.default_rng(seed)
    n_node = 1 + random.poisson(5.25, crystals)
    of_node = np.repeat(np.arange(crystals), n_node)
    frequency = 1 / np.arange(1, 90)
    elements = random.choice(np.arange(1, 90), (crystals, 3), p=frequency / frequency.sum())
    degree = np.minimum(1 + random.poisson(13.9, len(of_node)), NEIGHBORS)
    center = np.repeat(np.arange(len(of_node)), degree)
    shell = random.integers(1, NEIGHBORS + 1, len(center))
    shell = shell[np.lexsort((shell, center))]
    is_first = np.diff(center, prepend=-1) > 0
    return GraphArrays(
        n_node=n_node,
        n_edge=np.bincount(of_node, degree, crystals).astype(np.int64),
        atomic_numbers=elements[of_node, random.integers(0, 3, len(of_node))],
        node_multiplicity=1 + random.poisson(0.44, len(of_node)),
        edge_center=center - (np.cumsum(n_node) - n_node)[of_node[center]],
        edge_neighbor=(random.random(len(center)) * n_node[of_node[center]]).astype(np.int64),
        edge_shell=shell,
        weight_numerator=np.where(is_first, 1 + NEIGHBORS - degree[center], 1),
        weight_denominator=np.ones(len(center), np.int64),
        targets={TARGET: random.normal(size=crystals)},
    )


def rates(precisions: list[str]) -> dict[str, float]:
    """Measure operations per second of a large product by precision, and bytes of a copy."""
    on_cpu = jax.default_backend() == "cpu"
    found = {"bytes": machine.copy_rate(50_000_000 if on_cpu else 500_000_000, 0.3)}
    for precision in precisions:
        dtype = jnp.bfloat16 if precision == "bfloat16" else jnp.float32
        with jax.default_matmul_precision(MATMUL_PRECISION[precision]):
            found[precision] = machine.matmul_rate(2048 if on_cpu else 8192, dtype, 0.3)
    return found


def measure(
    size: str, precision: str, kernels: str, batch: CrystalBatch, crystals: int, least: float
) -> dict[str, dict[str, Any]]:
    """Measure forward pass and training step of one network: {"forward", "step"}."""
    plain = Network(SIZES[size].replace(targets=(TARGET,), precision=precision))
    network = Network(plain.config.replace(kernels=kernels))
    params = jax.device_put(network.init(0))
    weights = 4 * sum(leaf.size for leaf in jax.tree.leaves(params))
    apply = network.jitted("apply")

    def loss(params: Any) -> jax.Array:
        return abs(plain.apply(params, batch)[TARGET][:, 0] - batch.targets[TARGET]).sum()

    # A step reads the weights for both passes and writes a gradient, before the optimizer.
    kinds: dict[str, tuple[Any, Any, int]] = {
        "forward": (lambda: apply(params, batch), lambda p: plain.apply(p, batch), weights),
        "step": (
            repeated_step(network.apply, params, batch),
            jax.grad(loss),
            (3 + machine.ADAM_PASSES) * weights,
        ),
    }
    found = {}
    for kind, (work, function, fewest_bytes) in kinds.items():
        try:
            began = time.perf_counter()
            jax.block_until_ready(work())
            first = time.perf_counter() - began
            flops, traffic = machine.product_costs(function, params)
            seconds = machine.dispatched_seconds(work, least)
            found[kind] = {
                "ms": 1e3 * seconds,
                "crystals_per_second": crystals / seconds,
                "first_call": first,
                "flops": flops,
                "fewest_bytes": fewest_bytes,
                "traffic_bytes": traffic,
            }
        except Exception:
            traceback.print_exc()
            found[kind] = {"error": traceback.format_exc(limit=-3)}
    return found


def add_floors(found: dict[str, Any], flops: float, bandwidth: float) -> None:
    """Add the ratios of the measured time to both floors and to the traffic of the products."""
    if "ms" in found:
        seconds = found["ms"] / 1e3
        found["over_products"] = seconds * flops / found["flops"]
        found["over_bytes"] = seconds * bandwidth / found["fewest_bytes"]
        found["over_traffic"] = seconds * bandwidth / found["traffic_bytes"]


def table(report: dict[str, Any]) -> str:
    """Format all measurements in Markdown."""
    rows = [list(COLUMNS.values()), ["---"] * 4 + ["---:"] * (len(COLUMNS) - 4)]
    for row in report["results"]:
        if "error" in row:
            rows.append([row["size"], row["precision"], row["kernels"], row["kind"], "failed"])
        else:
            rows.append([_shown(row[column]) for column in COLUMNS])
    speeds = ", ".join(
        f"{name} {rate / 1e12:.3g} {'TB/s' if name == 'bytes' else 'Tflop/s'}"
        for name, rate in report["rates"].items()
    )
    about = ", ".join(f"{k} {v}" for k, v in report["machine"].items())
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    memory = f"peak memory {report['peak_memory_gib']:.2f} GiB"
    return "\n".join([about, "", f"{speeds}; {report['batch']}; {memory}", "", *lines, ""])


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:,.0f}" if value > 999 else f"{value:.3g}"


def main() -> None:
    parser = machine.parser(__doc__)
    parser.add_argument("store", nargs="?", help="store of crystals; default: random graphs")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["paper"], help="networks")
    parser.add_argument(
        "--precisions",
        nargs="+",
        choices=MATMUL_PRECISION,
        default=["tf32", "bfloat16", "float32"],
        help="precisions of the matrix products",
    )
    parser.add_argument(
        "--kernels", nargs="+", choices=["xla", "pallas"], default=["xla"], help="kernels to run"
    )
    parser.add_argument("--crystals", type=int, default=512, help="crystals in the batch")
    parser.add_argument("--seconds", type=float, default=0.5, help="measuring time of each number")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.store:
        arrays = read_graphs([args.store], args.crystals, True)
    else:
        arrays = random_graphs(args.crystals)
    budget = snug_budget(arrays)
    batch = jax.device_put(assemble(arrays, budget))
    report: dict[str, Any] = {
        "machine": machine.description(),
        "batch": f"{len(arrays.n_node)} crystals, {arrays.n_node.sum()} of {budget.nodes} nodes, "
        f"{arrays.n_edge.sum()} of {budget.edges} edges",
        "rates": rates(args.precisions),
        "results": [],
    }
    for case in itertools.product(args.sizes, args.precisions, args.kernels):
        named = dict(zip(("size", "precision", "kernels"), case, strict=True))
        found = measure(*case, batch, len(arrays.n_node), args.seconds)
        for kind, row in found.items():
            add_floors(row, report["rates"][named["precision"]], report["rates"]["bytes"])
            report["results"].append({**named, "kind": kind, **row})
            print(", ".join(case), f"{kind}: {row.get('ms', 'failed')} ms", flush=True)
        report["peak_memory_gib"] = machine.peak_memory()
        (args.out / "accelerator.json").write_text(json.dumps(report, indent=1))
        (args.out / "accelerator.md").write_text(table(report))
    print(table(report))


if __name__ == "__main__":
    main()
