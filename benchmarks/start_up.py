"""CPU seconds of a training to the end of its first step, by phase.

    python benchmarks/start_up.py

Trains the small network on 400 generated crystals for an epoch, each time in a new process: with an
empty cache of compiled programs ("cold"), the median of several, and once more with the last cache
("warm"). CPU seconds are of all threads, and depend little on other work on the machine. Prints
CSV on standard output.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

PHASES = {
    "import": "imports",
    "prepare": "data and initial weights",
    "trace": "first batch and trace of the step",
    "lower": "step lowered",
    "compile": "step compiled",
    "run": "first step done",
    "rest": "the rest of the epoch",
}
EVENTS = {
    ("jaxpr_trace_duration", "step"): "trace",
    ("jaxpr_to_mlir_module_duration", "jit(step)"): "lower",
    ("backend_compile_duration", "jit(step)"): "compile",
}


def train(store: str, out: str) -> None:
    """Train in this process, and print the CPU time at the end of each phase."""
    import jax

    import cgatjax.cli.training_runs
    from cgatjax.training.history import StepMonitor
    from cgatjax.training.trainer import Trainer

    ends = {"import": time.process_time()}
    watch, run_epoch = StepMonitor.watch, Trainer.run_epoch

    def epoch(self: Trainer) -> str:
        ends["prepare"] = time.process_time()
        return run_epoch(self)

    def event(name: str, _seconds: float, fun_name: str = "", **_: Any) -> None:
        phase = EVENTS.get((name.split("/")[-1], fun_name))
        if phase:
            ends[phase] = time.process_time()

    def watched(self: StepMonitor, *arguments: Any) -> None:
        jax.block_until_ready(arguments)
        ends.setdefault("run", time.process_time())
        watch(self, *arguments)

    jax.monitoring.register_event_duration_secs_listener(event)
    StepMonitor.watch, Trainer.run_epoch = watched, epoch  # type: ignore[method-assign]
    options = ["--target", "e-form@low", "--epochs", "1", "--out", out]
    cgatjax.cli.main(["--quiet", "train", store, *options], standalone_mode=False)
    ends["rest"] = time.process_time()
    print(*np.diff([0.0, *(ends[phase] for phase in PHASES)]))


def measured(store: Path, folder: Path) -> np.ndarray:
    """Return the CPU seconds of the phases, (phases,), in a new process with a cache folder."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder)}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    with tempfile.TemporaryDirectory(dir=folder) as out:
        command = [sys.executable, __file__, "--store", str(store), "--out", f"{out}/run"]
        found = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    return np.array(found.stdout.split()[-len(PHASES) :], float)


def main() -> None:
    """Measure, or train if a store is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--store", help=argparse.SUPPRESS)
    parser.add_argument("--out", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.store:
        return train(options.store, options.out)
    from cgatjax import build_store, ionic_crystals

    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "ionic.store"
        build_store(ionic_crystals(400, seed=0), store)
        caches = [Path(folder) / f"cache{i}" for i in range(options.repeats)]
        for cache in caches:
            cache.mkdir()
        cold = np.median([measured(store, cache) for cache in caches], 0)
        warm = measured(store, caches[-1])
    print("phase,cold,warm")
    for phase, of_cold, of_warm in zip(PHASES.values(), cold, warm, strict=True):
        print(f"{phase},{of_cold:.2f},{of_warm:.2f}")
    return None


if __name__ == "__main__":
    main()
