"""Small shards, and the table of outcomes."""

from collections import Counter
from pathlib import Path

import pytest
from tests.faults.crash_points import OUTCOMES, Replays


@pytest.fixture(scope="session")
def replays(tmp_path_factory: pytest.TempPathFactory):
    """Function: the name of a command -> the command, ready to be replayed."""
    made: dict[str, Replays] = {}
    patch = pytest.MonkeyPatch()
    patch.setattr("cgatjax.data.build.CHUNK", 4)
    patch.setattr("cgatjax.data.shard_writer.SHARD", 10)

    def of(command: str) -> Replays:
        if command not in made:
            folder: Path = tmp_path_factory.mktemp(command)
            made[command] = Replays(command, folder / "command")
        return made[command]

    yield of
    patch.undo()


def pytest_terminal_summary(terminalreporter) -> None:
    """A line for each command and fault: points tried and what became of them."""
    if OUTCOMES:
        terminalreporter.section("crash points")
        for (command, fault), counts in sorted(OUTCOMES.items()):
            outcomes = ", ".join(f"{n} {name}" for name, n in sorted(counts.items()))
            terminalreporter.write_line(f"{command:16s}{fault:11s}{counts.total():5d}: {outcomes}")
        total = sum((c for c in OUTCOMES.values()), Counter())
        outcomes = ", ".join(f"{n} {name}" for name, n in sorted(total.items()))
        terminalreporter.write_line(f"{'all':27s}{total.total():5d}: {outcomes}")
