"""Ports for servers that start some time after their port is chosen."""

import atexit
import collections
import contextlib
import random
import socket
from pathlib import Path

LOWEST = 10_000
KEPT = 200
"""Most reservations of one process at a time. The servers of older ones have started by then."""
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_reserved: collections.deque[socket.socket] = collections.deque(maxlen=KEPT)


@atexit.register
def _give_back() -> None:
    while _reserved:
        _reserved.popleft().close()


def free_port() -> int:
    """A TCP port of 127.0.0.1 on which nothing listens and that no other test process gets.

    It is never an ephemeral port, because the system may assign such a port to another socket before the server starts.
    """
    highest = _first_of_the_system()
    while True:
        port = random.randrange(LOWEST, highest)
        if _reserve(port) and _is_free(port):
            return port


def _first_of_the_system() -> int:
    with contextlib.suppress(OSError, ValueError):
        first = int(_RANGE.read_text().split()[0])
        if first > LOWEST + 10 * KEPT:
            return first
    return 32_768


def _reserve(port: int) -> bool:
    """Try to reserve the port with an abstract socket name, which disappears with its process (Linux); returns
    success."""
    name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        name.bind(f"\0asya-test-port-{port}")
    except OSError:
        name.close()
        return False
    if len(_reserved) == KEPT:
        _reserved.popleft().close()
    _reserved.append(name)
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
