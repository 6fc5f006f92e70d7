"""Changes of lists and resources that subscriptions tell of (patterns/subscriptions), on every replica."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from asya_gateway.domain.budget import Share
from asya_gateway.protocols.http.held_requests import WEIGHT as OF_A_REQUEST
from asya_gateway.protocols.http.keys import BUDGET
from asya_gateway.protocols.mcp.following import WEIGHT
from tests.protocol.mcp.offers import OFFERS
from tests.support.gateway import Gateway, Reader
from tests.support.mcp import (
    TOOLS,
    Actor,
    ask,
    conforms,
    open_post,
    post,
    serve_tools,
    start_mcp,
    stateless_body,
    stateless_headers,
)
from tests.support.standing import AT_REST
from tests.support.waiting import until

WATCHED: dict[str, Any] = {
    "name": "watched",
    "entrypoint": "first",
    "mcp": {"tool": False, "resource": {"uri": "live://prices", "changes": True}},
}
SHELF: dict[str, Any] = {
    "name": "shelf",
    "entrypoint": "first",
    "mcp": {"tool": False, "resource": {"uriTemplate": "live://shelf/{id}", "changes": True}},
}
FLOWS = [*TOOLS, *OFFERS, WATCHED, SHELF]


@pytest.fixture
def gateway(gateway: Gateway) -> Gateway:
    serve_tools(gateway, FLOWS, 2)
    return gateway


class Heard:
    """What a subscription tells."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def next(self) -> dict[str, Any]:
        event = await self._reader.next()
        assert event is not None
        message: dict[str, Any] = event.data
        return message

    async def method(self) -> str:
        return str((await self.next())["method"].removeprefix("notifications/"))


@asynccontextmanager
async def listening(gateway: Gateway, path: str = "/mcp", **wanted: Any) -> AsyncIterator[tuple[Heard, dict[str, Any]]]:
    """A subscription, and what its acknowledgement honours."""
    body = stateless_body("subscriptions/listen", {"notifications": wanted})
    async with open_post(gateway, body, stateless_headers(body), path=path) as response:
        assert response.status == 200, await response.text()
        heard = Heard(Reader(response))
        first = await heard.next()
        conforms(first, "SubscriptionsAcknowledgedNotification")
        yield heard, first["params"]["notifications"]


async def test_each_list_is_told_of_by_itself(gateway: Gateway) -> None:
    """patterns/subscriptions: 'the server MUST NOT send notification types the client has not requested'."""
    lists = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}
    everything = listening(gateway, toolsListChanged=True, promptsListChanged=True, resourcesListChanged=True)
    async with everything as (heard, honoured):
        assert honoured == lists
        serve_tools(gateway, [*TOOLS, *OFFERS, WATCHED], 3)
        changed = await heard.next()
        conforms(changed, "ResourceListChangedNotification")
        serve_tools(gateway, [*TOOLS, *OFFERS[1:], WATCHED], 4)
        changed = await heard.next()
        conforms(changed, "PromptListChangedNotification")
        serve_tools(gateway, [*TOOLS[1:], *OFFERS[1:], WATCHED], 5)
        # The first tool in the list is no prompt and no resource.
        assert await heard.method() == "tools/list_changed"


async def test_only_what_was_asked_for_is_told(gateway: Gateway) -> None:
    async with listening(gateway, promptsListChanged=True) as (heard, honoured):
        assert honoured == {"promptsListChanged": True}
        serve_tools(gateway, TOOLS, 3)
        serve_tools(gateway, [*TOOLS, OFFERS[0]], 4)
        assert await heard.method() == "prompts/list_changed"


async def test_a_change_is_heard_where_it_shows_and_nowhere_else(gateway: Gateway) -> None:
    async with (
        listening(gateway, "/mcp?flows=shout", toolsListChanged=True) as (one, _),
        listening(gateway, "/mcp?flows=person,quiet", toolsListChanged=True) as (other, _),
    ):
        serve_tools(gateway, [tool for tool in TOOLS if tool["name"] != "person"], 3)
        assert await other.method() == "tools/list_changed"
        serve_tools(gateway, [tool for tool in TOOLS if tool["name"] not in ("person", "shout")], 4)
        # Had it heard of the first change, there would be another notification before the end.
        assert await one.method() == "tools/list_changed"


@pytest.mark.parametrize(
    "wanted",
    [
        {"toolsListChanged": 1},
        {"promptsListChanged": "yes"},
        {"resourcesListChanged": None},
        {"resourceSubscriptions": "live://prices"},
        {"resourceSubscriptions": [7]},
        {"resourceSubscriptions": ["live://prices"] * 101},
    ],
)
@AT_REST
async def test_a_malformed_filter_is_invalid_params(idle: Gateway, wanted: dict[str, Any]) -> None:
    status, answer = await ask(idle, "subscriptions/listen", {"notifications": wanted})
    assert (status, answer["error"]["code"]) == (400, -32602)
    assert f"notifications.{next(iter(wanted))}" in answer["error"]["message"]


