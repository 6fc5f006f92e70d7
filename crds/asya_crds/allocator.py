"""How this process's memory goes back to the system."""

import ctypes

_MMAP_THRESHOLD, _ARENA_MAX = -3, -8
"""Of glibc's mallopt (malloc.h)."""
LARGE = 256 * 1024
"""Bytes from which a block is mapped by itself."""
ARENAS = 2


def return_large_blocks() -> None:
    """Have the C library map each large block by itself, and give it back as soon as it is freed.

    glibc raises that limit to the largest block that was ever freed: a body of 10 MB is then cut from a heap, one for
    each thread, where what is small and lives on keeps the gaps that it leaves from going back. To be called before
    threads start; does nothing where the C library is another.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(_MMAP_THRESHOLD, LARGE)
    mallopt(_ARENA_MAX, ARENAS)
