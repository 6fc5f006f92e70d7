"""Push notifications over real sockets: what receivers get, in which order, and what becomes of those that fail."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from aiohttp import web

from asya_gateway.channels import pacing
from asya_gateway.channels.slots import AT_ONCE
from asya_gateway.domain.destinations import NO_LIVE_KEY, REVOKED
from asya_gateway.outbound.client import ExchangeLimits, OutboundClient
from asya_gateway.outbound.errors import NameNotReached
from asya_gateway.outbound.permitting import Allowed
from asya_gateway.protocols.a2a.push import channel
from asya_gateway.protocols.a2a.viewing import PUSH_EXTENSION
from asya_gateway.storage.identity.keys import revoke_keys
from tests.support.a2a import SKILLS, conforms, data_message, rpc, text_message
from tests.support.gateway import Gateway, start_gateway
from tests.support.identity import BY, store_key
from tests.support.mcp import Actor, serve_tools
from tests.support.names import Names
from tests.support.principals import bearer
from tests.support.receiver import Receiver, hangs, receiving
from tests.support.waiting import until
from tests.support.web import web as raw_web

LOCAL = "127.0.0.0/8"


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    client = OutboundClient(Allowed.of([LOCAL]))
    async with start_gateway(database_url, outbound_allow=[LOCAL], pushes_by=client) as made:
        serve_tools(made, SKILLS)
        yield made


@pytest.fixture
def actor(gateway: Gateway) -> Actor:
    return Actor(gateway)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def begun(gateway: Gateway, **config: Any) -> str:
    """A task whose changes are pushed."""
    configuration = {"returnImmediately": True, "taskPushNotificationConfig": config}
    sent = {"message": text_message("hi"), "tenant": "echo", "configuration": configuration}
    return str((await rpc(gateway, "SendMessage", sent))["result"]["task"]["id"])


async def row(gateway: Gateway, task_id: str) -> Any:
    return await gateway.running.storage.database.fetchrow("SELECT * FROM destinations WHERE task_id = $1", task_id)


async def due_now(gateway: Gateway) -> None:
    """Let what waits for its next attempt wait no longer."""
    await gateway.running.storage.database.execute("UPDATE destinations SET not_before = clock_timestamp()")


async def test_a_receiver_of_1_0_gets_each_change_once_and_in_order(
    gateway: Gateway, actor: Actor, receiver: Receiver
) -> None:
    authentication = {"scheme": "Bearer", "credentials": "s3cret"}
    task_id = await begun(gateway, url=receiver.url + "/a", token="t0ken", authentication=authentication)
    await actor.serve({"n": 2**60 + 1})
    found = await receiver.got(4)
    states = [each.body.get("statusUpdate", {}).get("status", {}).get("state") for each in found]
    assert states == ["TASK_STATE_SUBMITTED", "TASK_STATE_WORKING", None, "TASK_STATE_COMPLETED"]
    assert found[2].body["artifactUpdate"]["artifact"]["parts"] == [{"data": {"n": 2**60 + 1}}]
    for each in found:
        conforms(each.body, "StreamResponse")
        assert each.headers["Content-Type"] == "application/a2a+json"
        assert (each.headers["Authorization"], each.headers["X-A2A-Notification-Token"]) == ("Bearer s3cret", "t0ken")
        assert each.headers["X-Asya-Event-Id"].startswith(f"{task_id}/")
    last = (await rpc(gateway, "GetTask", {"id": task_id}))["result"]
    assert (last["status"], "metadata" in last) == (found[3].body["statusUpdate"]["status"], False)
    seqs = [each.seq for each in found]
    # Progress is not pushed: entries 3 and 4 are left out.
    assert seqs == ["1", "2", "5.1", "5.2"]
    await until(lambda: _done(gateway, task_id))
    assert receiver.of("/a") == seqs


async def test_what_is_pushed_does_not_wait_for_a_poll(
    database_url: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asya_gateway.channels.host.POLL_EVERY", 3600.0)
    client = OutboundClient(Allowed.of([LOCAL]))
    async with (
        start_gateway(database_url, outbound_allow=[LOCAL], pushes_by=client) as gateway,
        # Another process writes the log.
        start_gateway(database_url, outbound_allow=[LOCAL], a2a_push=False) as accepting,
    ):
        for each in (gateway, accepting):
            serve_tools(each, SKILLS)
        task_id = await begun(gateway, url=receiver.url)
        await receiver.got(1)
        actor = Actor(gateway)
        await actor.take()
        await Actor(accepting).report(task_id, "received")
        await receiver.got(2)
        late = {"taskId": task_id, "url": receiver.url + "/late"}
        assert "result" in await rpc(gateway, "CreateTaskPushNotificationConfig", late)
        await Actor(accepting).end(task_id, result="done")
        await receiver.got(6)
    assert (receiver.of("/"), receiver.of("/late")) == (["1", "2", "3.1", "3.2"], ["3.1", "3.2"])


async def _done(gateway: Gateway, task_id: str) -> bool:
    found = await row(gateway, task_id)
    return bool(found["done"] and found["leased_by"] is None)


async def disabled(gateway: Gateway, task_id: str, **headers: str) -> str:
    """Why nothing more is pushed, as the task's owner reads it."""

    async def reason() -> Any:
        task = (await rpc(gateway, "GetTask", {"id": task_id}, **headers))["result"]
        return task.get("metadata", {}).get(PUSH_EXTENSION, {}).get("disabled")

    (only,) = await until(reason, what="the reason")
    return str(only["reason"])


