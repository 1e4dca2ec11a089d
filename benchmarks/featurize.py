"""Featurization: structures per second, beside the method of the released code.

    python benchmarks/featurize.py pbe_000.json.bz2 --structures 500

The released code calls pymatgen's `get_all_neighbors` within 18 A, sorts the list of every site in
Python, and loops over its first K neighbors. Both methods get the same structures, one after the
other, in one thread; objects are made before the clock starts. Without inputs, random crystals are
made.

Prints JSON: CPU milliseconds per structure of the released method, of featurization and of
reduction, and the fractions of nodes and edges that reduction leaves.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import machine
import numpy as np
from invariances import random_crystal
from pymatgen.core import Lattice, Structure

from cgatjax.config import GraphConfig
from cgatjax.graphs.crystal_graph import featurize
from cgatjax.graphs.reduction import reduce_graph
from cgatjax.structures.crystal import Crystal
from cgatjax.structures.readers import read_crystals

SEARCH_RADIUS = 18.0
SHELL_TOLERANCE = 1e-8


def released_neighbors(structure: Structure, k: int) -> list[list[tuple[int, int]]]:
    """Find (neighbor, shell index) of the K nearest of each site as the released code does."""
    table = []
    for neighbors in structure.get_all_neighbors(SEARCH_RADIUS):
        nearest = sorted(neighbors, key=lambda neighbor: neighbor.nn_distance)[:k]
        shell, first, row = 1, nearest[0].nn_distance, []
        for neighbor in nearest:
            if neighbor.nn_distance > first + SHELL_TOLERANCE:
                shell, first = shell + 1, neighbor.nn_distance
            row.append((neighbor.index, shell))
        table.append(row)
    return table


def seconds_per_item(work: Callable[[Any], Any], items: Sequence[Any], repeats: int) -> float:
    """Return the median over `repeats` of the mean CPU time of one item."""
    work(items[0])
    times = []
    for _ in range(repeats):
        began = time.process_time()
        for item in items:
            work(item)
        times.append((time.process_time() - began) / len(items))
    return statistics.median(times)


def measure(crystals: list[Crystal], n_baseline: int, repeats: int) -> dict[str, Any]:
    """Measure the released method on the first crystals, and ours on all."""
    baseline = crystals[:n_baseline]
    structures = [Structure(Lattice(c.lattice), c.atomic_numbers, c.frac_coords) for c in baseline]
    config = GraphConfig.released()
    released = seconds_per_item(
        lambda s: released_neighbors(s, config.max_neighbors), structures, 1
    )
    ours = seconds_per_item(lambda c: featurize(c, config), baseline, repeats)
    results: dict[str, Any] = {
        "baseline_structures": len(baseline),
        "released_method_ms": 1e3 * released,
        "featurize_same_structures_ms": 1e3 * ours,
        "times_faster": released / ours,
    }
    for name, options in (("released", config), ("recommended", GraphConfig.recommended())):
        graphs = [featurize(c, options) for c in crystals]
        reduced = [reduce_graph(g) for g in graphs]
        featurizing = seconds_per_item(lambda c, o=options: featurize(c, o), crystals, repeats)
        reducing = seconds_per_item(reduce_graph, graphs, repeats)
        results[name] = {
            "featurize_ms": 1e3 * featurizing,
            "reduce_ms": 1e3 * reducing,
            "structures_per_second": 1 / (featurizing + reducing),
            "nodes_left": sum(g.n_nodes for g in reduced) / sum(g.n_nodes for g in graphs),
            "edges_left": sum(g.n_edges for g in reduced) / sum(g.n_edges for g in graphs),
        }
    return results


def main() -> None:
    parser = machine.parser(__doc__)
    parser.add_argument("inputs", nargs="*", help="files or folders of structures")
    parser.add_argument("--structures", type=int, default=500, help="largest number of structures")
    parser.add_argument("--baseline", type=int, default=50, help="structures of released method")
    parser.add_argument("--repeats", type=int, default=5, help="repetitions of each timing")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random crystals")
    args = parser.parse_args()
    if args.inputs:
        found = (c for c in read_crystals(args.inputs) if isinstance(c, Crystal))
        crystals = [c for c, _ in zip(found, range(args.structures), strict=False)]
        # The baseline's crystals are spread over the file, in which similar ones are adjacent.
        np.random.default_rng(args.seed).shuffle(crystals)  # type: ignore[arg-type]
    else:
        seeds = range(args.seed, args.seed + args.structures)
        crystals = [random_crystal(seed, max_sites=24) for seed in seeds]
    report = {
        "structures": len(crystals),
        "mean_sites": statistics.fmean(c.n_sites for c in crystals),
        **measure(crystals, min(args.baseline, len(crystals)), args.repeats),
        "machine": machine.description(),
    }
    machine.write(report, args.json)


if __name__ == "__main__":
    main()
