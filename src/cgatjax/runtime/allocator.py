"""Reuse of freed memory between training steps on CPUs.

XLA's CPU backend allocates hundreds of megabytes at every call and frees them after it. The C
library returns such blocks to the system at once, which clears every page on the next allocation:
a third of the time of a training step at the released size (docs/performance.md).
"""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
"""Parameters of glibc's `mallopt`, from malloc.h."""
_NEVER = -1


def keep_freed_memory() -> bool:
    """Make the C library keep freed blocks of any size for the life of the process.

    Programs, not libraries, should call it, before the first use of a network and before pyarrow is
    imported (pandas and `open_store` do that): the threads of other libraries may hold a second
    heap by then, which XLA would use as well, and which gives large blocks back. The whole process
    never shrinks below its peak memory afterwards. The `cgatjax` commands call it.

    Returns:
      True if it was done; False if the C library is not glibc (macOS, Windows, musl), or if there
      is a second heap already: then a training takes up to a third longer.
    """
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None)
    if not (hasattr(libc, "mallopt") and hasattr(libc, "gnu_get_libc_version")):
        return False
    # One arena: the others are small heaps that cannot hold large blocks.
    options = ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, _NEVER))
    is_set = all(libc.mallopt(option, value) == 1 for option, value in options)
    return is_set and _arenas(libc) == 1


def _arenas(libc: ctypes.CDLL) -> int:
    """Count the heaps of the C library, from its report in XML."""
    text, size = ctypes.c_char_p(), ctypes.c_size_t()
    libc.open_memstream.restype = ctypes.c_void_p
    stream = ctypes.c_void_p(libc.open_memstream(ctypes.byref(text), ctypes.byref(size)))
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    report = text.value or b""
    libc.free(text)
    return report.count(b"<heap nr=")
