"""Worker processes, and an ordered parallel map with a bounded number of jobs."""

import os
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, TypeVar

from cgatjax.errors import CgatjaxError

J = TypeVar("J")
R = TypeVar("R")


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@contextmanager
def _main_script_hidden() -> Iterator[None]:
    """Let processes that start inside import modules only, not run the main script again."""
    main = vars(sys.modules["__main__"])
    hidden: dict[str, Any] = {name: main[name] for name in ("__file__", "__spec__") if name in main}
    main.pop("__file__", None)
    main["__spec__"] = None
    try:
        yield
    finally:
        main.update(hidden)


class _Worker(SpawnProcess):
    """Process that starts without the main script."""

    def start(self) -> None:
        with _main_script_hidden():
            super().start()


class _Workers(SpawnContext):
    Process = _Worker


@contextmanager
def worker_processes(workers: int) -> Iterator[Executor]:
    """Yield an executor of local processes, for functions of importable modules.

    It works at the top level of a script, too: the main script does not run in the workers, so
    that it needs no `if __name__ == "__main__"`.

    Raises:
      CgatjaxError: a worker was killed.
    """
    # Spawned: forked children could inherit locks that JAX's threads hold.
    try:
        with ProcessPoolExecutor(workers, mp_context=_Workers()) as pool:
            yield pool
    except BrokenExecutor as error:
        raise CgatjaxError(
            "a worker process was killed, perhaps because the memory was full; use fewer workers"
        ) from error


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


def map_in_workers(
    work: Callable[[J], R], jobs: Iterable[J], workers: int = 1, executor: Executor | None = None
) -> Generator[R, None, None]:
    """Map `work`, of an importable module, over jobs in order: in this process, in local ones, or
    by an executor (Dask, MPI, Parsl).

    Jobs are read a bounded number ahead.
    """
    if executor is not None:
        # Remote workers: twice as many jobs ahead as for local ones hide the network's latency.
        yield from map_in_order(executor, work, jobs, 4 * max(workers, 2))
    elif workers <= 1:
        yield from map(work, jobs)
    else:
        with worker_processes(workers) as pool:
            yield from map_in_order(pool, work, jobs, 2 * workers)
