"""Crystals per second predicted from a store, reading, padding and compiling told apart.

    python benchmarks/inference.py
    python benchmarks/inference.py store/ --size small --batch-size 256

The store is opened, or made of generated crystals; the weights are random.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import machine

from cgatjax.config import GraphConfig, ModelConfig
from cgatjax.data.build import build_store
from cgatjax.data.store import Store, open_store
from cgatjax.inference.prediction import predict
from cgatjax.models.model import init_model
from cgatjax.models.normalizer import Normalizer
from cgatjax.runtime.allocator import keep_freed_memory
from cgatjax.synthetic.dataset import ionic_crystals

SIZES = {"small": ModelConfig.small(), "released": ModelConfig.released()}


def measure(store: Store, size: str, batch_size: int, crystals: int) -> dict[str, Any]:
    """Rates of the first prediction, which compiles, and of the second."""
    target = sorted(store.units)[0]
    model = init_model(SIZES[size], store, target=target)
    model = model.replace(normalizers={target: Normalizer(mean=0.0, std=1.0)})
    data = store.all()
    data = data.select(slice(0, crystals)) if len(data) > crystals else data
    times = []
    for _ in range(2):
        began = time.perf_counter()
        predict(model, data, batch_size=batch_size)
        times.append(time.perf_counter() - began)
    return {
        "crystals": len(data),
        "size": size,
        "batch_size": batch_size,
        "crystals_per_second": len(data) / times[1],
        "seconds_first": times[0],
        "seconds_second": times[1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("store", nargs="?", help="a store; generated crystals without")
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--crystals", type=int, default=5000, help="at most so many")
    parser.add_argument("--json", help="also write the result there")
    args = parser.parse_args()
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        if args.store:
            store = open_store(args.store)
        else:
            made = ionic_crystals(args.crystals)
            store = build_store(made, Path(folder) / "store", GraphConfig.recommended())
        result = measure(store, args.size, args.batch_size, args.crystals)
    report = {"machine": machine.description(), **result, "peak_memory_gib": machine.peak_memory()}
    text = json.dumps(report, indent=1)
    print(text)
    if args.json:
        Path(args.json).write_text(text)


if __name__ == "__main__":
    main()
