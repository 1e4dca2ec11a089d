"""Structures per second: neighbors, shells, graph and reduction against the obvious way.

The obvious way is that of the released code: pymatgen's `get_all_neighbors` within 18 A, a Python
sort of every site's list, and a Python loop over its first K neighbors. Both see the same
structures, one after the other, in one thread; objects are built before the clock starts.

    python benchmarks/featurize.py pbe_000.json.bz2 --structures 500

Without an input, random crystals are made. Prints JSON.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Lattice, Structure

from cgatjax.config import GraphConfig
from cgatjax.graphs.crystal_graph import featurize
from cgatjax.graphs.reduction import reduce_graph
from cgatjax.structures.crystal import Crystal
from cgatjax.structures.readers import read_crystals

SITE_VOLUME = 18.0  # cubic angstrom, about that of an inorganic crystal
SEARCH_RADIUS = 18.0
SHELL_TOLERANCE = 1e-8


def random_crystals(count: int, seed: int) -> list[Crystal]:
    """Crystals of 1..24 sites at random places of a moderately sheared cell."""
    rng = np.random.default_rng(seed)
    crystals = []
    for number in range(count):
        n = int(rng.integers(1, 25))
        lattice = np.eye(3) + 0.2 * rng.uniform(-1, 1, (3, 3))
        lattice *= (n * SITE_VOLUME / np.linalg.det(lattice)) ** (1 / 3)
        crystals.append(
            Crystal(
                id=f"random-{number}",
                lattice=lattice,
                frac_coords=rng.uniform(0, 1, (n, 3)),
                atomic_numbers=rng.integers(1, 93, n).astype(np.uint8),
            )
        )
    return crystals


def sorted_18_angstrom_search(structure: Structure, k: int) -> list[list[tuple[int, int]]]:
    """(neighbor, shell index) of the K nearest of each site, in plain Python."""
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
    """Median over `repeats` of the mean CPU time of one item (a busy machine distorts it less)."""
    work(items[0])
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        for item in items:
            work(item)
        times.append((time.process_time() - begin) / len(items))
    return statistics.median(times)


def measure(crystals: list[Crystal], n_baseline: int, repeats: int) -> dict[str, Any]:
    """Milliseconds a structure of every way, and how much the graphs shrink."""
    baseline = crystals[:n_baseline]
    structures = [Structure(Lattice(c.lattice), c.atomic_numbers, c.frac_coords) for c in baseline]
    config = GraphConfig.released()
    k = config.max_neighbors
    old = seconds_per_item(lambda s: sorted_18_angstrom_search(s, k), structures, 1)
    same = seconds_per_item(lambda c: featurize(c, config), baseline, repeats)
    results: dict[str, Any] = {
        "baseline_structures": len(baseline),
        "search_18A_and_sort_ms": 1e3 * old,
        "featurize_same_structures_ms": 1e3 * same,
        "times_faster": old / same,
    }
    for name, options in (("released", config), ("recommended", GraphConfig.recommended())):
        graphs = [featurize(c, options) for c in crystals]
        reduced = [reduce_graph(g) for g in graphs]
        found = seconds_per_item(lambda c, o=options: featurize(c, o), crystals, repeats)
        merged = seconds_per_item(reduce_graph, graphs, repeats)
        results[name] = {
            "featurize_ms": 1e3 * found,
            "reduce_ms": 1e3 * merged,
            "structures_per_second": 1 / (found + merged),
            "nodes_left": sum(g.n_nodes for g in reduced) / sum(g.n_nodes for g in graphs),
            "edges_left": sum(g.n_edges for g in reduced) / sum(g.n_edges for g in graphs),
        }
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("inputs", nargs="*", help="files or folders of structures")
    parser.add_argument("--structures", type=int, default=500, help="at most so many")
    parser.add_argument("--baseline", type=int, default=50, help="structures for the slow way")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0, help="of the random crystals")
    parser.add_argument("--json", help="also write the result there")
    options = parser.parse_args()
    if options.inputs:
        found = (c for c in read_crystals(options.inputs) if isinstance(c, Crystal))
        crystals = [c for c, _ in zip(found, range(options.structures), strict=False)]
        # Spread the slow way's share over the file: neighbors in a file are of one kind.
        np.random.default_rng(options.seed).shuffle(crystals)  # type: ignore[arg-type]
    else:
        crystals = random_crystals(options.structures, options.seed)
    report = {
        "structures": len(crystals),
        "mean_sites": statistics.fmean(c.n_sites for c in crystals),
        **measure(crystals, min(options.baseline, len(crystals)), options.repeats),
        "processor": platform.processor() or platform.machine(),
        "versions": {name: version(name) for name in ("numpy", "pymatgen")},
    }
    text = json.dumps(report, indent=2)
    print(text)
    if options.json:
        Path(options.json).write_text(text)


if __name__ == "__main__":
    main()
