"""Returning this process's memory to the system."""

import ctypes

_MMAP_THRESHOLD, _ARENA_MAX = -3, -8
"""Of glibc's mallopt (malloc.h)."""
LARGE = 256 * 1024
"""Blocks of at least this many bytes are mapped separately."""
ARENAS = 2


def return_large_blocks() -> None:
    """Have the C library map each large block separately and return it as soon as it is freed.

    By default glibc raises that threshold to the largest block ever freed. A body of 10 MB is then allocated from a
    thread's heap, where small long-lived blocks keep the gaps it leaves from being returned. Call this before threads
    start. It does nothing with a C library other than glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(_MMAP_THRESHOLD, LARGE)
    mallopt(_ARENA_MAX, ARENAS)
