"""Scaling of the gradient's time with crystals, sites, neighbors and width.

    python benchmarks/growth.py --json growth.json --figure growth.png

Changes one quantity at a time on random graphs that cannot be reduced (all sites are distinct); the
others stay at 16 crystals of 8 sites, 24 neighbors, width 64. Prints JSON: processor seconds, which
other work on the machine does not change, of the gradient of one batch at each value. The figure
has a line for each quantity; the slope of its last two points is the exponent of the cost.
"""

import time
from pathlib import Path
from typing import Any

import jax
import machine
import numpy as np

from cgatjax.config import ModelConfig
from cgatjax.data.batching import collate
from cgatjax.graphs.crystal_graph import CrystalGraph
from cgatjax.model.network import Network
from cgatjax.plotting.style import colors, new_figure, plain_ticks, save_figure

BASE = {"crystals": 16, "sites": 8, "neighbors": 24, "width": 64}
RANGES = {
    "crystals": (4, 8, 16, 32, 64, 128),
    "sites": (2, 4, 8, 16, 32, 64),
    "neighbors": (6, 12, 24, 48, 96),
    "width": (16, 32, 64, 128, 256),
}
LABELS = {
    "crystals": "crystals of a batch (16)",
    "sites": "sites of a crystal (8)",
    "neighbors": "neighbors of a site (24)",
    "width": "widths D and R (64)",
}


def random_graph(sites: int, neighbors: int, random: np.random.Generator) -> CrystalGraph:
    """Make a graph in which every site has random neighbors."""
    neighbor_sites = random.integers(0, sites, (sites, neighbors))
    shells = np.sort(random.integers(1, neighbors + 1, (sites, neighbors)), axis=1)
    return CrystalGraph.from_neighbors(random.integers(1, 95, sites), neighbor_sites, shells)


def gradient_seconds(crystals: int, sites: int, neighbors: int, width: int) -> float:
    """Measure the gradient of the sum of the outputs of one batch."""
    random = np.random.default_rng(0)
    batch = collate([random_graph(sites, neighbors, random) for _ in range(crystals)])
    config = ModelConfig.small(node_dim=width, edge_dim=width, max_shells=neighbors)
    network = Network(config)
    params = network.init(0)
    gradient = jax.jit(jax.grad(lambda p, b: network.apply(p, b)[config.targets[0]].sum()))
    return machine.seconds(lambda: gradient(params, batch), 1.0, clock=time.process_time)


def draw(result: dict[str, Any], path: Path) -> None:
    """Draw time against size, both relative to the common batch, with the slope of the end."""
    figure, (axes,) = new_figure(6.0, 4.4)
    for color, (name, points) in zip(colors(len(result)), result.items(), strict=True):
        x, y = np.array(points).T
        slope = np.log(y[-1] / y[-2]) / np.log(x[-1] / x[-2])
        label = f"{LABELS[name]}: {slope:.2f}"
        x, y = x / BASE[name], y / y[x == BASE[name]]
        axes.plot(x, y, color=color, marker="o", markersize=4, label=label)
    axes.set(xscale="log", yscale="log")
    plain_ticks(axes.xaxis)
    plain_ticks(axes.yaxis)
    axes.set_xlabel("size relative to the value in parentheses")
    axes.set_ylabel("processor time of a gradient, relative")
    axes.legend(frameon=False, title="changed quantity: slope at the end")
    save_figure(figure, path)


def main() -> None:
    parser = machine.parser(__doc__)
    parser.add_argument("--figure", type=Path, metavar="FILE", help="file for the figure")
    parser.add_argument(
        "--quantities", nargs="+", choices=RANGES, default=list(RANGES), help="quantities to change"
    )
    args = parser.parse_args()
    result = {
        name: [(value, gradient_seconds(**{**BASE, name: value})) for value in RANGES[name]]
        for name in args.quantities
    }
    report = {"machine": machine.description(), "base": BASE, "seconds": result}
    machine.write(report, args.json)
    if args.figure:
        draw(result, args.figure)


if __name__ == "__main__":
    main()