async def test_only_resources_that_can_change_are_honoured(gateway: Gateway) -> None:
    """patterns/subscriptions: the acknowledgement has 'the subset of the requested notifications that the server
    honours'."""
    task_id = await gateway.submit()
    can = ["live://prices", "live://shelf/7", f"asya://tasks/{task_id}"]
    cannot = ["docs://handbook", "crm://eu/customers/7", "live://nothing", "asya://tasks/nothing", "", "x" * 5000]
    async with listening(gateway, resourceSubscriptions=[*cannot, *can]) as (_, honoured):
        assert honoured == {"resourceSubscriptions": can}
    async with listening(gateway, resourceSubscriptions=cannot) as (_, honoured):
        assert honoured == {}
    most = [f"live://shelf/{number}" for number in range(100)]
    async with listening(gateway, resourceSubscriptions=most) as (_, honoured):
        assert honoured == {"resourceSubscriptions": most}


async def test_tasks_are_followed_while_there_is_room(gateway: Gateway) -> None:
    uris = [f"asya://tasks/{await gateway.submit()}" for _ in range(3)]
    budget = gateway.app[BUDGET]
    before = budget.room(Share.HELD)
    async with listening(gateway, resourceSubscriptions=uris) as (_, honoured):
        assert honoured == {"resourceSubscriptions": uris}
        assert budget.room(Share.HELD) <= before - 3 * WEIGHT
        taken = budget.room(Share.HELD) - OF_A_REQUEST - 2 * WEIGHT
        budget.charge(Share.HELD, taken)
        try:
            body = stateless_body("subscriptions/listen", {"notifications": {"resourceSubscriptions": uris}})
            status, answer = await post(gateway, body, stateless_headers(body))
            assert (status, "memory budget" in answer["error"]["message"]) == (503, True), answer
        finally:
            budget.give_back(Share.HELD, taken)
    await until(lambda: budget.room(Share.HELD) == before, what="the end of the subscription")


async def test_a_task_is_told_of_as_often_as_it_changes(gateway: Gateway, actor: Actor) -> None:
    """server/resources, "Subscriptions": notifications/resources/updated with the uri."""
    task_id = await gateway.submit()
    await actor.take()
    uri = f"asya://tasks/{task_id}"
    async with listening(gateway, resourceSubscriptions=[uri]) as (heard, _):
        await actor.report(task_id, "received")
        updated = await heard.next()
        conforms(updated, "ResourceUpdatedNotification")
        assert updated["params"]["uri"] == uri
        await actor.end(task_id, result={"n": 1})
        assert (await heard.next())["params"]["uri"] == uri
    _, answer = await ask(gateway, "resources/read", {"uri": f"{uri}/result"})
    assert answer["result"]["contents"][0]["text"] == '{"n":1}'


async def announce(gateway: Gateway, said: Any) -> None:
    """What an actor of any task says."""
    task_id = await gateway.submit()
    code, answer = await gateway.post(f"/mesh/{task_id}/fly", {"payload": {"resource_updated": said}})
    assert code == 200, answer


@pytest.mark.parametrize("said", ["live://prices", ["live://shelf/7", "live://prices"], ["no uri", 7, "live://prices"]])
async def test_actors_announce_that_a_resource_has_changed(gateway: Gateway, said: Any) -> None:
    async with listening(gateway, resourceSubscriptions=["live://prices"]) as (heard, _):
        await announce(gateway, said)
        updated = await heard.next()
        conforms(updated, "ResourceUpdatedNotification")
        assert updated["params"]["uri"] == "live://prices"


async def test_an_announcement_is_heard_on_every_replica(gateway: Gateway, database_url: str) -> None:
    async with start_mcp(database_url, keepalive_interval=0.2) as other:
        serve_tools(other, FLOWS, 2)
        async with listening(other, resourceSubscriptions=["live://prices"]) as (heard, _):
            await announce(gateway, "live://prices")
            assert (await heard.next())["params"]["uri"] == "live://prices"
            await announce(gateway, "live://prices")
            assert (await heard.next())["params"]["uri"] == "live://prices"


async def test_an_announcement_whose_notification_is_lost_is_heard_all_the_same(gateway: Gateway) -> None:
    """A bell may be lost with its connection: what it announces is also read each second."""
    async with listening(gateway, resourceSubscriptions=["live://prices"]) as (heard, _):
        # Once it has been read, so that there is something to compare.
        await announce(gateway, "live://prices")
        await heard.next()
        await gateway.running.storage.database.execute("UPDATE resource_changes SET number = number + 1")
        async with asyncio.timeout(5):
            assert (await heard.next())["params"]["uri"] == "live://prices"


async def test_a_resource_that_is_no_longer_served_is_not_told_of(gateway: Gateway) -> None:
    async with listening(gateway, resourceSubscriptions=["live://prices", "live://shelf/7"]) as (heard, _):
        serve_tools(gateway, [*TOOLS, SHELF], 3)
        await announce(gateway, ["live://prices"])
        await announce(gateway, ["live://shelf/7"])
        assert (await heard.next())["params"]["uri"] == "live://shelf/7"


async def test_announcements_are_kept_for_an_hour(gateway: Gateway) -> None:
    storage = gateway.running.storage
    await announce(gateway, ["live://prices", "live://old"])
    old = "UPDATE resource_changes SET changed_at = now() - interval '61 minutes' WHERE uri = 'live://old'"
    await storage.database.execute(old)
    await storage.resources.retire()
    rows = await storage.database.fetch("SELECT uri FROM resource_changes")
    assert [row["uri"] for row in rows] == ["live://prices"]
