"""Servers of fixtures, from started to removed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from servers.postgres import PostgresServer
from servers.processes import ServerUnavailable
from servers.pubsub import PubSubServer
from servers.rabbitmq import RabbitNode
from servers.sqs import SqsServer
from tests.support.missing import missing

Server = TypeVar("Server", PostgresServer, RabbitNode, PubSubServer, SqsServer)


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
