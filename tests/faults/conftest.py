"""Small shards and networks, and the table of outcomes."""

import os
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from tests.faults.crash_points import OUTCOMES, Replays, save_outcomes
from tests.networks import SMALLEST

from cgatjax.adaptation import report, schedule, sources
from cgatjax.config import ModelConfig


class Ticks:
    """Clock of an adaptation, so that its report of times is the same in each run."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        """Return the time, one second after the last call."""
        self.now += 1.0
        return self.now


@pytest.fixture(scope="session")
def replays(tmp_path_factory: pytest.TempPathFactory):
    """Function: the name of a command -> the command, ready to be replayed."""
    made: dict[str, Replays] = {}
    patch = pytest.MonkeyPatch()
    patch.setattr("cgatjax.data.build.CHUNK", 4)
    patch.setattr("cgatjax.data.shard_writer.SHARD", 10)
    patch.setattr(sources, "NETWORK", ModelConfig.small(**SMALLEST))
    patch.setattr(schedule, "time", Ticks())
    # An adaptation with few trees and no figures writes as many files, in a fifth of the time.
    patch.setattr("cgatjax.simple_models.models._TREES", 2)
    patch.setattr(report, "draw_figures", lambda _: defaultdict(str))

    def of(command: str) -> Replays:
        if command not in made:
            folder: Path = tmp_path_factory.mktemp(command)
            made[command] = Replays(command, folder / "command")
        return made[command]

    yield of
    patch.undo()


def pytest_terminal_summary(terminalreporter) -> None:
    """A line for each command and fault: points tried and what became of them.

    With CRASH_POINTS=FILE in the environment, also as rows of a CSV file.
    """
    if OUTCOMES:
        terminalreporter.section("crash points")
        for (command, fault), counts in sorted(OUTCOMES.items()):
            outcomes = ", ".join(f"{n} {name}" for name, n in sorted(counts.items()))
            terminalreporter.write_line(f"{command:16s}{fault:11s}{counts.total():5d}: {outcomes}")
        total = sum((c for c in OUTCOMES.values()), Counter())
        outcomes = ", ".join(f"{n} {name}" for name, n in sorted(total.items()))
        terminalreporter.write_line(f"{'all':27s}{total.total():5d}: {outcomes}")
        if file := os.environ.get("CRASH_POINTS"):
            save_outcomes(Path(file))
