"""Push notifications over real sockets: what receivers get, in which order, and what becomes of those that fail."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from asya_gateway.outbound.client import OutboundClient
from asya_gateway.outbound.permitting import Allowed
from tests.support.a2a import SKILLS, conforms, rpc, text_message
from tests.support.gateway import Gateway, start_gateway
from tests.support.mcp import Actor, serve_tools
from tests.support.receiver import Receiver, receiving
from tests.support.waiting import until

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


async def _done(gateway: Gateway, task_id: str) -> bool:
    found = await row(gateway, task_id)
    return bool(found["done"] and found["leased_by"] is None)
