"""A gateway with its telemetry, put together as the program does it, and what its /metrics says."""

import contextlib
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from asya_gateway.app import build_app
from asya_gateway.domain.ports import OutboxEntry
from asya_gateway.domain.tasks import TaskRules, Tasks
from asya_gateway.observing import Observing
from asya_gateway.protocols.http.keys import STREAMS
from asya_gateway.storage.coalescer import Limits
from asya_gateway.storage.creating import Enqueue, into_outbox, into_queue
from asya_gateway.storage.database import Database
from asya_gateway.storage.store import Keeping, Storage
from asya_gateway.telemetry.spans import Spans
from tests.support.gateway import Gateway, compile_schema, make_flows, make_settings, serving
from tests.support.storage import Running


@dataclass
class Watched:
    """A served gateway and the telemetry that watches it."""

    gateway: Gateway
    observing: Observing
    handed: list[OutboxEntry]

    async def scrape(self) -> dict[str, list[Sample]]:
        """Every sample of /metrics, by the sample's name."""
        text = await self.text()
        found: dict[str, list[Sample]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found.setdefault(sample.name, []).append(sample)
        return found

    async def text(self, **headers: str) -> str:
        """/metrics as it stands."""
        url = f"http://127.0.0.1:{self.observing.port}/metrics"
        async with self.gateway.session.get(url, headers=headers) as response:
            assert response.status == 200
            return await response.text()

    async def value(self, name: str, **labels: str) -> float | None:
        """The one sample of that name with at least these labels; None where it is absent."""
        samples = [s for s in (await self.scrape()).get(name, []) if labels.items() <= s.labels.items()]
        assert len(samples) <= 1, samples
        return samples[0].value if samples else None


@contextlib.asynccontextmanager
async def start_watched(
    database_url: str, *, spans: Spans | None = None, poll_every: float = 0.1, **changes: Any
) -> AsyncGenerator[Watched]:
    """Serve until the block ends; `changes` are settings, `spans` replaces those that settings ask for."""
    settings = make_settings(database_url=database_url, metrics_port=0, **changes)
    observing = Observing(settings, poll_every=poll_every)
    if spans is not None:
        observing.metrics.spans = spans
    handed: list[OutboxEntry] = []
    storage = make_storage(database_url, into_queue("default", handed.extend), observing)
    tasks = Tasks(
        storage.tasks,
        storage.feed,
        storage.fly,
        TaskRules(mesh_url="http://mesh.example"),
        compile_schema,
        observing.metrics,
    )
    flows = make_flows()
    app = build_app(settings, tasks, flows, observer=observing.metrics)
    observing.watch(storage, flows, None, lambda: len(app[STREAMS]))
    async with observing.running(), serving(app, Running(storage)) as gateway:
        yield Watched(gateway, observing, handed)


def make_storage(database_url: str, enqueue: Enqueue, observing: Observing) -> Storage:
    return Storage(
        Database(database_url, min_size=1, max_size=8, statement_timeout=20),
        enqueue,
        limits=Limits(patience=1.0),
        keeping=Keeping(tasks=90 * 86400, updates=30 * 86400),
        ended=observing.metrics.ended,
    )
