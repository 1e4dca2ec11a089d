"""Screening: candidates per second, beside predictions of separate structures.

    python benchmarks/screening.py
    python benchmarks/screening.py --perov5 perov5.csv.gz --sizes small released

Predicts decorations of a cubic perovskite (or of the first structure in the CSV file of perov5)
with random weights:

- structures: `cgatjax.predict` of separate structures, neighbor search included;
- graphs: the same without featurization;
- decorated: `cgatjax.screen`'s prediction with one graph for all, without reading or writing;
- screen: all of `cgatjax.screen`, with enumeration, shards and sorted results;
- screen, filtered: the same with the charge filter.

Prints a table in Markdown for each network: median candidates/s after a run that compiles, and the
ratios to "structures", in wall time and in CPU time per core. CPU time is the better measure if
other work shares the machine.
"""

import itertools
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
from cgatjax.data.graph_list import GraphList
from cgatjax.inference.prediction import graphs_of, predict
from cgatjax.inference.predictor import Predictor
from cgatjax.model.model import Model, init_model
from cgatjax.model.normalizer import Normalizer
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
    """Draw (n, classes) elements: metals on all site classes but the last, which has anions."""
    random = np.random.default_rng(0)
    columns = [random.choice(METALS, n) for _ in template.classes[:-1]]
    return np.stack([*columns, random.choice(ANIONS, n)], axis=1).astype(np.uint8)


def timed(work: Callable[[], Any], n: int, repeats: int) -> dict[str, float]:
    """Measure medians over some runs, after a warm-up run."""
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
    """Measure all methods with one network."""
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
    """Print the table of one network."""
    base = found["structures"]
    print(f"\n{size}: batches of {found['batch_size']}, ", end="")
    print(f"largest difference {found['largest_difference']:.1e}\n")
    print("| method | candidates/s | by CPU time | over structures | by CPU time |")
    print("|---|---:|---:|---:|---:|")
    for method, result in found.items():
        if isinstance(result, dict):
            clock, processor = result["per_second"], result["per_processor_second"]
            ratios = clock / base["per_second"], processor / base["per_processor_second"]
            cells = f"{clock:,.0f} | {processor:,.0f} | {ratios[0]:.1f} | {ratios[1]:.1f}"
            print(f"| {method} | {cells} |")


def main() -> None:
    parser = machine.parser(__doc__)
    parser.add_argument("--perov5", help="CSV file whose first structure is the prototype")
    parser.add_argument(
        "--sizes", nargs="+", choices=SIZES, default=["small", "released"], help="networks"
    )
    parser.add_argument(
        "--candidates", type=int, default=8192, help="candidates of small; released has an eighth"
    )
    parser.add_argument("--repeats", type=int, default=3, help="runs of each timing")
    parser.add_argument(
        "--released-options", action="store_true", help="graph options of the released code"
    )
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
    machine.write(report, args.json, show=False)


if __name__ == "__main__":
    main()
