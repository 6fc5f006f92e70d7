"""The port that the gateway listens to."""

import fcntl
import random
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from asya_cli.errors import CliError

TRIES = 50
ANY = range(10_000, 32_768)
"""Below the ephemeral ports, because an outgoing connection could take such a port before the gateway listens."""


class Port:
    """A port of 127.0.0.1 that was free just now and that no other run of this user takes before `release`."""

    def __init__(self, number: int, lock: IO[bytes]) -> None:
        self.number = number
        self._lock = lock

    def release(self) -> None:
        """Release the lock on the port."""
        self._lock.close()


def take_port(wanted: int, locks: Path) -> Port:
    """`wanted` if it is free, else the next free one; 0 takes any. Locks in the folder `locks` keep two runs that start
    at the same time from taking the same port. Raises CliError."""
    numbers: Iterable[int] = range(wanted, min(wanted + TRIES, 65_536)) if wanted else random.sample(ANY, TRIES)
    for number in numbers:
        if _is_free(number) and (port := _lock(number, locks)):
            return port
    if not wanted:
        raise CliError(f"no free port among {TRIES} from {ANY.start} to {ANY.stop - 1}; choose one with --port")
    raise CliError(f"no free port from {wanted} to {wanted + TRIES - 1}; choose another with --port")


def _is_free(number: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError:
            return False
        return True


def _lock(number: int, locks: Path) -> Port | None:
    locks.mkdir(exist_ok=True)
    lock = (locks / str(number)).open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return Port(number, lock)
