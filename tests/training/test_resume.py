"""Runs that are killed and resumed end like one that was not, bit for bit."""

import csv
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple
from unittest.mock import Mock

import pytest
from click.testing import CliRunner
from tests.commands import ok

import cgatjax
from cgatjax.cli import main
from cgatjax.runs.run_folder import RunFolder
from cgatjax.runtime.signals import StopRequest

ROOT = Path(__file__).resolve().parents[2]
# A test that runs in the background would hand its deafness to Ctrl-C down.
COMMAND = [
    sys.executable,
    "-c",
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from cgatjax.cli import main; main()",
]
OPTIONS = """
[model]
node_dim = 6
edge_dim = 4
heads = 2
steps = 1
composition_steps = 1
composition_hidden = 6
head_widths = [8]
[train]
epochs = {epochs}
batch_size = 8
learning_rate = 0.003
schedule = "plateau"
plateau_patience = 2
checkpoint_seconds = {seconds}
"""
SECONDS_TO_START = 300.0
"""Longest wait for a state; importing and compiling come first."""


class Command(NamedTuple):
    """A training on the command line, in processes of its own where it is interrupted."""

    arguments: tuple[str, ...]
    run: Path

    def start(self, *more: str) -> subprocess.Popen:
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        return subprocess.Popen(
            [*COMMAND, *self.arguments, "--out", str(self.run), *more],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def states(self) -> set[str]:
        return {f.name for f in (self.run / "checkpoints").glob("epoch-*") if not f.suffix}

    def resume_options(self) -> tuple[str, ...]:
        return ("--resume",) if self.run.exists() else ()

    def finish(self) -> None:
        """Train to the end, in this process."""
        ok(*self.arguments, "--out", self.run, *self.resume_options())

    def interrupted(self, signum: int, delay: float, *, from_start: bool = False) -> int | None:
        """Exit code of a process that gets a signal; None if it was done before.

        The delay counts from the first new state, or from the start of the process.
        """
        before = self.states()
        process = self.start(*self.resume_options())
        began = time.monotonic()
        while not from_start and not self.states() - before and process.poll() is None:
            assert time.monotonic() - began < SECONDS_TO_START
            time.sleep(0.01)
        time.sleep(delay)
        if process.poll() is None:
            process.send_signal(signum)
        _, said = process.communicate(timeout=SECONDS_TO_START)
        assert process.returncode in (0, 128 + signum, -signum) or from_start, said
        stopped = f"{signal.Signals(signum).name}: stopped after epoch" in said
        assert stopped == (process.returncode == 128 + signum) or from_start, said
        return process.returncode or None


def training(folder: Path, store: Path, name: str, epochs: int, seconds: float) -> Command:
    config = folder / f"{name}.toml"
    config.write_text(OPTIONS.format(epochs=epochs, seconds=seconds))
    arguments = ("train", str(store), "--target", "e-form@low", "--config", str(config))
    return Command(arguments, folder / name)


def history(run: Path) -> list[dict[str, str]]:
    """The epochs of a run without the time they took."""
    with open(run / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if not k.startswith("seconds_")} for row in rows]


def assert_same_rest(killed: Path, whole: Command) -> None:
    """Finish a killed run with the options of a whole one, which saves fewer states."""
    whole._replace(run=killed).finish()
    assert history(killed) == history(whole.run)
    weights = [run / "model" / "model.safetensors" for run in (killed, whole.run)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_killed_terminated_and_resumed(ionic_store, tmp_path):
    whole = training(tmp_path, ionic_store.path, "whole", epochs=25, seconds=60.0)
    whole.finish()
    assert len(history(whole.run)) == 25
    parts = training(tmp_path, ionic_store.path, "parts", epochs=25, seconds=0.1)
    rng = random.Random(os.urandom(4))
    killed = parts.interrupted(signal.SIGKILL, rng.uniform(0, 0.3))
    terminated = parts.interrupted(signal.SIGTERM, rng.uniform(0, 0.3))
    assert (killed, terminated) == (-signal.SIGKILL, 128 + signal.SIGTERM)
    assert RunFolder(parts.run, resume=True).resuming
    assert_same_rest(parts.run, whole)


KILLS = 20


@pytest.mark.long
def test_twenty_kills_at_any_moment(ionic_store, tmp_path):
    """Prints how many kills a run survived, and of which kind (pytest -s)."""
    whole = training(tmp_path, ionic_store.path, "whole", epochs=300, seconds=60.0)
    whole.finish()
    parts = training(tmp_path, ionic_store.path, "parts", epochs=300, seconds=0.1)
    seed = int.from_bytes(os.urandom(4))
    rng, codes = random.Random(seed), []
    for kill in range(KILLS):
        signum = rng.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
        from_start = kill % 4 == 3
        delay = rng.uniform(0, 8 if from_start else 0.5)
        codes.append(parts.interrupted(signum, delay, from_start=from_start))
        assert codes[-1] is not None, f"seed {seed}: the run was done after {kill} kills"
    assert len({*codes}) > 2
    assert_same_rest(parts.run, whole)
    print(f"seed {seed}: survived {len(codes)} of {KILLS} kills, exit codes {codes}")


def test_the_exit_codes_of_signals(monkeypatch, ionic_store, tmp_path):
    run = training(tmp_path, ionic_store.path, "run", epochs=5, seconds=60.0)
    for signum, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        error = StopRequest(signum).interrupted("after epoch 2 and 3 steps")
        monkeypatch.setattr(cgatjax, "fit", Mock(side_effect=error))
        result = CliRunner().invoke(
            main, [*run.arguments, "--out", str(run.run), *run.resume_options()]
        )
        assert result.exit_code == code
        assert f"{signum.name}: stopped after epoch 2 and 3 steps" in result.output
