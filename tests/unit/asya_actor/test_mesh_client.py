"""Reports to a mesh that is away, slow, broken, or answers strangely."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from asya_actor.mesh.client import MeshClient, MeshRefused, MeshUnavailable, Timeouts
from asya_actor.mesh.live import LiveEventsOfCall, LiveLine
from asya_actor.mesh.reporting import HopReports
from asya_actor.telemetry.metrics import LIVE_LOST
from asya_crds.envelope import Envelope, Route
from servers.ports import free_port
from tests.support.mesh_stub import MeshStub, mesh_stub
from tests.support.waiting import until

ENVELOPE = Envelope("a/b ?", Route(("x",), "y", ("z",)), {}, status={"attempt": 2})


@pytest.fixture
async def stub() -> AsyncIterator[MeshStub]:
    async with mesh_stub() as made:
        yield made


@pytest.fixture
async def client() -> AsyncIterator[MeshClient]:
    made = MeshClient(Timeouts(connect=1.0, total=1.0, active=0.2))
    yield made
    await made.close()


@pytest.mark.parametrize(
    "trouble",
    [
        *(500, 503, 429, 408, 401, 403, 405, 421),
        "lost",
        (503, "", {"Retry-After": "nonsense"}),
        (404, '{"error":{"code":"not_found","message":"Not Found"}}'),
        (404, "404 page not found"),
    ],
)
async def test_what_may_pass_is_tried_until_it_has(stub: MeshStub, client: MeshClient, trouble: Any) -> None:
    stub.answers.extend([trouble, trouble, (200, '{"status":"ok"}')])
    assert await client.progress(stub.url, "t", {"status": "received"}) == {"status": "ok"}
    assert stub.requests == [("POST", "/mesh/t/progress", {"status": "received"})] * 3


async def test_retry_after_is_honoured(stub: MeshStub, client: MeshClient) -> None:
    stub.answers.append((503, "", {"Retry-After": "1"}))
    started = time.monotonic()
    await client.final(stub.url, "t", {"status": "succeeded"})
    assert time.monotonic() - started >= 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((400, '{"error":{"code":"invalid_input","message":"expected a number","field":"x"}}'), "x: expected a number"),
        ((413, "too much"), "too much"),
        ((302, "", {"Location": "/elsewhere"}), ""),
        ((404, "Task not found"), "Task not found"),
    ],
)
async def test_what_repeating_cannot_change_is_told(
    stub: MeshStub, client: MeshClient, answer: Any, reason: str
) -> None:
    stub.answers.append(answer)
    with pytest.raises(MeshRefused) as refused:
        await client.final(stub.url, "t", {"status": "succeeded"})
    assert (refused.value.status, refused.value.reason) == (answer[0], reason)
    assert refused.value.too_large is (answer[0] == 413)
    assert len(stub.requests) == 1


@pytest.mark.parametrize(
    ("answer", "active"), [((200, '{"active":true}'), True), ((410, '{"active":false}'), False), (404, True)]
)
async def test_only_410_says_inactive(stub: MeshStub, client: MeshClient, answer: Any, active: bool) -> None:
    stub.answers.append(answer)
    assert await HopReports(client, stub.url, ENVELOPE).active() is active
    assert stub.requests == [("GET", "/mesh/a%2Fb%20%3F/active", None)]


async def test_a_mesh_that_cannot_be_asked_does_not_hold_work_up(stub: MeshStub, client: MeshClient) -> None:
    """A worker that cannot reach mesh goes on."""
    assert await HopReports(client, f"http://127.0.0.1:{free_port()}", ENVELOPE).active()
    stub.hold.clear()
    assert await HopReports(client, stub.url, ENVELOPE).active()


async def test_a_name_that_cannot_be_looked_up_is_a_mesh_that_is_away(client: MeshClient) -> None:
    base = f"http://{'a' * 64}:80"
    with pytest.raises(MeshUnavailable):
        await client.progress_once(base, "t", {})
    assert await HopReports(client, base, ENVELOPE).active()


async def test_a_claim_names_hop_attempt_and_this_delivery(stub: MeshStub, client: MeshClient) -> None:
    stub.answers.append((200, '{"status":"ok","action":"busy","lease_seconds":30}'))
    reports = HopReports(client, stub.url, ENVELOPE)
    claimed = await reports.received(2048)
    assert (claimed.action, claimed.lease, claimed.ours) == ("busy", 30.0, True)
    ((_, path, body),) = stub.requests
    assert path == "/mesh/a%2Fb%20%3F/progress"
    assert body["claim"] == {"hop": "1", "attempt": 2, "claimant": reports.claimant}
    assert (body["prev"], body["curr"], body["next"]) == (["x"], "y", ["z"])
    assert (body["status"], body["message_size_kb"]) == ("received", 2.0)
    assert HopReports(client, stub.url, ENVELOPE).claimant != reports.claimant


@pytest.mark.parametrize("answer", [200, (200, "OK"), (200, '{"status":"ok"}'), (200, '{"action":"dance"}'), 400])
async def test_a_mesh_that_knows_no_claims_lets_it_go(stub: MeshStub, client: MeshClient, answer: Any) -> None:
    stub.answers.append(answer)
    assert (await HopReports(client, stub.url, ENVELOPE).received(1)).action == "go"


async def test_signs_of_life_go_on_and_a_lost_hop_is_noticed(stub: MeshStub, client: MeshClient) -> None:
    """BRIEF: processing (repeated every lease/3 to renew the claim)."""
    reports = HopReports(client, stub.url, ENVELOPE, lease=0.06)
    stub.answers.extend([(200, '{"action":"go"}'), 503, (200, '{"action":"go"}'), (200, '{"action":"done"}')])
    async with reports.kept_alive("y"), asyncio.timeout(5):
        await reports.lost.wait()
    assert [body["status"] for _, _, body in stub.requests] == ["processing"] * 4


@pytest.mark.parametrize("answer", [200, 400, 503])
async def test_a_claim_is_given_back_once_whatever_mesh_says(stub: MeshStub, client: MeshClient, answer: int) -> None:
    stub.answers.append(answer)
    reports = HopReports(client, stub.url, ENVELOPE)
    await reports.released()
    [(_, _, body)] = stub.requests
    assert (body["status"], body["claim"]["claimant"]) == ("released", reports.claimant)


async def test_without_a_gateway_nothing_is_reported(client: MeshClient) -> None:
    reports = HopReports(client, None, ENVELOPE)
    assert (await reports.received(1)).action == "go"
    assert await reports.active()
    assert await reports.processed([], ENVELOPE.route)
    await reports.completed(1, ENVELOPE.route)
    await reports.released()


async def test_live_events_are_bundled_while_one_request_is_on_its_way(stub: MeshStub, client: MeshClient) -> None:
    stub.hold.clear()
    line = LiveLine(client, stub.url, "t", "y", bundles=True)
    await line.put({"n": 0})
    await until(lambda: stub.requests, 5, "a request")
    for number in range(1, 100):
        await line.put({"n": number})
    stub.hold.set()
    await line.finish()
    assert [body for _, _, body in stub.requests] == [
        {"payload": {"n": 0}},
        {"payloads": [{"n": number} for number in range(1, 100)]},
    ]


async def put_from_a_thread(line: LiveLine, events: list[dict[str, int]]) -> None:
    """As a handler does that is no coroutine."""

    def put() -> None:
        for event in events:
            line.put_from_thread(event)

    await asyncio.to_thread(put)


async def test_another_mesh_gets_one_event_a_request_in_order(stub: MeshStub, client: MeshClient) -> None:
    line = LiveLine(client, stub.url, "t", "y", bundles=False)
    stub.answers.extend([503, 200, "lost"])
    await put_from_a_thread(line, [{"n": number} for number in range(5)])
    await line.finish()
    got = [body["payload"]["n"] for _, _, body in stub.requests]
    assert list(dict.fromkeys(got)) == [0, 1, 2, 3, 4]


async def test_live_events_that_mesh_does_not_take_are_dropped_and_counted(
    stub: MeshStub, client: MeshClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asya_actor.mesh.live.TRIES_FOR", 0.1)
    lost = LIVE_LOST.labels("dropping")
    before = lost._value.get()
    line = LiveLine(client, f"http://127.0.0.1:{free_port()}", "t", "dropping", bundles=True)
    await line.put({"n": 1})
    await line.finish()
    assert lost._value.get() == before + 1


async def test_a_handler_waits_only_a_little_for_room(
    stub: MeshStub, client: MeshClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asya_actor.mesh.live.WAITING_BYTES", 20)
    monkeypatch.setattr("asya_actor.mesh.live.PATIENCE", 0.05)
    stub.hold.clear()
    line = LiveLine(client, stub.url, "t", "full", bundles=True)
    started = time.monotonic()
    await put_from_a_thread(line, [{"number": number} for number in range(10)])
    assert time.monotonic() - started < 3
    stub.hold.set()
    await line.finish()
    assert LIVE_LOST.labels("full")._value.get() > 0


async def test_events_without_a_gateway_are_checked_and_swallowed(client: MeshClient) -> None:
    line = LiveLine(client, None, "t", "y", bundles=False)
    await line.put({"n": 1})
    for bad in ({"n": float("nan")}, {"n": {1}}, {"n": "x" * 1024 * 1024}):
        with pytest.raises((TypeError, ValueError)):
            await line.put(bad)
    with pytest.raises(MeshUnavailable):
        await client.active(f"http://127.0.0.1:{free_port()}", "t")


@pytest.mark.parametrize(
    ("answer", "left"),
    [('{"action":"go","remaining_seconds":-3.5}', -3.5), ('{"action":"go","remaining_seconds":60}', 60), ("{}", None)],
)
async def test_what_is_left_of_the_deadline_is_what_mesh_answers_to_the_claim(
    client: MeshClient, stub: MeshStub, answer: str, left: float | None
) -> None:
    stub.answers.append((200, answer))
    overdue = ENVELOPE.with_(status={"deadline_at": "2000-01-01T00:00:00Z"})
    reports = HopReports(client, stub.url, overdue)
    assert reports.seconds_left() is None
    await reports.received(1)
    assert reports.seconds_left() == (None if left is None else pytest.approx(left, abs=5))


async def test_a_line_for_live_events_is_made_with_the_first_event_also_from_a_thread(
    stub: MeshStub, client: MeshClient
) -> None:
    events = LiveEventsOfCall(client, stub.url, "t", "y", bundles=True)
    await events.finish()
    await asyncio.to_thread(events.put_from_thread, {"n": 1})
    await events.put({"n": 2})
    await events.finish()
    found = [body.get("payloads", [body.get("payload")]) for _, _, body in stub.requests]
    assert [event for bundle in found for event in bundle] == [{"n": 1}, {"n": 2}]


async def test_whoever_asks_after_the_hop_was_lost_is_told_at_once(client: MeshClient) -> None:
    reports, told = HopReports(client, None, ENVELOPE), []
    reports.on_lost(lambda: told.append("before"))
    reports.lose()
    reports.on_lost(lambda: told.append("after"))
    assert told == ["before", "after"]
