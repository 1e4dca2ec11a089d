"""Segment sums: dense sums over the edges of a site, beside sums by index.

    python benchmarks/dense.py --size released --crystals 32

If every site has K edges (last shell cut, graphs not reduced), a segment sum is a sum over an axis
("dense"). "by index" is the same network on the same graphs with scatter-adds; "reduced" is the
same network on the reduced graphs of the default, which are smaller but not regular.

Prints a line for each message direction and kind: seconds forward and with gradient, and the
largest difference from the predictions by index.
"""

from dataclasses import replace
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


def make_batches(count: int) -> dict[str, CrystalBatch]:
    """Make batches of the same crystals: dense, by index, and reduced."""
    cut = GraphConfig.recommended(split_shell="cut")
    graphs = [featurize(c, cut) for c in ionic_crystals(count)]
    arrays = GraphArrays.from_graphs(graphs)
    dense = assemble(arrays, snug_budget(arrays))
    reduced = GraphArrays.from_graphs([reduce_graph(g) for g in graphs])
    return {
        "dense": dense,
        "by index": replace(dense, in_degree=0),
        "reduced": assemble(reduced, snug_budget(reduced)),
    }


def measure(net: CGAT, batches: dict[str, CrystalBatch], count: int) -> dict[str, dict[str, float]]:
    """Measure one network on all batches."""
    params = net.init(jax.random.key(0), batches["dense"])["params"]

    @jax.jit
    def forward(params: Any, batch: CrystalBatch) -> Any:
        return net.apply({"params": params}, batch)

    @jax.jit
    @jax.grad
    def gradient(params: Any, batch: CrystalBatch) -> Any:
        return (forward(params, batch)[:, 0] * batch.graph_mask).sum()

    expected = np.asarray(forward(params, batches["by index"]))[:count]

    def times(batch: CrystalBatch) -> dict[str, float]:
        found = np.asarray(forward(params, batch))[:count]
        return {
            "forward": machine.seconds(lambda: forward(params, batch)),
            "gradient": machine.seconds(lambda: gradient(params, batch)),
            "difference": float(np.abs(found - expected).max()),
        }

    return {name: times(jax.device_put(batch)) for name, batch in batches.items()}


def main() -> None:
    parser = machine.parser(__doc__)
    parser.add_argument("--size", choices=list(SIZES), default="released", help="network")
    parser.add_argument("--crystals", type=int, default=32, help="crystals in the batch")
    args = parser.parse_args()
    keep_freed_memory()
    batches = make_batches(args.crystals)
    results = {}
    for direction in ("neighbor_to_center", "center_to_neighbor"):
        net = CGAT(SIZES[args.size](message_direction=direction))
        for name, row in measure(net, batches, args.crystals).items():
            results[f"{direction}, {name}"] = row
            numbers = "  ".join(f"{k} {v:.4g}" for k, v in row.items())
            print(f"{direction + ', ' + name:32s} {numbers}")
    machine.write({"machine": machine.description(), **results}, args.json, show=False)


if __name__ == "__main__":
    main()
