"""Scaling of the gradient's time with crystals, sites, neighbors and width.

    python benchmarks/growth.py --json growth.json --figure growth.png

Changes one quantity at a time on random graphs that cannot be reduced (all sites are distinct); the
others stay at 16 crystals of 8 sites, 24 neighbors, width 64. Prints JSON: seconds of the gradient
of one batch at each value. The figure has log-log panels; the slope of the last two points is the
exponent of the cost.
"""

from pathlib import Path
from typing import Any

import jax
import machine
import matplotlib
import numpy as np

from cgatjax.config import ModelConfig
from cgatjax.data.batching import collate
from cgatjax.graphs.crystal_graph import CrystalGraph
from cgatjax.model.network import Network
from cgatjax.runtime.allocator import keep_freed_memory

BASE = {"crystals": 16, "sites": 8, "neighbors": 24, "width": 64}
RANGES = {
    "crystals": (4, 8, 16, 32, 64, 128),
    "sites": (2, 4, 8, 16, 32, 64),
    "neighbors": (6, 12, 24, 48, 96),
    "width": (16, 32, 64, 128, 256),
}
LABELS = {
    "crystals": "crystals in a batch",
    "sites": "sites in a crystal",
    "neighbors": "neighbors of a site",
    "width": "widths D and R",
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
    return machine.seconds(lambda: gradient(params, batch), 1.0)


def draw(result: dict[str, Any], path: Path) -> None:
    """Draw a log-log panel for each quantity, with the slope of its last two points."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(result), figsize=(13, 3.4), sharey=True, squeeze=False)
    for panel, (name, points) in zip(panels[0], result.items(), strict=True):
        x, y = np.array(points).T
        slope = np.log(y[-1] / y[-2]) / np.log(x[-1] / x[-2])
        panel.loglog(x, 1e3 * y, "o-", color="tab:blue")
        panel.set_xticks(x, [f"{v:.0f}" for v in x])
        panel.minorticks_off()
        panel.set_xlabel(LABELS[name])
        panel.set_title(f"slope at the end {slope:.2f}", fontsize=10)
        panel.axvline(BASE[name], color="0.8", zorder=0)
        panel.grid(alpha=0.3)
    panels[0, 0].set_ylabel("gradient of a batch, ms")
    figure.tight_layout()
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = machine.parser(__doc__)
    parser.add_argument("--figure", type=Path, metavar="FILE", help="file for the figure")
    parser.add_argument(
        "--quantities", nargs="+", choices=RANGES, default=list(RANGES), help="quantities to change"
    )
    args = parser.parse_args()
    keep_freed_memory()
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
