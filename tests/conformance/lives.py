"""Clients live several at a time, because they wait more than they compute; each test looks at what one has seen."""

import asyncio
import json
import tempfile
import uuid
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conformance.clients import Client
from tests.conformance.cutting import Cutting
from tests.conformance.served import Served
from tests.conformance.tools import Node, run

AT_A_TIME = 4


@dataclass(frozen=True, slots=True)
class Life:
    """What a client has seen, what its tasks are found by, and the front that broke a stream of it."""

    client: Client
    served: Served
    front: Cutting
    seen: dict[str, Any]
    mark: str


@dataclass
class Lives:
    """Of clients by name, each of which lives once."""

    served: Served
    node: Node
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(AT_A_TIME))
    _begun: dict[str, Future[Life]] = field(default_factory=dict)

    def begin(self, clients: Iterable[Client]) -> None:
        for client in clients:
            if client.name not in self._begun:
                self._begun[client.name] = self._pool.submit(self._live, client)

    def of(self, client: Client) -> Life:
        """Its life, once it has ended. Raises AssertionError with what its program printed, if that failed."""
        self.begin([client])
        return self._begun[client.name].result()

    def end(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _live(self, client: Client) -> Life:
        front, cutting = self.served.cutting()
        mark = f"mark-{uuid.uuid4().hex}"
        with tempfile.TemporaryDirectory(prefix="asya-client-") as folder:
            addresses = client.addresses(self.node, Path(folder), url=self.served.both, cutting=cutting)
            options = {"mode": client.mode, "mark": mark, "loses": client.loses, **addresses}
            done = asyncio.run(run(*client.package.command(self.node), json.dumps(options)))
        return Life(client, self.served, front, done.answer, mark)