async def test_older_dialects_get_the_task(gateway: Gateway, actor: Actor, receiver: Receiver) -> None:
    told = {"url": receiver.url + "/0.3", "token": "t0ken"}
    sent = {
        "message": {"messageId": "m", "role": "user", "parts": [{"kind": "text", "text": "hi"}]},
        "metadata": {"skill": "echo"},
        "configuration": {"blocking": False, "pushNotificationConfig": told},
    }
    first = (await rpc(gateway, "message/send", sent, version=None))["result"]
    await actor.serve("done")
    one, two, three = await receiver.got(3)
    assert [each.body["status"]["state"] for each in (one, two, three)] == ["submitted", "working", "completed"]
    assert [each.seq for each in (one, two, three)] == ["1", "2", "5"]
    assert three.body["artifacts"][0]["parts"] == [{"kind": "text", "text": "done"}]
    for each in (one, two, three):
        conforms(each.body, "Task", "0.3")
        assert (each.body["id"], each.body["contextId"]) == (first["id"], first["contextId"])
        assert (each.headers["X-A2A-Notification-Token"], each.headers["Content-Type"]) == ("t0ken", "application/json")
        assert "Authorization" not in each.headers
    message = {"role": "user", "parts": [{"type": "text", "text": "hi"}]}
    oldest = {"id": "own", "sessionId": "s", "message": message, "metadata": {"skill": "echo"}}
    asked = rpc(gateway, "tasks/send", {**oldest, "pushNotification": {"url": receiver.url}}, version=None)
    answering = asyncio.create_task(asked)
    await actor.serve({"n": 1})
    await answering
    last = (await receiver.got(6))[5].body
    assert (last["id"], last["sessionId"], last["status"]["state"]) == ("own", "s", "completed")
    assert last["artifacts"] == [{"index": 0, "parts": [{"type": "data", "data": {"n": 1}}]}]


async def test_a_question_and_its_answer_are_pushed_and_a_large_result_whole(
    gateway: Gateway, actor: Actor, receiver: Receiver
) -> None:
    task_id = await begun(gateway, url=receiver.url)
    await actor.take()
    await actor.report(task_id, "received")
    await actor.report(task_id, "paused", pause_metadata={"prompt": "Which?"})
    (_, _, asked) = await receiver.got(3)
    said = asked.body["statusUpdate"]["status"]
    assert (said["state"], said["message"]["parts"][0]) == ("TASK_STATE_INPUT_REQUIRED", {"text": "Which?"})
    await rpc(
        gateway,
        "SendMessage",
        {
            "message": data_message({"a": 1}, taskId=task_id),
            "configuration": {"returnImmediately": True},
        },
    )
    assert (await receiver.got(4))[3].body["statusUpdate"]["status"]["state"] == "TASK_STATE_WORKING"
    large = ["x" * 1000] * 300
    await actor.end(task_id, result=large)
    assert (await receiver.got(6))[4].body["artifactUpdate"]["artifact"]["parts"] == [{"data": large}]


