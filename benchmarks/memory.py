"""Memory and speed against the size of the data set: 10,000, 100,000 and 1,000,000 crystals.

A store is repeated under new ids until it is large enough. Then, for each size, a process of its
own opens it, splits it by formula, and takes the batches of one epoch as a training does; with
--train it also trains some steps of the small network.

    python benchmarks/memory.py
    python benchmarks/memory.py path/to/store --sizes 10000 100000 1000000 --train 300

Prints a Markdown table on standard error and JSON on standard output. The aims: a million crystals
train within 3 GB of resident memory, and the first batch comes within 5 s. Resident memory counts
the pages of the mapped store, which the system takes back when it needs them; anonymous memory is
what the process alone holds. CPU seconds (of all threads) say what a busy machine hides. Needs
/proc (Linux).
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

SAMPLING_SECONDS = 0.02


def memory_mb() -> dict[str, float]:
    """Resident, anonymous and file-mapped memory of this process now, and the peak, in MB."""
    names = {"VmHWM": "peak", "VmRSS": "resident", "RssAnon": "anonymous", "RssFile": "mapped"}
    lines = (line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return {names[k]: int(v.split()[0]) * 1024 / 1e6 for k, v in lines if k in names}


class PeakAnonymous:
    """The largest anonymous memory, sampled in a thread."""

    def __init__(self) -> None:
        self.mb = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._done.wait(SAMPLING_SECONDS):
            self.mb = max(self.mb, memory_mb()["anonymous"])

    def stop(self) -> float:
        """Ends the sampling; the largest value in MB."""
        self._done.set()
        self._thread.join()
        return max(self.mb, memory_mb()["anonymous"])


def measure(path: Path, batch_size: int, steps: int) -> dict[str, Any]:
    """All numbers of one store; meant for a fresh process."""
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
        report |= train_some(store, train, steps)
    return (
        report | {"anonymous_peak_mb": peak.stop()} | {f"{k}_mb": v for k, v in memory_mb().items()}
    )


def train_some(store: Any, train: Any, steps: int) -> dict[str, float]:
    """Trains the small network for some steps of 64 crystals."""
    import jax
    import jax.numpy as jnp

    from cgatjax.config import ModelConfig, TrainConfig
    from cgatjax.data.loader import shuffled
    from cgatjax.models.model import init_model
    from cgatjax.models.normalizer import Normalizer
    from cgatjax.training.input_pipeline import make_loaders, step_batches
    from cgatjax.training.optimizer import groups
    from cgatjax.training.train_step import step_functions
    from cgatjax.training.transfer_params import TRAINED, label_parameters

    target = sorted(store.units)[0]
    config = TrainConfig()
    model = init_model(ModelConfig.small(), train, target=target)
    scale = Normalizer.fit(train.target(target), target)
    labels = label_parameters(model.params, [("*", TRAINED)])
    loader, _ = make_loaders(model, train, train, config, labels)
    functions = step_functions(model.network, config, labels)
    state = functions.start(jax.tree.map(jnp.array, model.params))
    scales = {target: (scale.mean, scale.std)}
    rates = {name: np.float32(1) for name in groups(labels)}
    begin, started = time.perf_counter(), 0.0
    for number, (batch, _) in enumerate(step_batches(loader, shuffled(len(train), 0, 0), 1)):
        if number == 1:
            jax.block_until_ready(state)
            started = time.perf_counter()
        if number > steps:
            break
        state, _ = functions.train(state, batch, rates, scales)
    taken = int(jax.block_until_ready(state.step))
    seconds = time.perf_counter() - started
    return {
        "seconds_to_first_step": started - begin,
        "train_steps": taken,
        "train_crystals_per_second": 64 * (taken - 1) / seconds,
    }


def in_own_process(path: Path, options: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, "--measure", str(path)]
    command += ["--batch-size", str(options.batch_size), "--train", str(options.train)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def large_stores(options: argparse.Namespace, folder: Path, use: Callable[[Path], None]) -> None:
    """Makes one large store after the other, hands it over, and deletes it."""
    from cgatjax.config import GraphConfig
    from cgatjax.data.build import build_store
    from cgatjax.data.store import open_store
    from cgatjax.data.store_writer import repeat_store
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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", nargs="?", help="to repeat; default: generated crystals")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument(
        "--train", type=int, default=0, metavar="STEPS", help="steps of 64 crystals"
    )
    parser.add_argument("--folder", help="where the large stores go for the time being")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.batch_size, options.train)))
        return
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        large_stores(options, Path(folder), lambda path: rows.append(in_own_process(path, options)))
    print(markdown(rows), file=sys.stderr)
    versions = {name: version(name) for name in ("jax", "numpy", "pyarrow")}
    machine = platform.processor() or platform.machine()
    print(json.dumps({"rows": rows, "machine": machine, "versions": versions}, indent=2))


if __name__ == "__main__":
    main()
