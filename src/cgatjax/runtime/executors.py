"""Work done ahead by an executor, results in order, a bounded number of them under way."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

J = TypeVar("J")
R = TypeVar("R")


def map_in_order(
    executor: Executor, work: Callable[[J], R], jobs: Iterable[J], ahead: int
) -> Iterator[R]:
    """Like `map`, with at most `ahead` jobs submitted before their results are taken.

    An error in a job is raised where its result is taken; jobs not yet begun are then canceled.
    """
    under_way: deque[Future[R]] = deque()
    try:
        for job in jobs:
            under_way.append(executor.submit(work, job))
            if len(under_way) > ahead:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        for future in under_way:
            future.cancel()
