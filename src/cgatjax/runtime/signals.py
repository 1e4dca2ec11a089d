"""Requests to stop a run by SIGTERM or SIGINT, handled between two steps.

A scheduler sends SIGTERM some time before it kills; Ctrl-C sends SIGINT. The run stops after the
current step, where it can be resumed. A second Ctrl-C ends the program at once, and so does one
before the first step.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cgatjax.errors import Interrupted

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass
class StopRequest:
    """Request to stop a run; `signum` is the first signal received, None before."""

    signum: int | None = None

    def interrupted(self, where: str) -> Interrupted:
        """Return the exception to raise after the checkpoint is saved."""
        signum = signal.Signals(self.signum or signal.SIGTERM)
        return Interrupted(
            f"{signum.name}: stopped {where}; the state is saved, resume to continue", signum
        )


@contextmanager
def stop_requests(listening: bool = True) -> Iterator[StopRequest]:
    """Record SIGTERM and SIGINT instead of exiting; restore the previous handlers at the end.

    Nothing is changed unless `listening`, nor outside the main thread, where Python handles no
    signals; and a signal that was ignored before, as SIGINT under nohup, is still ignored. A SIGINT
    that is not the first signal raises KeyboardInterrupt at once.
    """
    request = StopRequest()
    if not listening or threading.current_thread() is not threading.main_thread():
        yield request
        return

    def record(signum: int, frame: Any) -> None:
        if signum == signal.SIGINT and request.signum is not None:
            raise KeyboardInterrupt
        request.signum = request.signum or signum

    heard = [signum for signum in SIGNALS if signal.getsignal(signum) != signal.SIG_IGN]
    before = {signum: signal.signal(signum, record) for signum in heard}
    try:
        yield request
    finally:
        for signum, handler in before.items():
            signal.signal(signum, signal.SIG_DFL if handler is None else handler)


@contextmanager
def exit_on_interrupt() -> Iterator[None]:
    """Let SIGINT end the program at once, as SIGTERM does, while there is nothing to save.

    Python's KeyboardInterrupt is lost when it is raised inside a library's callback, such as JAX's
    in the garbage collection. `stop_requests` takes over inside. Nothing is changed outside the
    main thread, or if SIGINT has another handler than Python's.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
