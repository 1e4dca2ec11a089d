"""Screening: candidates per second, beside predictions of separate structures.

    python benchmarks/screening.py
    python benchmarks/screening.py --perov5 perov5.csv.gz --sizes small released
    python benchmarks/screening.py --without-network 100000000

Predicts decorations of a cubic perovskite (or of the first structure in the CSV file of perov5)
with random weights:

- structures: `cgatjax.predict` of separate structures, neighbor search included;
- graphs: the same without featurization;
- decorated: `cgatjax.screen`'s prediction with one graph for all, without reading or writing;
- decorated, shared: the same with the first message-passing step shared between candidates;
- screen: all of `cgatjax.screen`, with enumeration, shards and sorted results;
- screen, filtered: the same with the charge filter;
- screen, all elements: the same filter with 76 elements on every class, or as many as make 50
  times as many candidates.

Prints a table in Markdown for each network: median candidates/s after a run that compiles, and the
ratios to "structures", in wall time and in CPU time per core. The methods take turns, so that other
work on the machine slows all of them; CPU time is the better measure then. Two more lines give the
floor: the operations of all matrix products for a candidate, and how many candidates per second
that would be at the rate of one large product.

With --without-network N a hash takes the place of the network, and about N decorations of an
elpasolite are screened for the best 1000: time and memory of all the rest.
"""

import functools
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import machine
import numpy as np

from cgatjax.config import GraphConfig, ModelConfig
from cgatjax.data.graph_list import GraphList
from cgatjax.inference.new_graphs import graphs_of
from cgatjax.inference.prediction import predict
from cgatjax.inference.predictor import Predictor
from cgatjax.model.model import Model, init_model
from cgatjax.model.normalizer import Normalizer
from cgatjax.screening import decorations as decorations_module
from cgatjax.screening.composition_filter import CompositionFilter
from cgatjax.screening.decorated_batches import DecoratedPredictor
from cgatjax.screening.ranking import Keep
from cgatjax.screening.screen_loop import screen
from cgatjax.screening.templates import Assignments, Template, template_of
from cgatjax.structures.crystal import Crystal
from cgatjax.structures.elements import SYMBOLS
from cgatjax.structures.readers import read_crystals
from cgatjax.synthetic.prototypes import find_prototype

SIZES = {"small": ModelConfig.small(), "released": ModelConfig.released()}
CUBIC = Crystal(
    id="cubic perovskite",
    lattice=4.0 * np.eye(3),
    frac_coords=np.array([[0, 0, 0], [1, 1, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]]) / 2,
    atomic_numbers=np.array([38, 22, 8, 8, 8], np.uint8),
)
METALS = [3, 4, 11, 12, 13, *range(19, 32), *range(37, 51), *range(55, 84)]
ANIONS = [7, 8, 9, 16, 17, 34, 35]
USUAL = sorted({*range(1, 84)} - {2, 10, 18, 36, 43, 54, 61})
"""Elements without those that are noble or radioactive."""


def decorations(template: Template, n: int) -> np.ndarray:
    """Draw (n, classes) elements: metals on all site classes but the last, which has anions."""
    random = np.random.default_rng(0)
    columns = [random.choice(METALS, n) for _ in template.classes[:-1]]
    return np.stack([*columns, random.choice(ANIONS, n)], axis=1).astype(np.uint8)


def timed(
    works: dict[str, tuple[Callable[[], Any], int]], repeats: int
) -> dict[str, dict[str, float]]:
    """Measure medians of all methods, in turns, after a warm-up run of each.

    Args:
      works: method -> function and number of candidates.
      repeats: number of turns.
    """
    first: dict[str, float] = {}
    clock: dict[str, list[float]] = {name: [] for name in works}
    processor: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(repeats + 1):
        for name, (work, _) in works.items():
            began, used = time.perf_counter(), time.process_time()
            work()
            if not turn:
                first[name] = time.perf_counter() - began
                continue
            clock[name].append(time.perf_counter() - began)
            processor[name].append(time.process_time() - used)
    cores = len(os.sched_getaffinity(0))
    return {
        name: {
            "candidates": n,
            "per_second": n / statistics.median(clock[name]),
            "per_processor_second": n / (statistics.median(processor[name]) / cores),
            "first_seconds": first[name],
        }
        for name, (_, n) in works.items()
    }


