"""Memory does not grow in long trainings."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from benchmarks.repeated_store import repeat_store
from tests.networks import SMALLEST

import cgatjax as cg
from cgatjax.runs.run_folder import RunFolder

WARM_UP = 0.2
"""Share of the epochs before the first measurement: compilations, caches, the allocator."""
GROWTH = 24e6
"""Bytes of growth after that which count as none: fragments of the allocator."""


class Memory:
    """Logger that notes the resident memory at the end of each epoch."""

    def __init__(self) -> None:
        self.resident: list[float] = []

    def log(self, step: int, values: Mapping[str, float]) -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        self.resident.append(pages * os.sysconf("SC_PAGE_SIZE"))

    def close(self) -> None:
        """Do nothing: there is no file."""

    def growth(self) -> float:
        """Return how far the last fifth of the epochs is above the first fifth after warming up."""
        n = len(self.resident)
        start, size = int(n * WARM_UP), max(n // 5, 1)
        early, late = self.resident[start : start + size], self.resident[-size:]
        return sum(late) / len(late) - sum(early) / len(early)


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/statm")
@pytest.mark.parametrize(
    ("crystals", "batch_size", "epochs"),
    [(4000, 8, 20), (48, 16, 200)],
    ids=["10,000 steps", "200 epochs"],
)
def test_memory_does_not_grow(ionic_store, tmp_path, crystals, batch_size, epochs):
    store = repeat_store(ionic_store, tmp_path / "store", crystals)
    train, memory = store.all(), Memory()
    valid = ionic_store.split(seed=0)[1]
    model = cg.init_model(cg.ModelConfig.small(**SMALLEST), store, target="e-form@low", seed=0)
    options = cg.TrainConfig(epochs=epochs, batch_size=batch_size, checkpoint_seconds=1.0)
    cg.fit(model, train, valid, options, run=RunFolder(tmp_path / "run"), loggers=[memory])
    assert len(memory.resident) == epochs
    print(
        f"{epochs} epochs: {memory.resident[0] / 1e6:.0f} MB, then {memory.growth() / 1e6:+.1f} MB"
    )
    assert memory.growth() < GROWTH


def test_growth_is_noticed():
    memory = Memory()
    memory.resident = [1e9 + 1e6 * epoch for epoch in range(200)]
    assert memory.growth() > GROWTH
