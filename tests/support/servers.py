"""Servers of fixtures, from started to removed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from servers.processes import ServerUnavailable
from tests.support.missing import missing


class Startable(Protocol):
    """A server, or several."""

    def start(self) -> None:
        """Start; returns when it accepts connections."""

    def close(self) -> None:
        """Stop and remove everything."""


Server = TypeVar("Server", bound=Startable)


@contextmanager
def running(make: Callable[[], Server]) -> Iterator[Server]:
    """What `make` returns, started, and removed at the end of the block. Where this machine cannot run it, the test is
    skipped (tests/support/missing.py)."""
    try:
        server = make()
    except ServerUnavailable as reason:
        missing(reason)
    try:
        server.start()
        yield server
    finally:
        server.close()