def measure(model: Model, template: Template, n: int, repeats: int) -> dict[str, Any]:
    """Measure all methods with one network."""
    numbers, predictor = decorations(template, n), Predictor.of(model)
    few = numbers[: max(n // 8, 32)]
    crystals = [template.decorated(row) for row in few]
    graphs, _ = graphs_of(model, crystals)
    pools = (*[tuple(METALS)] * (len(template.classes) - 1), tuple(ANIONS))
    decorated = DecoratedPredictor(predictor, template, "x")
    shared = DecoratedPredictor(predictor, template, "x", None, Assignments(pools))
    runs = itertools.count()
    metals, anions = [SYMBOLS[z] for z in METALS], [SYMBOLS[z] for z in ANIONS]
    side = max(round((n / len(anions)) ** (1 / max(len(template.classes) - 1, 1))), 1)
    lists: dict[str, list[str]] = {
        name: metals[:side] if k < len(template.classes) else anions
        for k, name in enumerate(template.classes, 1)
    }
    every = {"*": [SYMBOLS[z] for z in USUAL][: round((50 * n) ** (1 / len(template.classes)))]}
    with tempfile.TemporaryDirectory() as folder:

        def whole(elements: dict[str, list[str]], charge: Any = "any") -> dict[str, Any]:
            out, keep = Path(folder) / str(next(runs)), Keep(best=1000)
            filters = CompositionFilter(charge=charge, distinct=charge != "any")
            found = screen(
                model, template.crystal, out, elements=elements, keep=keep, filters=filters
            )
            return found.report

        counts = {
            "screen": (lists, "any"),
            "screen, filtered": (lists, "ordered"),
            "screen, all elements": (every, "ordered"),
        }
        reports = {name: whole(*options) for name, options in counts.items()}
        works: dict[str, tuple[Callable[[], Any], int]] = {
            "structures": (lambda: predict(model, crystals), len(few)),
            "graphs": (lambda: predict(model, graphs), len(few)),
            "decorated": (lambda: decorated(numbers), n),
            "decorated, shared": (lambda: shared(numbers), n),
        }
        for name, options in counts.items():
            works[name] = (functools.partial(whole, *options), reports[name]["seen"])
        results: dict[str, Any] = timed(works, repeats)
    mean, expected = shared(few)[0], predict(model, crystals).mean
    batch, operations = numbers[: decorated.batch_size], {}
    for name, method in (("decorated", decorated), ("decorated, shared", shared)):
        function, known = method._passes[0]
        flops = machine.product_flops(function.__wrapped__, known, method._arrays, batch)
        operations[name] = flops / decorated.batch_size
    return {
        **results,
        "predicted": {name: report["predicted"] for name, report in reports.items()},
        "batch_size": decorated.batch_size,
        "largest_difference": float(np.abs(mean - expected).max()),
        "flops": operations,
        "product_rate": product_rate(),
    }


def product_rate(size: int = 2048, repeats: int = 7) -> float:
    """Return the operations per second of a large product, by CPU time on all cores."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(size, size)), jnp.float32)
    multiply, used = jax.jit(lambda x: x @ x), []
    for _ in range(repeats):
        began = time.process_time()
        multiply(x).block_until_ready()
        used.append((time.process_time() - began) / len(os.sched_getaffinity(0)))
    return float(2 * size**3 / statistics.median(used))


def without_network(n: int) -> dict[str, Any]:
    """Screen about n candidates, with hashes of their elements as predictions."""

    class Hashes:
        def __init__(self, *_: Any) -> None:
            pass

        def __call__(self, numbers: np.ndarray, advance: Any) -> tuple[np.ndarray, np.ndarray]:
            advance(len(numbers))
            factors = np.array([2654435761, 40503, 2246822519, 3266489917], np.uint64)
            keys = numbers.astype(np.uint64) @ factors
            mixed = (keys ^ (keys >> np.uint64(15))) * np.uint64(0x9E3779B97F4A7C15)
            return (mixed >> np.uint64(11)) / 2.0**53, np.ones(len(numbers))

    prototype, options = find_prototype("elpasolite"), GraphConfig.recommended()
    template = template_of(prototype, options, "element")
    model = untrained("small", template, options)
    known = np.flatnonzero(model.element_table.known)[: round(n ** (1 / 4))]
    began, used = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(
        decorations_module, "DecoratedPredictor", Hashes
    ):  # fmt: skip
        found = screen(
            model, [prototype], Path(folder) / "out", elements={"*": [SYMBOLS[z] for z in known]},
            keep=Keep(best=1000), keep_unseen=True
        )  # fmt: skip
    return {
        "candidates": found.report["seen"],
        "seconds": time.perf_counter() - began,
        "processor_seconds": time.process_time() - used,
        "peak_memory_gib": machine.peak_memory(),
    }


def untrained(size: str, template: Template, options: GraphConfig) -> Model:
    """Make a network with random weights."""
    model = init_model(SIZES[size], GraphList([template.graph], options), target="x")
    return model.replace(normalizers={"x": Normalizer(mean=0.0, std=1.0)})


def show(size: str, found: dict[str, Any]) -> None:
    """Print the table of one network."""
    base = found["structures"]
    print(f"\n{size}: batches of {found['batch_size']}, ", end="")
    print(f"largest difference {found['largest_difference']:.1e}\n")
    print("| method | candidates/s | by CPU time | over structures | by CPU time |")
    print("|---|---:|---:|---:|---:|")
    for method, result in found.items():
        if isinstance(result, dict) and "per_second" in result:
            clock, processor = result["per_second"], result["per_processor_second"]
            ratios = clock / base["per_second"], processor / base["per_processor_second"]
            cells = f"{clock:,.0f} | {processor:,.0f} | {ratios[0]:.1f} | {ratios[1]:.1f}"
            print(f"| {method} | {cells} |")
    seen = {name: found[name]["candidates"] for name in found["predicted"]}
    shares = [f"{name} {found['predicted'][name]:,} of {n:,}" for name, n in seen.items()]
    print(f"\npredicted: {'; '.join(shares)}")
    for name, flops in found["flops"].items():
        print(
            f"{name}: {flops / 1e6:.2f} Mflop a candidate in products, "
            f"{found['product_rate'] / flops:,.0f} candidates/s at the rate of a large product"
        )


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
    parser.add_argument(
        "--without-network", type=int, metavar="N", help="measure all but the network"
    )
    args = parser.parse_args()
    if args.without_network:
        machine.write(without_network(args.without_network), args.json)
        return
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
        model = untrained(size, template, options)
        n = args.candidates if size == "small" else max(args.candidates // 8, 64)
        report[size] = measure(model, template, n, args.repeats)
        show(size, report[size])
    report["peak_memory_gib"] = machine.peak_memory()
    machine.write(report, args.json, show=False)


if __name__ == "__main__":
    main()
