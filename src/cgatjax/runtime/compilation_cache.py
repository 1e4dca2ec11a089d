"""Compiled programs kept on disk between processes (JAX's persistent compilation cache).

Compiling takes longer than a short training: without a cache every command pays for it again.
"""

import functools
import hashlib
import importlib
import platform
import zlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
from jax.experimental.compilation_cache import compilation_cache

from cgatjax.runtime.user_cache import is_off, user_cache

LARGEST = 1_000_000_000
"""Bytes of compiled programs that are kept, the most recently used ones."""
CHECKED = "checked"
"""File whose time is that of the last `remove_damaged`."""
_ZSTANDARD = b"\x28\xb5\x2f\xfd"
_JAX_LEAST_SECONDS = 1.0
"""JAX's own default for the compile time from which a program is kept."""


@functools.cache
def keep_compiled_programs() -> Path | None:
    """Keep the programs that this process compiles in the user's cache folder, which is returned.

    None if the user switched this off, the folder cannot be written, or a cache folder is set for
    JAX (`jax_compilation_cache_dir`, JAX_COMPILATION_CACHE_DIR): that stays, with all of its
    options.
    """
    config: Any = jax.config
    if is_off() or not config.jax_enable_compilation_cache:
        return None
    if config.jax_compilation_cache_dir is not None:
        return None
    try:
        folder = cache_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The programs are machine code: nobody else may write there.
        folder.chmod(0o700)
        remove_damaged(folder)
        trim(folder, LARGEST)
    except (OSError, RuntimeError):  # RuntimeError: the user has no home folder
        return None
    config.update("jax_compilation_cache_dir", str(folder))
    # Most of the programs are small, and many of them together take seconds.
    if config.jax_persistent_cache_min_compile_time_secs == _JAX_LEAST_SECONDS:
        config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    # JAX looks for the folder once, at the first compilation, which may be over.
    compilation_cache.reset_cache()
    return folder


def cache_folder() -> Path:
    """Return the folder for this version of XLA and this processor, below the user's cache."""
    # XLA compiles for all instructions of the processor; a shared home has machines of many kinds.
    name = f"{version('jaxlib')}-{hashlib.sha256(_processor().encode()).hexdigest()[:12]}"
    return user_cache("jax") / name


def remove_damaged(folder: Path) -> None:
    """Remove files that were cut short, among those that are newer than the last check.

    JAX writes them in place: a kill or a full disk leaves a part, which JAX would neither use nor
    replace, with a warning each time.
    """
    stamp = folder / CHECKED
    since = stamp.stat().st_mtime if stamp.exists() else 0.0
    stamp.touch()
    for file in folder.glob("*-cache"):
        if file.stat().st_mtime >= since and not _is_whole(file.read_bytes()):
            file.unlink(missing_ok=True)


def _is_whole(compressed: bytes) -> bool:
    """Check that a file can be decompressed as JAX does."""
    try:
        if compressed.startswith(_ZSTANDARD):  # JAX's choice if the package is installed
            importlib.import_module("zstandard").ZstdDecompressor().decompress(compressed)
        else:
            zlib.decompress(compressed)
    except (
        Exception
    ):  # the decompressors have no common error, and such a file is only compiled anew
        return False
    return True


def trim(folder: Path, largest: int) -> None:
    """Remove the least recently used files until those that are left have `largest` bytes.

    JAX's own bound would need the package filelock, and a lock around every access.
    """
    files = [(f, f.stat()) for f in folder.rglob("*") if f.is_file()]
    total = 0
    for file, stat in sorted(files, key=lambda f: -max(f[1].st_atime, f[1].st_mtime)):
        total += stat.st_size
        if total > largest:
            file.unlink(missing_ok=True)


def _processor() -> str:
    """Describe the processor by name and instruction sets."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    wanted = ("model name", "flags", "Features", "CPU part")
    return "\n".join([platform.machine(), *(line for line in lines if line.startswith(wanted))])
