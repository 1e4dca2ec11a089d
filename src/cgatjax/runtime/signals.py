"""Signals that ask a run to stop: noted at once, acted upon where the run can be resumed.

A scheduler sends SIGTERM some time before it kills; Ctrl-C sends SIGINT. Both are answered at the
next boundary between two steps. A second Ctrl-C ends the program at once, and so does one before
the first step.
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
    """Whether a signal has asked to stop.

    Attributes:
      signum: the first signal that came, None so far.
    """

    signum: int | None = None

    def interrupted(self, where: str) -> Interrupted:
        """The exception for a run that has saved its state."""
        signum = signal.Signals(self.signum or signal.SIGTERM)
        return Interrupted(
            f"{signum.name}: stopped {where}; the state is saved, resume to go on", signum
        )


@contextmanager
def stop_requests(listening: bool = True) -> Iterator[StopRequest]:
    """Notes SIGTERM and SIGINT instead of dying of them; the earlier handlers come back at the end.

    Outside the main thread, where Python takes no signals, nothing is changed; and a signal that
    was ignored before, as SIGINT under nohup, goes on being ignored.

    Args:
      listening: False changes nothing either.

    Raises:
      KeyboardInterrupt: at once, on a SIGINT that is not the first signal.
    """
    request = StopRequest()
    if not listening or threading.current_thread() is not threading.main_thread():
        yield request
        return

    def note(signum: int, frame: Any) -> None:
        if signum == signal.SIGINT and request.signum is not None:
            raise KeyboardInterrupt
        request.signum = request.signum or signum

    heard = [signum for signum in SIGNALS if signal.getsignal(signum) != signal.SIG_IGN]
    before = {signum: signal.signal(signum, note) for signum in heard}
    try:
        yield request
    finally:
        for signum, handler in before.items():
            signal.signal(signum, signal.SIG_DFL if handler is None else handler)


@contextmanager
def ended_by_interrupt() -> Iterator[None]:
    """Lets SIGINT end the program at once, as SIGTERM does, while there is nothing to save.

    Python's own way, a KeyboardInterrupt, gets lost where it falls into a library's callback: JAX
    has one in the garbage collection. `stop_requests` takes over inside. Outside the main thread,
    or where SIGINT has another handler than Python's, nothing is changed.
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
