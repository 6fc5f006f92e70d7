"""A change of the registry at one replica reaches whoever listens at another one within a second."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import median
from typing import Any

from asya_crds.offloading import Offload
from asya_gateway.protocols.http.keys import FLOWS
from asya_gateway.registry.registrar import Registrar
from asya_gateway.registry.watch import RegistryWatch
from asya_gateway.storage.registry.store import PostgresRegistry
from tests.support.gateway import Gateway
from tests.support.mcp import open_post, stateless_body, stateless_headers
from tests.support.mcp_sessions import Stream, connect, open_sse, replicas
from tests.support.registry import entry, push
from tests.support.waiting import until

HANDBOOK = {"uri": "docs://handbook"}
SHELF = {"uriTemplate": "docs://{shelf}"}
CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("tools", {}),
    ("prompts", {"tool": False, "prompt": {}}),
    ("resources", {"tool": False, "resource": HANDBOOK}),
    ("resources", {"tool": False, "resource": SHELF}),
]
"""The list that changes, and the `mcp` block of the flow that is added for it."""
WANTED = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}
LISTS = ("tools", "prompts", "resources")


@asynccontextmanager
async def in_registry(gateway: Gateway, name: str) -> AsyncIterator[Registrar]:
    """A gateway that serves what the registry says, as a pod does."""
    storage, offload = gateway.running.storage, Offload()
    store = PostgresRegistry(storage.database, storage.bell, offload)
    watch = RegistryWatch(store, gateway.app[FLOWS], offload, pod=name, mode="api")
    await watch.start()
    await until(lambda: storage.bell.connected, what="the bell")
    await storage.bell.attended("asya_registry")
    try:
        yield Registrar(store, offload)
    finally:
        await watch.stop()
        await offload.close()


async def test_every_listener_of_another_replica_hears_of_each_list_within_a_second(database_url: str) -> None:
    """server/tools, prompts and resources, "List Changed Notification": 'servers that declared the listChanged
    capability SHOULD send a notification'."""
    async with replicas(database_url) as (pushed_to, listened_at), AsyncExitStack() as stack:
        registrar = await stack.enter_async_context(in_registry(pushed_to, "one"))
        await stack.enter_async_context(in_registry(listened_at, "two"))
        epoch, entries = await registrar.announce("operator"), [entry("base")]
        await registrar.push(push(epoch, *entries))
        await until(lambda: "base" in listened_at.app[FLOWS].table.flows, what="the first flow")
        body = stateless_body("subscriptions/listen", {"notifications": WANTED})
        response = await stack.enter_async_context(open_post(listened_at, body, stateless_headers(body)))
        session = await connect(pushed_to, listened_at)
        heard = {
            "listen": Stream(response),
            "GET": await stack.enter_async_context(session.listen(listened_at)),
            "HTTP+SSE": (await stack.enter_async_context(open_sse([listened_at, pushed_to]))).stream,
        }
        await heard["listen"].message()  # the acknowledgement
        assert (await heard["GET"].next()) is not None  # the priming event
        seconds: dict[str, list[float]] = {way: [] for way in heard}
        for number, (changed, exposure) in enumerate(CHANGES):
            entries.append(entry(f"more-{number}", mcp=exposure))
            began = time.monotonic()
            await registrar.push(push(epoch, *entries, hash=f"sha256:{number}"))
            for way, stream in heard.items():
                told = await stream.message()
                seconds[way].append(time.monotonic() - began)
                assert told["method"] == f"notifications/{changed}/list_changed", way
        for way, each in seconds.items():
            # A busy machine may keep one of them waiting.
            assert median(each) < 1.0, (way, each)
