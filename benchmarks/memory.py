"""Memory: peak memory and speed against the size of the data set, up to a million crystals.

    python benchmarks/memory.py
    python benchmarks/memory.py STORE --sizes 10000 100000 1000000 --train 300

Repeats a store (or that of a synthetic data set) under new ids until it is large enough. For each
size, a new process opens it, splits it by formula, and assembles the batches of one epoch; with
--train it also trains the small network. Needs /proc (Linux).

Prints a Markdown table on standard error and JSON on standard output. The aims: a million crystals
train within 3 GB of resident memory, and the first batch is ready after 5 s. Resident memory
includes the pages of the memory-mapped store, which the system may reclaim; anonymous memory does
not. CPU seconds (of all threads) do not depend on other work on the machine.
"""

import argparse
import json
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from repeated_store import repeat_store

SAMPLING_SECONDS = 0.02


def memory_mb() -> dict[str, float]:
    """Return resident, anonymous and file-mapped memory of this process, and the peak, in MB."""
    names = {"VmHWM": "peak", "VmRSS": "resident", "RssAnon": "anonymous", "RssFile": "mapped"}
    lines = (line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return {names[k]: int(v.split()[0]) * 1024 / 1e6 for k, v in lines if k in names}


class PeakAnonymous:
    """Peak anonymous memory, sampled in a thread."""

    def __init__(self) -> None:
        self.mb = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._done.wait(SAMPLING_SECONDS):
            self.mb = max(self.mb, memory_mb()["anonymous"])

    def stop(self) -> float:
        """Stop sampling and return the peak in MB."""
        self._done.set()
        self._thread.join()
        return max(self.mb, memory_mb()["anonymous"])


def measure(path: Path, batch_size: int, steps: int) -> dict[str, Any]:
    """Measure one store; run this in a fresh process."""
    from cgatjax.data.loader import BatchLoader, shuffled
    from cgatjax.data.store import open_store

    at_start, peak = memory_mb(), PeakAnonymous()
    report: dict[str, Any] = {"imports_mb": at_start["resident"]}
    begin, cpu_begin = time.perf_counter(), time.process_time()
    store = open_store(path)
    opened = time.perf_counter()
    train, _, _ = store.split(by="formula")
    split = time.perf_counter()
    loader = BatchLoader(train, sorted(store.units)[:1], batch_size)
    order = shuffled(len(train), 0, 0)
    batches = loader.batches(order)
    next(batches)
    first, cpu_first = time.perf_counter(), time.process_time()
    n_batches = 1 + sum(1 for _ in batches)
    end, cpu_end = time.perf_counter(), time.process_time()
    report |= {
        "crystals": len(store),
        "bytes": sum(s["bytes"] for s in store.manifest["shards"]),
        "seconds_open": opened - begin,
        "seconds_split": split - opened,
        "seconds_to_first_batch": first - begin,
        "cpu_seconds_to_first_batch": cpu_first - cpu_begin,
        "batches": n_batches,
        "crystals_per_second": len(train) / (end - first),
        "crystals_per_cpu_second": len(train) / (cpu_end - cpu_first),
    }
    if steps:
        report |= train_steps(store, train, steps)
    return (
        report | {"anonymous_peak_mb": peak.stop()} | {f"{k}_mb": v for k, v in memory_mb().items()}
    )


def train_steps(store: Any, train: Any, steps: int) -> dict[str, float]:
    """Train the small network for two epochs of some steps of 64 crystals, and time the second."""
    from cgatjax import ModelConfig, TrainConfig, fit, init_model
    from cgatjax.data.loader import shuffled

    rows = shuffled(len(train), 0, 0)[: 64 * steps]
    subset = train.select(np.sort(rows))
    model = init_model(ModelConfig.small(), subset, target=sorted(store.units)[0])
    config = TrainConfig(batch_size=64, epochs=2)
    _, history = fit(model, subset, subset.select(np.arange(64)), config)
    seconds = sum(history.rows[1][f"seconds_{phase}"] for phase in ("wait", "step"))
    return {"train_steps": steps, "train_crystals_per_second": len(subset) / seconds}


def measure_in_process(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run `measure` in a fresh process."""
    command = [sys.executable, __file__, "--measure", str(path)]
    command += ["--batch-size", str(options.batch_size), "--train", str(options.train)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def large_stores(options: argparse.Namespace, folder: Path, use: Callable[[Path], None]) -> None:
    """Make one large store after another, call `use` on it, and delete it."""
    from cgatjax.config import GraphConfig
    from cgatjax.data.build import build_store
    from cgatjax.data.store import open_store
    from cgatjax.synthetic.dataset import ionic_crystals

    if options.store:
        store = open_store(options.store)
    else:
        store = build_store(ionic_crystals(2000), folder / "small", GraphConfig.recommended())
    for n in options.sizes:
        repeat_store(store, folder / str(n), n)
        use(folder / str(n))
        shutil.rmtree(folder / str(n))


COLUMNS = {
    "crystals": ("crystals", "{:,.0f}"),
    "bytes": ("store (bytes)", "{:,.0f}"),
    "seconds_open": ("open (s)", "{:.2f}"),
    "seconds_split": ("split (s)", "{:.2f}"),
    "seconds_to_first_batch": ("first batch (s)", "{:.2f}"),
    "cpu_seconds_to_first_batch": ("... CPU (s)", "{:.2f}"),
    "crystals_per_second": ("batched (crystals/s)", "{:,.0f}"),
    "crystals_per_cpu_second": ("... per CPU second", "{:,.0f}"),
    "train_crystals_per_second": ("trained (crystals/s)", "{:,.0f}"),
    "peak_mb": ("peak resident (MB)", "{:,.0f}"),
    "anonymous_peak_mb": ("peak anonymous (MB)", "{:,.0f}"),
    "mapped_mb": ("mapped at the end (MB)", "{:,.0f}"),
}


def markdown(rows: list[dict[str, Any]]) -> str:
    shown = {k: v for k, v in COLUMNS.items() if k in rows[0]}
    lines = ["| " + " | ".join(title for title, _ in shown.values()) + " |"]
    lines.append("|" + "--:|" * len(shown))
    for row in rows:
        cells = (form.format(row[name]) for name, (_, form) in shown.items())
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", nargs="?", help="store to repeat; default: synthetic data set")
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        default=[10_000, 100_000, 1_000_000],
        help="numbers of crystals",
    )
    parser.add_argument("--batch-size", type=int, default=512, help="crystals per batch")
    parser.add_argument(
        "--train", type=int, default=0, metavar="STEPS", help="training steps of 64 crystals"
    )
    parser.add_argument("--folder", help="folder for the temporary large stores")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.batch_size, options.train)))
        return
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        large_stores(
            options, Path(folder), lambda path: rows.append(measure_in_process(path, options))
        )
    print(markdown(rows), file=sys.stderr)
    versions = {name: version(name) for name in ("jax", "numpy", "pyarrow")}
    machine = platform.processor() or platform.machine()
    print(json.dumps({"rows": rows, "machine": machine, "versions": versions}, indent=2))


if __name__ == "__main__":
    main()
