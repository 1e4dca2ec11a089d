"""Progress of long operations: a bar in a terminal, a line in a notebook, occasional log lines."""

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
NOTEBOOK_SECONDS = 0.2

Advance = Callable[[int, str], None]


@contextmanager
def progress(
    what: str, total: int | None = None, *, shown: bool | None = True
) -> Iterator[Advance]:
    """Yield `advance(done, note)`; `done` is the amount since the last call.

    A terminal shows a rich bar, a notebook one line that is rewritten; elsewhere a line is logged
    at most every 10 s, when `done` is 0 (the note announces a phase), and at the end. `shown=None`
    is for terminals and notebooks only, without log lines.
    """
    in_terminal = sys.stderr.isatty()
    if shown is False or (shown is None and not in_terminal and not in_notebook()):
        yield lambda done, note: None
    elif in_terminal:
        with _bar() as bar:
            task = bar.add_task(what, total=total, note="")
            yield lambda done, note: bar.update(task, advance=done, note=note)
    else:
        lines = _NotebookLine(what, total) if in_notebook() else _Lines(what, total)
        yield lines.advance
        lines.close()


def in_notebook() -> bool:
    """Check whether the process is the kernel of a notebook, without importing IPython."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


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
        self.done, self.note, self.written = 0, "", ""
        self.last = time.monotonic()

    def advance(self, done: int, note: str) -> None:
        self.done += done
        self.note = note
        if done == 0 or self.is_due():
            self.write()
            self.last = time.monotonic()

    def is_due(self) -> bool:
        return time.monotonic() - self.last > LOG_SECONDS

    def text(self) -> str:
        of = f" of {self.total}" if self.total is not None else ""
        note = f", {self.note}" if self.note else ""
        return f"{self.what}: {self.done}{of}{note}"

    def write(self) -> None:
        self.written = self.text()
        logger.info("%s", self.written)

    def close(self) -> None:
        if self.written != self.text():
            self.write()


class _NotebookLine(_Lines):
    """Line on standard error that overwrites itself; rich bars would need ipywidgets."""

    width = 0

    def is_due(self) -> bool:
        return time.monotonic() - self.last > NOTEBOOK_SECONDS

    def write(self) -> None:
        self.width = max(self.width, len(self.text()))
        sys.stderr.write(f"\r{self.text():{self.width}}")
        sys.stderr.flush()

    def close(self) -> None:
        self.write()
        sys.stderr.write("\n")
