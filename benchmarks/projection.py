"""Hours that the paper's trainings would take on one device, from a measured throughput.

    python benchmarks/network.py store/ --size paper --crystals 512 --json paper.json
    python benchmarks/projection.py paper.json

The trainings are those of Hoffmann et al., Digital Discovery 2 (2023) 1368: 1.8 million PBE
crystals for 390 epochs at a batch of 512, then transfers to about 175,000 PBEsol and SCAN crystals,
80 % of each for training, over 390 epochs. Validation (10 % of the data, forward only) is counted,
the waiting for data is not: batches are assembled faster than any step here (assemble.py).
"""

import argparse
import json
from pathlib import Path

TRAINED, VALIDATED, EPOCHS = 0.8, 0.1, 390
RUNS = {
    "pre-training, PBE": (1_800_000, "step"),
    "full transfer, PBEsol": (175_000, "step"),
    "full transfer, SCAN": (175_000, "step"),
    "regression head only, SCAN": (175_000, "head step, cached embeddings"),
}


def hours(crystals: int, steps: float, forwards: float, *, cached: bool) -> float:
    """Time of one run.

    Args:
      crystals: in the data set.
      steps: crystals trained per second.
      forwards: crystals predicted per second.
      cached: whether the encoder runs once, and not at every epoch.
    """
    training = EPOCHS * TRAINED * crystals / steps
    passes = 1 if cached else EPOCHS
    forward = passes * (VALIDATED + (TRAINED if cached else 0)) * crystals / forwards
    return (training + forward) / 3600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("measured", help="JSON of benchmarks/network.py")
    args = parser.parse_args()
    measured = json.loads(Path(args.measured).read_text())
    size, device = measured["options"]["size"], measured["machine"]["device"]
    print(f"network: {size}; device: {device}; batch: {measured['batch']['crystals']} crystals\n")
    print("| run | crystals | crystals/s | hours |")
    print("|---|---:|---:|---:|")
    for name, (crystals, kind) in RUNS.items():
        rate = measured[kind]["crystals_per_second"]
        forwards = measured["forward"]["crystals_per_second"]
        time = hours(crystals, rate, forwards, cached="cached" in kind)
        print(f"| {name} | {crystals:,} | {rate:,.0f} | {time:,.1f} |")


if __name__ == "__main__":
    main()
