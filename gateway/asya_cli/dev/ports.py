"""The port that the gateway listens to."""

import fcntl
import socket
from pathlib import Path
from typing import IO

from asya_cli.errors import CliError

TRIES = 50


class Port:
    """A port of 127.0.0.1 that no other run of this user takes before `release`, and nobody listened to just now."""

    def __init__(self, number: int, lock: IO[bytes] | None) -> None:
        self.number = number
        self._lock = lock

    def release(self) -> None:
        """Let others have it."""
        if self._lock is not None:
            self._lock.close()


def take_port(wanted: int, locks: Path) -> Port:
    """`wanted` if it is free, else the next that is; 0 takes any, which the system hands out by turns. Two runs
    that start together are kept apart by locks in the folder `locks`. Raises CliError."""
    if not wanted:
        return Port(_free(0), None)
    for number in range(wanted, min(wanted + TRIES, 65_536)):
        if _free(number) and (port := _lock(number, locks)):
            return port
    raise CliError(f"no free port from {wanted} to {wanted + TRIES - 1}; choose another with --port")


def _free(number: int) -> int:
    """The number, of 0 one that is free; 0 where somebody listens to it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError:
            return 0
        found: int = probe.getsockname()[1]
        return found


def _lock(number: int, locks: Path) -> Port | None:
    locks.mkdir(exist_ok=True)
    lock = (locks / str(number)).open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return Port(number, lock)
