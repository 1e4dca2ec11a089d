"""Prediction: crystals per second from a store, with and without compilation.

    python benchmarks/inference.py
    python benchmarks/inference.py STORE --size small --batch-size 256

Predicts the crystals of a store (or of a synthetic data set) twice with random weights, reading and
padding included. Prints JSON: the seconds of both passes, the first of which compiles, and the
rate of the second, also by processor time, as if all cores were free.
"""

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import machine

from cgatjax.config import GraphConfig, ModelConfig
from cgatjax.data.build import build_store
from cgatjax.data.store import Store, open_store
from cgatjax.inference.prediction import predict
from cgatjax.model.model import init_model
from cgatjax.model.normalizer import Normalizer
from cgatjax.synthetic.dataset import ionic_crystals

SIZES = {"small": ModelConfig.small(), "released": ModelConfig.released()}


def measure(store: Store, size: str, batch_size: int, crystals: int) -> dict[str, Any]:
    """Measure two predictions of at most `crystals` crystals."""
    target = sorted(store.units)[0]
    model = init_model(SIZES[size], store, target=target)
    model = model.replace(normalizers={target: Normalizer(mean=0.0, std=1.0)})
    data = store.all()
    data = data.select(slice(0, crystals)) if len(data) > crystals else data
    times, used = [], 0.0
    for _ in range(2):
        began, used = time.perf_counter(), -time.process_time()
        predict(model, data, batch_size=batch_size)
        times.append(time.perf_counter() - began)
        used += time.process_time()
    return {
        "crystals": len(data),
        "size": size,
        "batch_size": batch_size,
        "crystals_per_second": len(data) / times[1],
        "per_processor_second": len(data) / (used / len(os.sched_getaffinity(0))),
        "seconds_first": times[0],
        "seconds_second": times[1],
    }


def main() -> None:
    parser = machine.parser(__doc__)
    parser.add_argument("store", nargs="?", help="store to predict; default: synthetic data set")
    parser.add_argument("--size", choices=SIZES, default="small", help="network")
    parser.add_argument("--batch-size", type=int, default=256, help="crystals per batch")
    parser.add_argument("--crystals", type=int, default=5000, help="largest number of crystals")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.store:
            store = open_store(args.store)
        else:
            crystals = ionic_crystals(args.crystals)
            store = build_store(crystals, Path(folder) / "store", GraphConfig.recommended())
        result = measure(store, args.size, args.batch_size, args.crystals)
    report = {"machine": machine.description(), **result, "peak_memory_gib": machine.peak_memory()}
    machine.write(report, args.json)


if __name__ == "__main__":
    main()
