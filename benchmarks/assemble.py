"""Crystals per second from a store to padded batches, on one core.

A store is opened (or made of generated crystals), and epochs of shuffled batches are taken from it
and padded, as the background thread of training does. Nothing is computed on them.

    python benchmarks/assemble.py
    python benchmarks/assemble.py path/to/store --batch-size 512

Prints JSON. The aim is 50,000 crystals a second at a batch size of 512.
"""

import argparse
import json
import platform
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from cgatjax.config import GraphConfig
from cgatjax.data.batching import assemble
from cgatjax.data.build import build_store
from cgatjax.data.loader import Padding, choose_budgets, plan, shuffled
from cgatjax.data.store import Store, open_store
from cgatjax.synthetic.dataset import ionic_crystals


def measure(store: Store, batch_size: int, repeats: int, least: int) -> dict[str, Any]:
    """Median rate over `repeats` passes over at least `least` crystals each."""
    targets = sorted(store.units)[:1]
    sizes = store.sizes
    budgets = choose_budgets(sizes, batch_size)
    rates, take_shares, padding = [], [], Padding()
    for repeat in range(repeats + 1):  # the first pass maps the file into memory
        epochs = -(-least // len(store))
        passes = range(repeat * epochs, (repeat + 1) * epochs)
        order = np.concatenate([shuffled(len(store), 0, p) for p in passes])
        begin, taking = time.process_time(), 0.0
        for planned in plan(sizes, order, (max(budgets),)):
            before = time.process_time()
            arrays = store.take(planned.positions, targets)
            taking += time.process_time() - before
            assemble(arrays, planned.budget)
            padding.add(planned, sizes)
        seconds = time.process_time() - begin
        rates.append(len(order) / seconds)
        take_shares.append(taking / seconds)
    nodes, edges = padding.fraction
    return {
        "crystals": len(store),
        "mean_nodes": float(sizes[:, 0].mean()),
        "mean_edges": float(sizes[:, 1].mean()),
        "batch_size": batch_size,
        "crystals_per_second": statistics.median(rates[1:]),
        "share_of_reading": statistics.median(take_shares[1:]),
        "padding": {"nodes": nodes, "edges": edges},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", nargs="?", help="made by `cgatjax featurize`; default: generated")
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--crystals", type=int, default=2000, help="to generate")
    parser.add_argument("--least", type=int, default=20_000, help="crystals in a pass")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", help="also write the result there")
    options = parser.parse_args()
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        if options.store:
            stores = {"given": open_store(options.store)}
        else:
            crystals = ionic_crystals(options.crystals)
            configs = {
                "released": GraphConfig.released(),
                "recommended": GraphConfig.recommended(),
            }
            stores = {n: build_store(crystals, Path(folder) / n, c) for n, c in configs.items()}
        for name, store in stores.items():
            report[name] = measure(store, options.batch_size, options.repeats, options.least)
    report["processor"] = platform.processor() or platform.machine()
    report["versions"] = {name: version(name) for name in ("numpy", "pyarrow")}
    text = json.dumps(report, indent=2)
    print(text)
    if options.json:
        Path(options.json).write_text(text)


if __name__ == "__main__":
    main()
