"""Dense sums over the edges of a site, where all have as many, beside sums by an index.

    python benchmarks/dense.py --size released --crystals 32

Graphs are not merged and the last shell is cut, so that every site has K edges; both times are of
one network on the same crystals. "merged" is the same network on the merged graphs of the default,
for comparison of what merging gains.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import machine
import numpy as np

from cgatjax.config import GraphConfig, ModelConfig
from cgatjax.data.batching import CrystalBatch, assemble, snug_budget
from cgatjax.graphs.crystal_graph import featurize
from cgatjax.graphs.graph_arrays import GraphArrays
from cgatjax.graphs.reduction import reduce_graph
from cgatjax.nn.cgat import CGAT
from cgatjax.runtime.allocator import keep_freed_memory
from cgatjax.synthetic.dataset import ionic_crystals

SIZES = {"small": ModelConfig.small, "released": ModelConfig.released}


def batches(count: int) -> dict[str, CrystalBatch]:
    """The same crystals dense, by index, and merged."""
    cut = GraphConfig.recommended(split_shell="cut")
    graphs = [featurize(c, cut) for c in ionic_crystals(count)]
    arrays = GraphArrays.from_graphs(graphs)
    dense = assemble(arrays, snug_budget(arrays))
    merged = GraphArrays.from_graphs([reduce_graph(g) for g in graphs])
    return {
        "dense": dense,
        "by index": replace(dense, in_degree=0),
        "merged": assemble(merged, snug_budget(merged)),
    }


def measure(net: CGAT, made: dict[str, CrystalBatch], count: int) -> dict[str, dict[str, float]]:
    """Seconds of each batch, forward and with gradient; largest difference of predictions."""
    params = net.init(jax.random.key(0), made["dense"])["params"]

    @jax.jit
    def forward(params: Any, batch: CrystalBatch) -> Any:
        return net.apply({"params": params}, batch)

    @jax.jit
    @jax.grad
    def gradient(params: Any, batch: CrystalBatch) -> Any:
        return (forward(params, batch)[:, 0] * batch.graph_mask).sum()

    expected = np.asarray(forward(params, made["by index"]))[:count]

    def times(batch: CrystalBatch) -> dict[str, float]:
        found = np.asarray(forward(params, batch))[:count]
        return {
            "forward": machine.seconds(lambda: forward(params, batch)),
            "gradient": machine.seconds(lambda: gradient(params, batch)),
            "difference": float(np.abs(found - expected).max()),
        }

    return {name: times(jax.device_put(batch)) for name, batch in made.items()}


def main() -> None:
    """Prints and writes the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=list(SIZES), default="released")
    parser.add_argument("--crystals", type=int, default=32)
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    keep_freed_memory()
    made = batches(options.crystals)
    results = {}
    for direction in ("neighbor_to_center", "center_to_neighbor"):
        config = SIZES[options.size](message_direction=direction)
        for name, row in measure(CGAT(config), made, options.crystals).items():
            results[f"{direction}, {name}"] = row
    for name, row in results.items():
        print(f"{name:32s} " + "  ".join(f"{k} {v:.4g}" for k, v in row.items()))
    if options.json:
        options.json.write_text(json.dumps({"machine": machine.description(), **results}, indent=1))


if __name__ == "__main__":
    main()
