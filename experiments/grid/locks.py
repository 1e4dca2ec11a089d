"""Exclusive file locks between processes that work on the same grid.

The operating system releases a lock when its process ends; a remaining lock file has no effect.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path, *, wait: bool = False) -> Iterator[bool]:
    """Hold a lock for the time of the block; yield False if another process holds it.

    Args:
      path: training, store or table to lock; the lock file is beside it.
      wait: wait for the other process instead.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_name(f"{path.name}.lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
