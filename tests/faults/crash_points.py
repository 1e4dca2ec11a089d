"""Replay of a command with a fault at one of its file operations, and of what follows."""

import csv
import io
import logging
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from tests.commands import run
from tests.faults.commands import CASES, Case, files_of
from tests.faults.disk import FAULTS, Disk, Killed, Operation

BAD_INPUT = 2
SECONDS = 120
OUTCOMES: dict[tuple[str, str], Counter[str]] = {}
"""(command, fault) -> number of points by outcome."""


class CrashPoint(NamedTuple):
    """Fault at an operation of a command."""

    command: str
    fault: str
    operation: Operation

    def __str__(self) -> str:
        _, path, in_main, number = self.operation
        thread = "main" if in_main else "background"
        return f"{self.command}: {self.fault} at {thread} operation {number}, " + (
            f"{self.operation.kind} {path}"
        )


class Hang(BaseException):
    """Raised by the alarm."""


@contextmanager
def bounded(seconds: int = SECONDS) -> Iterator[None]:
    """Raise Hang if the block takes longer."""

    def ring(signum: int, frame: Any) -> None:
        raise Hang(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class Replays:
    """A command with its inputs in a folder, run as often as wanted.

    Attributes:
      operations: of a run without faults.
    """

    def __init__(self, command: str, folder: Path) -> None:
        """Write the inputs and run the command without a fault."""
        self.command, self._inputs, self.folder = command, folder / "inputs", folder / "work"
        self.folder.mkdir(parents=True)
        self._case: Case = CASES[command](self.folder)
        shutil.copytree(self.folder, self._inputs)
        self._before = self._read_inputs()
        disk = Disk(self.folder)
        with disk.watching():
            done = run(*self._case.arguments)
        assert done.exit_code == 0, done.output
        self.operations = disk.done
        self._expected, self._after = self._case.results(self.folder), self._read_inputs()
        assert self._expected

    def points(self) -> list[CrashPoint]:
        """List the faults at all operations."""
        return [
            CrashPoint(self.command, fault, operation)
            for operation in self.operations
            for fault in FAULTS
            if operation.can_have(fault)
        ]

    def check(self, point: CrashPoint, *, killed_again_at: int | None = None) -> str:
        """Run the command with the fault, then continue; return the outcome.

        Args:
          point: the fault.
          killed_again_at: operation of the main thread at which what continues is killed, too.

        Raises:
          AssertionError: an undocumented error, a changed input, or other results in the end.
        """
        shutil.rmtree(self.folder)
        shutil.copytree(self._inputs, self.folder)
        operation = point.operation
        outcome = self._interrupted(
            Disk(self.folder, point.fault, operation.in_main, operation.number), point
        )
        self._check_inputs(point)
        if outcome == "completed":
            if point.operation.kind in ("remove", "rmdir") and self._leftovers():
                return "completed, leftovers stay"
            self._check_results(point)
            return outcome
        if killed_again_at is not None and (again := self._case.again(self.folder)):
            second = Disk(self.folder, "kill", True, killed_again_at)
            with suppress(Killed), bounded(), second.watching():
                run(*again)
            if second.hit is None:
                self._check_results(point)
                return "completed before the second kill"
            self._check_inputs(point)
            outcome = f"{outcome}, killed again"
        if again := self._case.again(self.folder):
            with bounded():
                done = run(*again)
            assert done.exit_code == 0, f"{point}: not continued: {done.output[-1500:]}"
        self._check_results(point)
        return f"{outcome}, continued to the same bytes"

    def _interrupted(self, disk: Disk, point: CrashPoint) -> str:
        logging.getLogger("absl").disabled = True  # orbax logs every error with its traceback
        try:
            with bounded(), disk.watching():
                done = run(*self._case.arguments)
        except Killed:
            return "killed"
        finally:
            logging.getLogger("absl").disabled = False
        if disk.killed_before_end:
            return "killed"
        if done.exit_code == 0:
            return "completed"
        errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert done.exit_code == BAD_INPUT, f"{point}: {done.exception!r}"
        assert len(errors) == 1, f"{point}: {done.output}"
        assert str(self.folder) in errors[0], f"{point}: names no file: {errors[0]}"
        return "documented error"

    def _read_inputs(self) -> dict[str, bytes]:
        return {name: (self.folder / name).read_bytes() for name in files_of(self.folder)}

    def _check_inputs(self, point: CrashPoint) -> None:
        """Check that files of before are as they were, or replaced as a whole."""
        for name, content in self._before.items():
            file = self.folder / name
            if name not in self._case.changes:
                assert file.is_file(), f"{point}: {name} is gone"
                assert file.read_bytes() == content, f"{point}: {name} has changed"
            elif file.is_file():
                whole = (content, self._after.get(name))
                assert file.read_bytes() in whole, f"{point}: {name} is neither old nor new"

    def _leftovers(self) -> bool:
        """True if all results are there, with further files."""
        found = self._case.results(self.folder)
        return found != self._expected and self._expected.items() <= found.items()

    def _check_results(self, point: CrashPoint) -> None:
        found, expected = self._case.results(self.folder), self._expected
        assert sorted(found) == sorted(expected), f"{point}: other files"
        for name, content in expected.items():
            assert found[name] == content, f"{point}: {name} differs"


def save_outcomes(file: Path) -> None:
    """Write the counts as CSV; commands that were not tried now keep their rows."""
    rows = [
        (command, fault, outcome, str(number))
        for (command, fault), counts in OUTCOMES.items()
        for outcome, number in counts.items()
    ]
    tried = {row[0] for row in rows}
    if file.is_file():
        with open(file, newline="") as stream:
            rows += [tuple(row) for row in list(csv.reader(stream))[1:] if row[0] not in tried]
    text = io.StringIO(newline="")
    csv.writer(text).writerows([("command", "fault", "outcome", "points"), *sorted(rows)])
    file.write_text(text.getvalue(), newline="")


def count(point: CrashPoint, outcome: str) -> None:
    """Count the outcome for the table at the end of the tests."""
    OUTCOMES.setdefault((point.command, point.fault), Counter())[outcome] += 1
