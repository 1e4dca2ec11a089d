"""Progress of long operations: a bar in a terminal, occasional lines in a log."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

logger = logging.getLogger("cgatjax")
LOG_SECONDS = 10.0
"""Shortest time between two log lines."""

Advance = Callable[[int, str], None]


@contextmanager
def progress(what: str, total: int | None = None, *, shown: bool = True) -> Iterator[Advance]:
    """Yield `advance(done, note)`; `done` is the amount since the last call.

    A terminal shows a rich bar; elsewhere a line is logged at most every 10 s and at the end.
    """
    if not shown:
        yield lambda done, note: None
    elif sys.stderr.isatty():
        with _bar() as bar:
            task = bar.add_task(what, total=total, note="")
            yield lambda done, note: bar.update(task, advance=done, note=note)
    else:
        lines = _Lines(what, total)
        yield lines.advance
        lines.write()


def _bar() -> Progress:
    from rich.console import Console

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
    )


class _Lines:
    """Counter that logs a line every `LOG_SECONDS`."""

    def __init__(self, what: str, total: int | None) -> None:
        self.what, self.total = what, total
        self.done, self.note = 0, ""
        self.last = time.monotonic()

    def advance(self, done: int, note: str) -> None:
        self.done += done
        self.note = note
        if time.monotonic() - self.last > LOG_SECONDS:
            self.write()
            self.last = time.monotonic()

    def write(self) -> None:
        of = f" of {self.total}" if self.total is not None else ""
        note = f", {self.note}" if self.note else ""
        logger.info("%s: %d%s%s", self.what, self.done, of, note)
