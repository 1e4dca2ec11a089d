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


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_a_second_heap_is_reported():
    program = """
        import threading
        from cgatjax.runtime.allocator import keep_freed_memory

        if {first}:
            assert keep_freed_memory()
        thread = threading.Thread(target=lambda: [bytearray(1000) for _ in range(1000)])
        thread.start()
        thread.join()
        print(keep_freed_memory())
    """
    for first, expected in ((True, "True"), (False, "False")):
        text = textwrap.dedent(program).format(first=first)
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
        assert done.stdout.split() == [expected], done.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
@pytest.mark.parametrize(
    ("module", "command"), [("cgatjax.__main__", "models"), ("experiments.__main__", "list")]
)
def test_the_commands_call_it_in_time(module, command):
    """Nothing that they import before has a heap of its own."""
    program = f"""
        import runpy
        import sys
        from cgatjax.runtime import allocator

        original = allocator.keep_freed_memory
        allocator.keep_freed_memory = lambda: print("kept:", original())
        sys.argv = ["program", {command!r}]
        runpy.run_module({module!r}, run_name="__main__")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True
    )
    assert done.stdout.startswith("kept: True\n"), done.stdout[:200] + done.stderr


def test_other_systems_are_unchanged(monkeypatch):
    from cgatjax.runtime.allocator import keep_freed_memory

    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_freed_memory() is False
