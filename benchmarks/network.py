"""Time of the network: forward, training step, head alone; beside what the machine could do.

    python benchmarks/network.py crystals.json.gz --size released
    python benchmarks/network.py store/ --size paper --crystals 512 --precision bfloat16

Crystals come from files, from a store, or are generated. "paper" means the released equations with
R 512 and H 6. The floor of a computation is the operations of its matrix products over the rate of
a large product on the same machine (and, for a step, the optimizer's bytes over the rate of a
large copy, told apart). Precision "tf32" lets the products of a GPU round their factors.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import machine
import numpy as np

from cgatjax.config import GraphConfig, ModelConfig, TrainConfig
from cgatjax.data.batching import CrystalBatch, assemble, snug_budget
from cgatjax.data.store import open_store
from cgatjax.graphs.crystal_graph import featurize
from cgatjax.graphs.graph_arrays import GraphArrays
from cgatjax.graphs.reduction import reduce_graph
from cgatjax.models.losses import LOSSES
from cgatjax.nn.cgat import CGAT
from cgatjax.runtime.allocator import keep_freed_memory
from cgatjax.structures.crystal import Crystal
from cgatjax.structures.readers import read_crystals
from cgatjax.synthetic.dataset import ionic_crystals
from cgatjax.training.input_pipeline import EmbeddingBatch
from cgatjax.training.optimizer import make_optimizer
from cgatjax.training.train_step import MaskedLoss, init_state, make_train_step
from cgatjax.training.transfer_params import label_parameters

SIZES = {
    "small": ModelConfig.small(),
    "released": ModelConfig.released(),
    "paper": ModelConfig.released(edge_dim=512, heads=6),
}
TARGET = "e-form"
SCALES = {TARGET: (0.0, 1.0)}


def graphs_of(inputs: list[str], count: int, reduce: bool) -> GraphArrays:
    """`count` crystals spread over the inputs, with made-up targets."""
    if len(inputs) == 1 and (Path(inputs[0]) / "store.json").exists():
        store = open_store(inputs[0])
        return store.take(np.linspace(0, len(store) - 1, count).astype(int), [TARGET])
    found = ionic_crystals(count) if not inputs else list(read_crystals(inputs))
    crystals = [c for c in found if isinstance(c, Crystal) and len(set(c.atomic_numbers)) > 1]
    chosen = crystals[:: max(1, len(crystals) // count)][:count]
    graphs = [featurize(c, GraphConfig.released()) for c in chosen]
    if reduce:
        graphs = [reduce_graph(graph) for graph in graphs]
    return GraphArrays.from_graphs(graphs, {TARGET: np.linspace(-1, 1, len(graphs))})


def timed_step(step: Any, state: Any, stack: Any, rates: Any, least: float) -> dict[str, float]:
    """Seconds of the first call, compiling included, and of a later one."""
    began = time.perf_counter()
    held = [step(state, stack, rates, SCALES)[0]]
    jax.block_until_ready(held[0])
    first = time.perf_counter() - began

    def work() -> Any:
        held[0], metrics = step(held[0], stack, rates, SCALES)
        return metrics

    typical = machine.seconds(work, least)
    return {"seconds": typical, "first_call": first}


def measure(config: ModelConfig, batch: CrystalBatch, n: int, least: float) -> dict[str, Any]:
    """All times of one network on one batch of n crystals."""
    net = CGAT(config)
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), batch)
    params = net.lazy_init(jax.random.key(0), shapes)["params"]
    size = sum(leaf.size for leaf in jax.tree.leaves(params))

    def forward(params: Any, batch: CrystalBatch) -> Any:
        return net.apply({"params": params}, batch)

    apply = jax.jit(forward)
    began = time.perf_counter()
    jax.block_until_ready(apply(params, batch))
    first = time.perf_counter() - began
    forward_flops = machine.product_flops(forward, params, batch)
    result: dict[str, Any] = {
        "forward": {
            "seconds": machine.seconds(lambda: apply(params, batch), least),
            "first_call": first,
            "flops": forward_flops,
        }
    }
    sums = MaskedLoss(lambda p, b: {TARGET: forward(p, b)}, LOSSES["l1"])
    head = MaskedLoss(
        lambda p, b: net.apply({"params": p}, b.embedding, method="read_heads"), sums.loss
    )
    embedding = jax.jit(lambda p, b: net.apply({"params": p}, b, method="embed"))(params, batch)
    cached = EmbeddingBatch(
        embedding=embedding,
        targets=batch.targets,
        target_mask=batch.target_mask,
        graph_mask=batch.graph_mask,
    )
    head_only = [("encoder/*", "frozen"), ("heads/*", "trained")]
    for name, loss, data, patterns in (
        ("step", sums, batch, [("*", "trained")]),
        ("head step", sums, batch, head_only),
        ("head step, cached embeddings", head, cached, head_only),
    ):
        labels = label_parameters(params, patterns)
        optimizer = make_optimizer(TrainConfig(), labels)
        step = make_train_step(loss, optimizer, labels)
        state = init_state(jax.tree.map(jnp.array, params), optimizer)
        stack = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], data)
        result[name] = timed_step(step, state, stack, {"trained": np.float32(1)}, least)
    result["step"]["flops"] = machine.product_flops(
        jax.grad(lambda p: sums(p, batch, SCALES).loss), params
    )
    result["step"]["optimizer_bytes"] = machine.ADAM_PASSES * 4 * size
    for times in result.values():
        times["crystals_per_second"] = n / times["seconds"]
    return {"parameters": size, **result}


def beside_the_floor(result: dict[str, Any], flops: float, copied: float) -> None:
    """Adds floors and ratios."""
    for times in result.values():
        if isinstance(times, dict) and "flops" in times:
            times["floor_products"] = times["flops"] / flops
            times["over_floor_products"] = times["seconds"] / times["floor_products"]
            times["floor_optimizer"] = times.get("optimizer_bytes", 0) / copied
            floor = times["floor_products"] + times["floor_optimizer"]
            times["over_floor"] = times["seconds"] / floor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("inputs", nargs="*", help="a store, or files of crystals")
    parser.add_argument("--size", choices=SIZES, default="released")
    parser.add_argument("--crystals", type=int, default=32)
    parser.add_argument("--precision", choices=["float32", "tf32", "bfloat16"], default="float32")
    parser.add_argument("--unreduced", action="store_true", help="keep every site and edge")
    parser.add_argument("--rematerialize", action="store_true")
    parser.add_argument("--seconds", type=float, default=5.0, help="to measure each number for")
    parser.add_argument("--json", help="also write the result there")
    args = parser.parse_args()
    keep_freed_memory()
    config = SIZES[args.size].replace(targets=(TARGET,), rematerialize=args.rematerialize)
    if args.precision == "bfloat16":
        config = config.replace(compute="bfloat16")
    if jax.default_backend() == "gpu":  # which rounds the factors unless told otherwise
        exact = "tensorfloat32" if args.precision == "tf32" else "highest"
        jax.config.update("jax_default_matmul_precision", exact)
    arrays = graphs_of(args.inputs, args.crystals, not args.unreduced)
    budget = snug_budget(arrays)
    batch = jax.device_put(assemble(arrays, budget))
    before = machine.matmul_rate(), machine.copy_rate()
    result = measure(config, batch, len(arrays.n_node), args.seconds)
    after = machine.matmul_rate(), machine.copy_rate()
    flops, copied = (max(pair) for pair in zip(before, after, strict=True))
    beside_the_floor(result, flops, copied)
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
    text = json.dumps(report, indent=1)
    print(text)
    if args.json:
        Path(args.json).write_text(text)


if __name__ == "__main__":
    main()
