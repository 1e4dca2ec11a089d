"""Freed memory is kept: allocating it again causes no page faults."""

import subprocess
import sys
import textwrap

import pytest

FAULTS = """
    import resource
    import numpy as np
    from cgatjax.runtime.allocator import keep_freed_memory

    if {keep}:
        assert keep_freed_memory()
    np.ones(16_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(16_000_000)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(keep):
    program = textwrap.dedent(FAULTS).format(keep=keep)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_freed_memory_is_reused():
    assert faults(keep=False) > 10 * max(faults(keep=True), 1)


def test_other_systems_are_unchanged(monkeypatch):
    from cgatjax.runtime.allocator import keep_freed_memory

    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_freed_memory() is False
