"""Network: time of forward pass, training step and head step, beside the limits of the machine.

    python benchmarks/network.py crystals.json.gz --size released
    python benchmarks/network.py STORE --size paper --crystals 512 --precision bfloat16

One batch of crystals from files, from a store, or of a synthetic data set. "paper" is the released
equations with R = 512 and H = 6. Precision "tf32" rounds the factors of a GPU's matrix products.

Prints JSON: seconds of the first call (which compiles) and of later calls, and crystals/s. The
floor of a computation is the operations of its matrix products over the rate of one large product
on the same machine; for a training step, plus the optimizer's bytes over the rate of a large copy.
"over_floor" is the measured time over that.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import machine
import numpy as np
from training_step import EVERYTHING, repeated_step

from cgatjax.config import GraphConfig, ModelConfig
from cgatjax.data.batching import CrystalBatch, assemble, snug_budget
from cgatjax.data.store import open_store
from cgatjax.graphs.crystal_graph import featurize
from cgatjax.graphs.graph_arrays import GraphArrays
from cgatjax.graphs.reduction import reduce_graph
from cgatjax.model.network import MATMUL_PRECISION, Network

SIZES = {
    "small": ModelConfig.small(),
    "released": ModelConfig.released(),
    "paper": ModelConfig.released(edge_dim=512, heads=6),
}
TARGET = "e-form"
HEAD_ONLY = (("encoder/*", "frozen"), ("heads/*", "trained"))


def read_graphs(inputs: list[str], count: int, reduce: bool) -> GraphArrays:
    """Read `count` crystals spread over the inputs, with made-up targets."""
    if len(inputs) == 1 and (Path(inputs[0]) / "store.json").exists():
        store = open_store(inputs[0])
        return store.take(np.linspace(0, len(store) - 1, count).astype(int), [TARGET])
    # Not needed, and often not installed, where a prepared store is measured.
    from cgatjax.structures.crystal import Crystal
    from cgatjax.structures.readers import read_crystals
    from cgatjax.synthetic.dataset import ionic_crystals

    found = ionic_crystals(count) if not inputs else list(read_crystals(inputs))
    crystals = [c for c in found if isinstance(c, Crystal) and len(set(c.atomic_numbers)) > 1]
    chosen = crystals[:: max(1, len(crystals) // count)][:count]
    graphs = [featurize(c, GraphConfig.released()) for c in chosen]
    if reduce:
        graphs = [reduce_graph(graph) for graph in graphs]
    return GraphArrays.from_graphs(graphs, {TARGET: np.linspace(-1, 1, len(graphs))})


def timed(work: Callable[[], Any], least: float) -> dict[str, float]:
    """Measure the first call, which compiles, and later ones."""
    began = time.perf_counter()
    jax.block_until_ready(work())
    first = time.perf_counter() - began
    return {"seconds": machine.seconds(work, least), "first_call": first}


def measure(config: ModelConfig, batch: CrystalBatch, n: int, least: float) -> dict[str, Any]:
    """Measure one network on one batch of n crystals, each number for `least` seconds."""
    from cgatjax.training.input_pipeline import EmbeddingBatch  # reads files: see `read_graphs`

    network = Network(config)
    params = jax.device_put(network.init(0))
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    apply, embed = network.jitted("apply"), network.jitted("embed")
    cached = EmbeddingBatch(
        embedding=embed(params, batch)["embedding"],
        targets=batch.targets,
        target_mask=batch.target_mask,
        graph_mask=batch.graph_mask,
    )

    def read_heads(params: Any, batch: EmbeddingBatch) -> dict[str, jax.Array]:
        return network.read_heads(params, batch.embedding)

    def loss(params: Any) -> jax.Array:
        return abs(network.apply(params, batch)[TARGET][:, 0] - batch.targets[TARGET]).sum()

    steps = {
        "step": repeated_step(network.apply, params, batch, EVERYTHING),
        "head step": repeated_step(network.apply, params, batch, HEAD_ONLY),
        "head step, cached embeddings": repeated_step(read_heads, params, cached, HEAD_ONLY),
    }
    result = {
        "forward": timed(lambda: apply(params, batch), least),
        **{name: timed(step, least) for name, step in steps.items()},
    }
    result["forward"]["flops"] = machine.product_flops(network.apply, params, batch)
    result["step"]["flops"] = machine.product_flops(jax.grad(loss), params)
    result["step"]["optimizer_bytes"] = machine.ADAM_PASSES * 4 * size
    for times in result.values():
        times["crystals_per_second"] = n / times["seconds"]
    return {"parameters": size, **result}


def add_floors(result: dict[str, Any], flops: float, copied: float) -> None:
    """Add the floor of each computation, and the ratio of measured time and floor."""
    for times in result.values():
        if isinstance(times, dict) and "flops" in times:
            times["floor_products"] = times["flops"] / flops
            times["over_floor_products"] = times["seconds"] / times["floor_products"]
            times["floor_optimizer"] = times.get("optimizer_bytes", 0) / copied
            floor = times["floor_products"] + times["floor_optimizer"]
            times["over_floor"] = times["seconds"] / floor


def main() -> None:
    parser = machine.parser(__doc__)
    parser.add_argument("inputs", nargs="*", help="store, or files of crystals")
    parser.add_argument("--size", choices=SIZES, default="released", help="network")
    parser.add_argument("--crystals", type=int, default=32, help="crystals in the batch")
    parser.add_argument(
        "--precision",
        choices=["float32", "tf32", "bfloat16"],
        default="float32",
        help="precision of the matrix products",
    )
    parser.add_argument("--unreduced", action="store_true", help="keep every site and edge")
    parser.add_argument(
        "--rematerialize", action="store_true", help="recompute activations for the gradient"
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="measuring time of each number")
    args = parser.parse_args()
    # For the measured rate of a large product; the networks set their own.
    jax.config.update("jax_default_matmul_precision", MATMUL_PRECISION[args.precision])
    config = SIZES[args.size].replace(
        targets=(TARGET,), precision=args.precision, rematerialize=args.rematerialize
    )
    arrays = read_graphs(args.inputs, args.crystals, not args.unreduced)
    budget = snug_budget(arrays)
    batch = jax.device_put(assemble(arrays, budget))
    # The limits are measured before and after, and the higher ones taken: other work may interfere.
    before = machine.matmul_rate(), machine.copy_rate()
    result = measure(config, batch, len(arrays.n_node), args.seconds)
    after = machine.matmul_rate(), machine.copy_rate()
    flops, copied = (max(pair) for pair in zip(before, after, strict=True))
    add_floors(result, flops, copied)
    report = {
        "machine": machine.description(),
        "matmul_gflops": flops / 1e9,
        "copy_gbytes": copied / 1e9,
        "options": {k: v for k, v in vars(args).items() if k not in ("inputs", "json")},
        "batch": {"crystals": len(arrays.n_node), **budget._asdict()},
        "padding": {
            "nodes": 1 - int(arrays.n_node.sum()) / budget.nodes,
            "edges": 1 - int(arrays.n_edge.sum()) / budget.edges,
        },
        **result,
        "peak_memory_gib": machine.peak_memory(),
    }
    machine.write(report, args.json)


if __name__ == "__main__":
    main()
