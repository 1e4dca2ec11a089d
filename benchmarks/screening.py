"""Candidates per second of a screening, beside predicting the same crystals one by one.

    python benchmarks/screening.py
    python benchmarks/screening.py --perov5 perov5.csv.gz --sizes small released

Four ways with the same random weights and the same decorations of a cubic perovskite (or of the
first prototype that is read from the CSV file of perov5):

- structures: `cgatjax.predict` of separate structures, neighbor search included;
- graphs: the same after the graphs were made and reduced;
- decorated: one graph for all, as `cgatjax.screen` predicts, without reading or writing;
- screen: the whole verb, with enumeration, the filter of charges, shards and sorted results.

The median of several runs is given after one that compiles, in seconds of the clock and of the
processor (per core): the second is what counts where other work shares the machine.
"""

import argparse
import itertools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import machine
import numpy as np

from cgatjax.config import GraphConfig, ModelConfig
from cgatjax.data.datasets import GraphList
from cgatjax.inference.prediction import graphs_of, predict
from cgatjax.inference.predictor import Predictor
from cgatjax.models.model import Model, init_model
from cgatjax.models.normalizer import Normalizer
from cgatjax.runtime.allocator import keep_freed_memory
from cgatjax.screening.composition_filter import CompositionFilter
from cgatjax.screening.decorated_batches import DecoratedPredictor
from cgatjax.screening.ranking import Keep
from cgatjax.screening.screen_loop import screen
from cgatjax.screening.templates import Template
from cgatjax.structures.crystal import Crystal
from cgatjax.structures.elements import SYMBOLS
from cgatjax.structures.readers import read_crystals

SIZES = {"small": ModelConfig.small(), "released": ModelConfig.released()}
CUBIC = Crystal(
    id="cubic perovskite",
    lattice=4.0 * np.eye(3),
    frac_coords=np.array([[0, 0, 0], [1, 1, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]]) / 2,
    atomic_numbers=np.array([38, 22, 8, 8, 8], np.uint8),
)
METALS = [3, 4, 11, 12, 13, *range(19, 32), *range(37, 51), *range(55, 84)]
ANIONS = [7, 8, 9, 16, 17, 34, 35]


def decorations(template: Template, n: int) -> np.ndarray:
    """(n, classes): metals on all classes but the last, anions there; a fixed random choice."""
    random = np.random.default_rng(0)
    columns = [random.choice(METALS, n) for _ in template.classes[:-1]]
    return np.stack([*columns, random.choice(ANIONS, n)], axis=1).astype(np.uint8)


def timed(work: Callable[[], Any], n: int, repeats: int) -> dict[str, float]:
    """Medians over some runs after one that is not counted."""
    began = time.perf_counter()
    work()
    first = time.perf_counter() - began
    clock, processor = [], []
    for _ in range(repeats):
        began, used = time.perf_counter(), time.process_time()
        work()
        clock.append(time.perf_counter() - began)
        processor.append(time.process_time() - used)
    seconds, cores = statistics.median(clock), len(os.sched_getaffinity(0))
    return {
        "candidates": n,
        "per_second": n / seconds,
        "per_processor_second": n / (statistics.median(processor) / cores),
        "first_seconds": first,
    }


def measure(model: Model, template: Template, n: int, repeats: int) -> dict[str, Any]:
    """The four ways for one network."""
    numbers, predictor = decorations(template, n), Predictor.of(model)
    few = numbers[: max(n // 8, 32)]
    crystals = [template.decorated(row) for row in few]
    graphs, _ = graphs_of(model, crystals)
    decorated = DecoratedPredictor(predictor, template, "x")
    runs = itertools.count()
    metals, anions = [SYMBOLS[z] for z in METALS], [SYMBOLS[z] for z in ANIONS]
    side = max(round((n / len(anions)) ** (1 / max(len(template.classes) - 1, 1))), 1)
    lists: dict[str, list[str]] = {
        name: metals[:side] if k < len(template.classes) else anions
        for k, name in enumerate(template.classes, 1)
    }
    with tempfile.TemporaryDirectory() as folder:

        def whole(**options: Any) -> Any:
            out = Path(folder) / str(next(runs))
            keep = Keep(best=1000)
            return screen(model, template.crystal, out, elements=lists, keep=keep, **options)

        ordered = CompositionFilter(charge="ordered")
        report = whole().report
        results = {
            "structures": timed(lambda: predict(model, crystals), len(few), repeats),
            "graphs": timed(lambda: predict(model, graphs), len(few), repeats),
            "decorated": timed(lambda: decorated(numbers), n, repeats),
            "screen": timed(whole, report["predicted"], repeats),
            "screen, filtered": timed(
                lambda: whole(filters=ordered), whole(filters=ordered).report["seen"], repeats
            ),
        }
    mean, _ = decorated(few)
    difference = float(np.abs(mean - predict(model, crystals).mean).max())
    return {**results, "batch_size": decorated.batch_size, "largest_difference": difference}


def show(size: str, found: dict[str, Any]) -> None:
    base = found["structures"]
    print(f"\n{size}: batches of {found['batch_size']}, ", end="")
    print(f"largest difference {found['largest_difference']:.1e}\n")
    print("| way | candidates/s | by processor time | against structures | by processor time |")
    print("|---|---:|---:|---:|---:|")
    for way, result in found.items():
        if isinstance(result, dict):
            clock, processor = result["per_second"], result["per_processor_second"]
            ratios = clock / base["per_second"], processor / base["per_processor_second"]
            cells = f"{clock:,.0f} | {processor:,.0f} | {ratios[0]:.1f} | {ratios[1]:.1f}"
            print(f"| {way} | {cells} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--perov5", help="CSV file whose first structure is the prototype")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["small", "released"])
    parser.add_argument("--candidates", type=int, default=8192, help="for the small size")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--released-options", action="store_true", help="of graphs")
    parser.add_argument("--json", help="also write the result there")
    args = parser.parse_args()
    keep_freed_memory()
    crystal = CUBIC
    if args.perov5:
        crystal = next(c for c in read_crystals(args.perov5) if isinstance(c, Crystal))
    options = GraphConfig() if args.released_options else GraphConfig.recommended()
    template = Template.of(crystal, options)
    report: dict[str, Any] = {
        "machine": machine.description(),
        "prototype": crystal.id,
        "sites": crystal.n_sites,
        "nodes": template.graph.n_nodes,
        "edges": template.graph.n_edges,
    }
    for size in args.sizes:
        model = init_model(SIZES[size], GraphList([template.graph], options), target="x")
        model = model.replace(normalizers={"x": Normalizer(mean=0.0, std=1.0)})
        n = args.candidates if size == "small" else max(args.candidates // 8, 64)
        report[size] = measure(model, template, n, args.repeats)
        show(size, report[size])
    report["peak_memory_gib"] = machine.peak_memory()
    if args.json:
        Path(args.json).write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