async def test_what_fails_is_repeated_later_each_time_and_nothing_overtakes_it(
    gateway: Gateway, actor: Actor, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[tuple[int, float]] = []

    def pause(attempts: int, asked: float = 0.0) -> float:
        pauses.append((attempts, asked))
        return 0.01

    monkeypatch.setattr("asya_gateway.channels.delivering.pause", pause)

    async def wait(_: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "7"})

    async def elsewhere(_: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": receiver.url + "/elsewhere"})

    receiver.answers = [500, wait, elsewhere, 404, 204, 204, 204, 503]
    task_id = await begun(gateway, url=receiver.url + "/a")
    await actor.serve("done")
    found = await receiver.got(10)
    # The second event of the end failed, so that both are repeated, with the same ids.
    assert [each.seq for each in found] == ["1", "1", "1", "1", "1", "2", "5.1", "5.2", "5.1", "5.2"]
    assert all(each.body == found[0].body for each in found[:5])
    assert found[6].body == found[8].body
    assert pauses == [(1, 0), (2, 7), (3, 0), (4, 0), (1, 0)]
    assert receiver.of("/elsewhere") == []
    await until(lambda: _done(gateway, task_id))


async def test_a_receiver_that_wants_no_more_gets_no_more_until_it_is_set_again(
    gateway: Gateway, actor: Actor, receiver: Receiver
) -> None:
    receiver.answers = [204, 410]
    task_id = await begun(gateway, url=receiver.url, id="one", token="t0ken")
    await actor.serve("done")
    assert await disabled(gateway, task_id) == "it answered 410: nothing more is wanted there"
    assert receiver.of("/") == ["1", "2"]
    task = (await rpc(gateway, "GetTask", {"id": task_id}))["result"]
    conforms(task, "Task")
    again = {"taskId": task_id, "id": "one", "url": receiver.url + "/new"}
    assert "result" in await rpc(gateway, "CreateTaskPushNotificationConfig", again)
    await receiver.got(5)
    # It goes on with what it did not take.
    assert receiver.of("/new") == ["2", "5.1", "5.2"]
    assert "X-A2A-Notification-Token" not in receiver.received[-1].headers
    assert "metadata" not in (await rpc(gateway, "GetTask", {"id": task_id}))["result"]


async def test_an_owner_reads_why_nothing_more_is_pushed(
    gateway: Gateway, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.then = 500
    database = gateway.running.storage.database
    failing = await begun(gateway, url=receiver.url)
    await receiver.got(1)
    await until(lambda: _attempted(gateway, failing))
    await database.execute("UPDATE destinations SET failing_since = failing_since - interval '25 hours'")
    await due_now(gateway)
    assert await disabled(gateway, failing) == "every delivery has failed for 24 hours, the last one: it answered 500"
    # Whoever can write the table cannot have the secrets sent elsewhere.
    moved = await begun(gateway, url=receiver.url, token="t0ken")
    await until(lambda: _attempted(gateway, moved))
    await database.execute("UPDATE destinations SET url = url || '/thief' WHERE task_id = $1", moved)
    await due_now(gateway)
    # It is a failure at first, because another replica may have the key.
    await until(lambda: _attempted(gateway, moved, times=2))
    assert (await row(gateway, moved))["disabled_reason"] is None
    await database.execute("UPDATE destinations SET failing_since = failing_since - interval '25 hours'")
    await due_now(gateway)
    reason = f"every delivery has failed for 24 hours, the last one: {NO_LIVE_KEY}"
    assert await disabled(gateway, moved) == reason
    assert receiver.of("/thief") == []
    monkeypatch.setattr(pacing, "GIVEN_UP_AFTER", 0.0)
    async with raw_web(b"not HTTP\r\n\r\n") as garbage:
        broken = await begun(gateway, url=garbage.url)
        reason = (
            "every delivery has failed for 24 hours, the last one: the connection failed, or the answer is not HTTP"
        )
        assert await disabled(gateway, broken) == reason


async def _attempted(gateway: Gateway, task_id: str, times: int = 1) -> bool:
    found = await row(gateway, task_id)
    return bool(found["attempts"] >= times and found["leased_by"] is None)


async def test_a_name_that_moves_to_a_private_address_is_refused_when_it_is_sent_to(database_url: str) -> None:
    names = Names(["93.184.216.34"], ["10.0.0.1"])
    async with start_gateway(database_url, pushes_by=OutboundClient(resolver=names)) as gateway:
        serve_tools(gateway, SKILLS)
        task_id = await begun(gateway, url="https://receiver.example/hook")
        await until(lambda: _attempted(gateway, task_id))
        # As with a name that is not found: it may have an address again.
        found = await row(gateway, task_id)
        assert (found["delivered_seq"], found["disabled_reason"]) == (0, None)
        await gateway.running.storage.database.execute(
            "UPDATE destinations SET failing_since = failing_since - interval '25 hours', not_before = now()"
        )
        reason = NameNotReached().reason
        assert await disabled(gateway, task_id) == f"every delivery has failed for 24 hours, the last one: {reason}"


@pytest.mark.parametrize("addresses", [[], ["10.0.0.1"], ["127.0.0.1"]], ids=["unknown", "private", "loopback"])
async def test_a_registration_does_not_tell_which_names_there_are(database_url: str, addresses: list[str]) -> None:
    client = OutboundClient(resolver=Names(addresses))
    async with start_gateway(database_url, pushes_by=client) as gateway:
        serve_tools(gateway, SKILLS)
        configuration = {"taskPushNotificationConfig": {"url": "https://db.default.svc.cluster.local/"}}
        sent = {"message": text_message("hi"), "tenant": "echo", "configuration": configuration}
        error = (await rpc(gateway, "SendMessage", sent))["error"]
    expected = NameNotReached().reason
    # Whoever operates the gateway learns which setting it is, and callers learn nothing of the network.
    assert expected.endswith("expected a public one, or one that ASYA_OUTBOUND_ALLOW lists")
    named = [{"field": "configuration.taskPushNotificationConfig.url", "description": expected}]
    assert (error["code"], error["data"][0]["fieldViolations"]) == (-32602, named)


async def test_what_a_revoked_key_registered_is_disabled(database_url: str, receiver: Receiver) -> None:
    scopes = frozenset({"mcp:read", "mcp:invoke"})
    key, other = [await store_key(database_url, "alice", scopes=scopes) for _ in range(2)]
    client = OutboundClient(Allowed.of([LOCAL]))
    async with start_gateway(database_url, auth="required", outbound_allow=[LOCAL], pushes_by=client) as gateway:
        serve_tools(gateway, SKILLS)
        sent = {"message": text_message("hi"), "tenant": "echo", "configuration": {"returnImmediately": True}}
        task_id = (await rpc(gateway, "SendMessage", sent, **bearer(key.text)))["result"]["task"]["id"]
        config = {"taskId": task_id, "url": receiver.url}
        assert "result" in await rpc(gateway, "CreateTaskPushNotificationConfig", config, **bearer(key.text))
        async with connected(database_url) as connection:
            assert await revoke_keys(connection, key.id, BY) == [key.id]
        assert await disabled(gateway, task_id, **bearer(other.text)) == REVOKED


async def test_what_was_registered_with_a_key_that_was_revoked_while_nobody_ran_is_disabled_at_once(
    database_url: str, receiver: Receiver
) -> None:
    scopes = frozenset({"mcp:read", "mcp:invoke"})
    key, other = [await store_key(database_url, "alice", scopes=scopes) for _ in range(2)]
    closed: dict[str, Any] = {"auth": "required", "outbound_allow": [LOCAL]}
    # A gateway that delivers nothing.
    async with start_gateway(database_url, **closed) as gateway:
        serve_tools(gateway, SKILLS)
        configuration = {"returnImmediately": True, "taskPushNotificationConfig": {"url": receiver.url}}
        sent = {"message": text_message("hi"), "tenant": "echo", "configuration": configuration}
        task_id = (await rpc(gateway, "SendMessage", sent, **bearer(key.text)))["result"]["task"]["id"]
    async with connected(database_url) as connection:
        assert await revoke_keys(connection, key.id, BY) == [key.id]
    async with start_gateway(database_url, **closed, pushes_by=OutboundClient(Allowed.of([LOCAL]))) as gateway:
        serve_tools(gateway, SKILLS)
        assert await disabled(gateway, task_id, **bearer(other.text)) == REVOKED
    assert receiver.received == []


async def test_the_end_is_pushed_though_its_log_is_gone_and_to_whoever_comes_later(
    gateway: Gateway, actor: Actor, receiver: Receiver
) -> None:
    task_id = await begun(gateway, url=receiver.url + "/first")
    await receiver.got(1)
    receiver.then = 500
    await actor.serve("done")
    await until(lambda: _attempted(gateway, task_id))
    await gateway.running.storage.database.execute("DELETE FROM task_updates")
    receiver.then, before = 204, len(receiver.received)
    await due_now(gateway)
    await receiver.got(before + 2)
    assert receiver.of("/first")[before:] == ["5.1", "5.2"]
    late = {"taskId": task_id, "url": receiver.url + "/late"}
    assert "result" in await rpc(gateway, "CreateTaskPushNotificationConfig", late)
    await receiver.got(before + 4)
    assert receiver.of("/late") == ["5.1", "5.2"]


async def test_a_stop_gives_back_what_hangs_and_what_hangs_takes_few_places(
    database_url: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel, "LIMITS", ExchangeLimits(seconds=60.0, bytes=1000))
    client = OutboundClient(Allowed.of([LOCAL]))
    async with (
        receiving() as slow,
        start_gateway(database_url, outbound_allow=[LOCAL], pushes_by=client, drain_timeout=0.1) as gateway,
    ):
        serve_tools(gateway, SKILLS)
        slow.then = hangs
        for _ in range(2 * AT_ONCE):
            await begun(gateway, url=slow.url)
        await until(lambda: slow.open == AT_ONCE, what="as many as may hang at once")
        quick = [await begun(gateway, url=receiver.url) for _ in range(20)]
        await receiver.got(len(quick))
        assert (slow.most, len(slow.received)) == (AT_ONCE, AT_ONCE)
        monkeypatch.setattr("asya_gateway.channels.host.DeliveryHost.stop.__defaults__", (0.1,))
    async with connected(database_url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM destinations WHERE leased_by IS NOT NULL") == 0


async def test_a_receiver_that_hangs_is_given_up_and_delays_no_other(
    gateway: Gateway, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert channel.LIMITS.seconds == 10.0
    monkeypatch.setattr(channel, "LIMITS", ExchangeLimits(seconds=0.5, bytes=1000))
    receiver.then = hangs
    hanging = await begun(gateway, url=receiver.url)
    await until(lambda: _attempted(gateway, hanging))
    assert (await row(gateway, hanging))["delivered_seq"] == 0


async def test_what_is_removed_gets_nothing_more(gateway: Gateway, actor: Actor, receiver: Receiver) -> None:
    task_id = await begun(gateway, url=receiver.url + "/a", id="a")
    config = {"taskId": task_id, "url": receiver.url + "/b"}
    await receiver.got(1)
    assert "result" in await rpc(gateway, "CreateTaskPushNotificationConfig", config)
    await rpc(gateway, "DeleteTaskPushNotificationConfig", {"taskId": task_id, "id": "a"})
    await actor.serve("done")
    await receiver.got(4)
    assert (receiver.of("/a"), receiver.of("/b")) == (["1"], ["2", "5.1", "5.2"])
