"""Input pipeline: crystals per second from a store to padded batches, on one core.

    python benchmarks/assemble.py
    python benchmarks/assemble.py STORE --batch-size 512

Takes epochs of shuffled batches from a store (or from stores of a synthetic data set, with the
graph options of the released code and with the recommended ones), and pads them as the background
thread of training does. Nothing is computed on the batches.

Prints JSON: median rate of several passes in CPU time, the fraction of it spent on reading the
store, and the padding fraction. The aim is 50,000 crystals/s at a batch size of 512.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import machine
import numpy as np

from cgatjax.config import GraphConfig
from cgatjax.data.batching import assemble
from cgatjax.data.build import build_store
from cgatjax.data.loader import Padding, choose_budgets, plan, shuffled
from cgatjax.data.store import Store, open_store
from cgatjax.synthetic.dataset import ionic_crystals


def measure(store: Store, batch_size: int, repeats: int, least: int) -> dict[str, Any]:
    """Measure `repeats` passes over at least `least` crystals each."""
    targets = sorted(store.units)[:1]
    sizes = store.sizes
    budgets = choose_budgets(sizes, batch_size)
    rates, reading, padding = [], [], Padding()
    for repeat in range(repeats + 1):  # the first pass maps the file into memory
        epochs = -(-least // len(store))
        passes = range(repeat * epochs, (repeat + 1) * epochs)
        order = np.concatenate([shuffled(len(store), 0, p) for p in passes])
        began, read = time.process_time(), 0.0
        for planned in plan(sizes, order, (max(budgets),)):
            before = time.process_time()
            arrays = store.take(planned.positions, targets)
            read += time.process_time() - before
            assemble(arrays, planned.budget)
            padding.add(planned, sizes)
        seconds = time.process_time() - began
        rates.append(len(order) / seconds)
        reading.append(read / seconds)
    nodes, edges = padding.fraction
    return {
        "crystals": len(store),
        "mean_nodes": float(sizes[:, 0].mean()),
        "mean_edges": float(sizes[:, 1].mean()),
        "batch_size": batch_size,
        "crystals_per_second": statistics.median(rates[1:]),
        "reading_fraction": statistics.median(reading[1:]),
        "padding": {"nodes": nodes, "edges": edges},
    }


def main() -> None:
    parser = machine.parser(__doc__)
    parser.add_argument("store", nargs="?", help="store to read; default: synthetic data set")
    parser.add_argument("--batch-size", type=int, default=512, help="crystals per batch")
    parser.add_argument("--crystals", type=int, default=2000, help="size of the synthetic data set")
    parser.add_argument("--least", type=int, default=20_000, help="crystals per pass, at least")
    parser.add_argument("--repeats", type=int, default=5, help="number of passes")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.store:
            stores = {"given": open_store(args.store)}
        else:
            crystals = ionic_crystals(args.crystals)
            configs = {
                "released": GraphConfig.released(),
                "recommended": GraphConfig.recommended(),
            }
            stores = {n: build_store(crystals, Path(folder) / n, c) for n, c in configs.items()}
        report = {
            name: measure(store, args.batch_size, args.repeats, args.least)
            for name, store in stores.items()
        }
    machine.write({**report, "machine": machine.description()}, args.json)


if __name__ == "__main__":
    main()
