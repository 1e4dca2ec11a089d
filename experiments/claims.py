"""Claims on files, so that several processes may work through one grid at the same time.

A claim ends with its process, however that ends, and leaves nothing to clean up: the file that it
locks may stay.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def claimed(path: Path, *, wait: bool = False) -> Iterator[bool]:
    """Yields whether this process has `path` for itself, for the time of the block.

    Args:
      path: of a training, a store or a table; the lock is a file beside it.
      wait: until another process gives it back, instead of yielding False.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_name(f"{path.name}.lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
