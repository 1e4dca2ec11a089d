"""Projection: hours of the paper's trainings on one device, from a measured throughput.

    python benchmarks/network.py STORE --size paper --crystals 512 --json paper.json
    python benchmarks/projection.py paper.json

The trainings are those of Hoffmann et al., Digital Discovery 2 (2023) 1368: 1.8 million PBE
crystals for 390 epochs at a batch size of 512, then transfers to about 175,000 PBEsol and SCAN
crystals for 390 epochs, with 80 % of each data set for training. Validation (10 % of the data,
forward only) is included. Waiting for data is not: the input pipeline is faster than any training
step (assemble.py). Prints a table in Markdown.
"""

import argparse
import json
from pathlib import Path

TRAIN_FRACTION, VALID_FRACTION, EPOCHS = 0.8, 0.1, 390
RUNS = {
    "pre-training, PBE": (1_800_000, "step"),
    "full transfer, PBEsol": (175_000, "step"),
    "full transfer, SCAN": (175_000, "step"),
    "regression head only, SCAN": (175_000, "head step, cached embeddings"),
}


def hours(crystals: int, train_rate: float, forward_rate: float, *, cached: bool) -> float:
    """Return the hours of one run.

    Args:
      crystals: size of the data set.
      train_rate: crystals trained per second.
      forward_rate: crystals predicted per second.
      cached: True if the encoder runs once, and not in every epoch.
    """
    training = EPOCHS * TRAIN_FRACTION * crystals / train_rate
    passes = 1 if cached else EPOCHS
    encoded = VALID_FRACTION + (TRAIN_FRACTION if cached else 0)
    return (training + passes * encoded * crystals / forward_rate) / 3600


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("measured", help="JSON file of benchmarks/network.py")
    args = parser.parse_args()
    measured = json.loads(Path(args.measured).read_text())
    size, device = measured["options"]["size"], measured["machine"]["device"]
    print(f"network: {size}; device: {device}; batch: {measured['batch']['crystals']} crystals\n")
    print("| run | crystals | crystals/s | hours |")
    print("|---|---:|---:|---:|")
    forward_rate = measured["forward"]["crystals_per_second"]
    for name, (crystals, kind) in RUNS.items():
        rate = measured[kind]["crystals_per_second"]
        time = hours(crystals, rate, forward_rate, cached="cached" in kind)
        print(f"| {name} | {crystals:,} | {rate:,.0f} | {time:,.1f} |")


if __name__ == "__main__":
    main()
