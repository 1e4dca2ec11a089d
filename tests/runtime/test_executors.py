import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from cgatjax.errors import CgatjaxError
from cgatjax.runtime.executors import map_in_order, worker_processes


@pytest.fixture
def threads():
    with ThreadPoolExecutor(4) as pool:
        yield pool


def test_results_come_in_the_order_of_the_jobs(threads):
    def slow_first(job):
        time.sleep(0.02 if job == 0 else 0)
        return job * job

    assert list(map_in_order(threads, slow_first, range(20), 3)) == [i * i for i in range(20)]
    assert list(map_in_order(threads, slow_first, [], 3)) == []


def test_no_more_jobs_are_started_than_allowed(threads):
    begun = []
    results = map_in_order(threads, begun.append, range(100), 3)
    next(results)
    time.sleep(0.05)
    assert len(begun) <= 4
    results.close()


def test_an_error_is_raised_where_its_result_is_taken_and_cancels_the_rest(threads):
    begun, lock = [], threading.Lock()

    def work(job):
        with lock:
            begun.append(job)
        if job == 2:
            raise ValueError("job 2")
        return job

    results = map_in_order(threads, work, range(100), 3)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="job 2"):
        next(results)
    assert len(begun) < 10


UNGUARDED = """
import operator
from cgatjax.runtime.executors import map_in_order, worker_processes
print("start")
with worker_processes(2) as pool:
    print(list(map_in_order(pool, operator.neg, range(4), 2)))
print(__name__, __file__, __spec__)
"""


@pytest.mark.parametrize("is_piped", [False, True])
def test_workers_do_not_run_the_main_script_again(tmp_path, is_piped):
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED)
    command = [sys.executable, *([] if is_piped else [str(script)])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    text = UNGUARDED if is_piped else None
    done = subprocess.run(command, input=text, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    name = "<stdin>" if is_piped else script
    assert done.stdout.splitlines() == ["start", "[0, -1, -2, -3]", f"__main__ {name} None"]


def test_a_killed_worker_is_one_error():
    with pytest.raises(CgatjaxError, match="a worker process was killed"), worker_processes(1) as p:
        p.submit(os.abort).result()
