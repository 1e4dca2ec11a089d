"""Memory that a training step frees and the next one needs again, kept by the process.

XLA's CPU backend asks for hundreds of megabytes at every call and gives them back after it. The C
library returns such blocks to the system at once, which must then clear every page anew: a third
of the time of a training step at the released size (docs/performance.md).
"""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
"""Parameters of glibc's `mallopt`, from malloc.h."""
_NEVER = -1


def keep_freed_memory() -> bool:
    """Makes the C library keep freed blocks, whatever their size, for the life of the process.

    To be called early, by programs rather than libraries: it holds for everything in the process,
    which then keeps the most memory that it ever had. Commands of `cgatjax` call it.

    Returns:
      True if it was done; False where the C library is not glibc (macOS, Windows, musl).
    """
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None)
    if not (hasattr(libc, "mallopt") and hasattr(libc, "gnu_get_libc_version")):
        return False
    # One arena: the others are small heaps that cannot hold large blocks.
    options = ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, _NEVER))
    return all(libc.mallopt(option, value) == 1 for option, value in options)
