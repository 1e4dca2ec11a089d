"""Ordered parallel map with a bounded number of jobs."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

J = TypeVar("J")
R = TypeVar("R")


def map_in_order(
    executor: Executor, work: Callable[[J], R], jobs: Iterable[J], ahead: int
) -> Iterator[R]:
    """Map `work` over jobs in order, with at most `ahead` results waiting to be taken.

    An error in a job is raised where its result is taken; jobs not yet started are then canceled.
    """
    # `Executor.map` submits all jobs at once, and would hold every crystal of the input in memory.
    pending: deque[Future[R]] = deque()
    try:
        for job in jobs:
            pending.append(executor.submit(work, job))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
