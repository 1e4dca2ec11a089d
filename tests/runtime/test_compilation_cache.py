import os
import stat
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path

import pytest

from cgatjax.runtime.compilation_cache import (
    cache_folder,
    keep_compiled_programs,
    remove_damaged,
    trim,
)

PROGRAM = """
    import jax
    {before}
    from cgatjax.runtime.compilation_cache import keep_compiled_programs
    folder = keep_compiled_programs()
    jax.jit(lambda x: 2 * x + 1)(3.0)
    print(folder, jax.config.jax_compilation_cache_dir)
"""


def run(tmp_path, before="", **variables):
    unset = ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS")
    env = {k: v for k, v in os.environ.items() if k not in unset}
    env |= {"XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path), **variables}
    program = textwrap.dedent(PROGRAM).format(before=before)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    assert "persistent compilation cache" not in done.stderr
    return done.stdout.split()


def test_programs_are_kept_for_the_user_alone_even_if_something_was_compiled_before(tmp_path):
    folder, used = run(tmp_path, before="jax.jit(lambda x: x + 1)(1.0)")
    assert folder == used
    assert folder.startswith(str(tmp_path / "cgatjax" / "jax"))
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    assert any(name.endswith("-cache") for name in os.listdir(folder))


@pytest.mark.parametrize(
    ("before", "variables", "kept_in"),
    [
        ("", {"CGATJAX_CACHE": "off"}, "None"),
        ("", {"JAX_COMPILATION_CACHE_DIR": "own"}, "own"),
        ("jax.config.update('jax_compilation_cache_dir', 'own')", {}, "own"),
        ("", {"JAX_ENABLE_COMPILATION_CACHE": "false"}, "None"),
        ("", {"XDG_CACHE_HOME": "/dev/null"}, "None"),
    ],
)
def test_settings_of_the_user_stay(tmp_path, monkeypatch, before, variables, kept_in):
    monkeypatch.chdir(tmp_path)
    assert run(tmp_path, before, **variables) == ["None", kept_in]
    assert not (tmp_path / "cgatjax").exists()


def test_the_tests_have_their_own_cache():
    assert keep_compiled_programs() is None


def test_the_folder_names_the_version_of_the_compiler(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    import jaxlib

    assert cache_folder().name.startswith(f"{jaxlib.__version__}-")
    assert cache_folder().parts[-4:-1] == (".cache", "cgatjax", "jax")


def test_the_least_recently_used_files_are_removed_beyond_the_bound(tmp_path):
    for age, name in enumerate(("new", "middle", "old")):
        (tmp_path / name).write_bytes(bytes(10))
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    trim(tmp_path, 25)
    assert {f.name for f in tmp_path.iterdir()} == {"new", "middle"}


def test_files_that_were_cut_short_are_removed_and_old_ones_not_read_again(tmp_path, monkeypatch):
    whole = zlib.compress(bytes(range(256)) * 100)
    (tmp_path / "whole-cache").write_bytes(whole)
    (tmp_path / "cut-cache").write_bytes(whole[:-9])
    (tmp_path / "empty-cache").touch()
    remove_damaged(tmp_path)
    assert {f.name for f in tmp_path.iterdir()} == {"whole-cache", "checked"}
    os.utime(tmp_path / "whole-cache", (1000, 1000))
    monkeypatch.setattr("pathlib.Path.read_bytes", lambda self: pytest.fail("read again"))
    remove_damaged(tmp_path)
    assert (tmp_path / "whole-cache").exists()


def test_a_program_that_jax_cut_short_is_compiled_again_without_a_warning(tmp_path):
    folder, _ = run(tmp_path)
    files = [f for f in os.scandir(folder) if f.name.endswith("-cache")]
    for file in files:
        os.truncate(file.path, file.stat().st_size - 5)
    run(tmp_path)
    names = {f.name for f in os.scandir(folder)}
    assert names >= {f.name for f in files}
    remove_damaged(Path(folder))
    assert {f.name for f in os.scandir(folder)} == names
