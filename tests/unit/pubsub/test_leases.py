"""Leases apart from the event loop, over a stub of the blocking client."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest
from google.api_core import exceptions
from google.pubsub_v1 import types
from google.pubsub_v1.services.subscriber import SubscriberClient

from asya_transports.port import TransportUnavailable
from asya_transports.pubsub import leases
from asya_transports.pubsub.errors import NothingYet
from asya_transports.pubsub.leases import Lease, LeaseKeeper
from asya_transports.pubsub.settings import PubSubSettings
from tests.support.waiting import lasts_blocking, rounds, until


class Client:
    """Remembers what was renewed, and when. `poll` is the call of the only poll, answered by the test in any thread."""

    def __init__(self) -> None:
        self.requests: list[tuple[float, Any]] = []
        self.error: Exception | None = None
        self.answering = threading.Event()
        self.answering.set()
        self.poll: Future[types.PullResponse] = Future()
        pull = SimpleNamespace(future=lambda request, timeout, metadata: self.poll)
        self.transport = SimpleNamespace(pull=pull, close=lambda: None)

    def modify_ack_deadline(self, *, request: Any, retry: None, timeout: float) -> None:
        self.requests.append((time.monotonic(), request))
        self.answering.wait(timeout)
        if self.error is not None:
            raise self.error


def keeper_of(client: Client, seconds: float) -> LeaseKeeper:
    return LeaseKeeper(seconds, lambda: cast("SubscriberClient", client))


async def renewals(client: Client, least: int) -> None:
    async def enough() -> bool:
        return len(client.requests) >= least

    await until(enough, 10, f"{least} renewals")


async def test_a_held_message_is_renewed_three_times_in_a_lease() -> None:
    client = Client()
    keeper = keeper_of(client, 1.5)
    began = time.monotonic()
    keeper.hold("subscription", ["a", "b"])
    await renewals(client, 3)
    keeper.stop()
    for number, (at, request) in enumerate(client.requests[:3], 1):
        assert at - began >= 0.5 * number - 0.02
        assert (request.subscription, set(request.ack_ids), request.ack_deadline_seconds) == (
            "subscription",
            {"a", "b"},
            2,
        )


def test_the_default_lease_is_30_seconds_renewed_every_10_and_the_first_time_within_the_shortest_ack_deadline() -> None:
    client = Client()
    keeper = keeper_of(client, PubSubSettings("project").lease)
    [lease] = keeper.hold("subscription", ["a"])
    now = time.monotonic()
    assert lease.until - now == pytest.approx(7.5, abs=1)  # it began before the message arrived
    assert lease.due - now == pytest.approx(10 / 3, abs=1)
    keeper._renew(cast("SubscriberClient", client), "subscription", [lease])
    keeper.stop()
    assert client.requests[0][1].ack_deadline_seconds == 30
    assert lease.until - now == pytest.approx(30, abs=1)
    assert lease.due - now == pytest.approx(10, abs=1)


async def test_a_released_message_is_not_renewed() -> None:
    client = Client()
    keeper = keeper_of(client, 3.0)
    first, _ = keeper.hold("subscription", ["released", "held"])
    keeper.release(first)
    await renewals(client, 1)
    keeper.stop()
    assert {ack_id for _, request in client.requests for ack_id in request.ack_ids} == {"held"}


async def test_while_renewals_fail_they_are_repeated_until_the_lease_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RETRY", 0.05)
    client = Client()
    client.error = exceptions.ServiceUnavailable("away")
    keeper = keeper_of(client, 2.0)
    [lease] = keeper.hold("subscription", ["a"])

    async def expired() -> bool:
        return lease.expired

    await until(expired, 5, "the end of the lease")
    assert len(client.requests) > 2
    asked = len(client.requests)
    lasts_blocking(0.3)
    keeper.stop()
    assert len(client.requests) <= asked + 1  # nobody renews what another may have


async def test_an_error_nobody_expected_does_not_end_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RETRY", 0.05)
    client = Client()
    client.error = ZeroDivisionError()
    keeper = keeper_of(client, 3.0)
    keeper.hold("subscription", ["a"])
    await renewals(client, 1)
    client.error = None
    await renewals(client, 2)
    keeper.stop()


async def test_what_is_sent_next_waits_for_a_renewal_that_is_under_way() -> None:
    client = Client()
    client.answering.clear()
    keeper = keeper_of(client, 3.0)
    [lease] = keeper.hold("subscription", ["a"])
    await renewals(client, 1)
    assert lease.renewing
    threading.Timer(0.1, client.answering.set).start()
    await keeper.quiet(lease)
    assert not lease.renewing
    keeper.stop()
    assert len(client.requests) == 1


def brought(*ack_ids: str) -> types.PullResponse:
    """What a poll brings."""
    return types.PullResponse(received_messages=[types.ReceivedMessage(ack_id=each) for each in ack_ids])


def after(seconds: float, work: Callable[[], object]) -> None:
    """In another thread, as the driver answers."""
    threading.Timer(seconds, work).start()


async def test_what_a_poll_brings_while_the_event_loop_is_blocked_is_renewed_from_its_reception_on() -> None:
    client = Client()
    keeper = keeper_of(client, 1.0)
    polling = asyncio.create_task(keeper.poll("subscription", 10, 60.0))
    await rounds()
    after(0.1, lambda: client.poll.set_result(brought("late")))
    lasts_blocking(2.5)
    assert len(client.requests) >= 5
    [received] = await polling
    assert not received.lease.expired
    assert (received.message.ack_id, received.lease.ack_id) == ("late", "late")
    keeper.stop()


async def test_a_message_whose_lease_ended_while_the_process_was_stopped_is_never_renewed_again() -> None:
    """Pub/Sub would take the renewal, although another consumer has the message, and the late answer."""
    client = Client()
    keeper = keeper_of(client, 3.0)
    [lost, held] = keeper.hold("subscription", ["lost", "held"])
    lost.until = time.monotonic() - 1
    await renewals(client, 2)
    keeper.stop()
    assert {ack_id for _, request in client.requests for ack_id in request.ack_ids} == {"held"}
    assert (lost.expired, held.expired) == (True, False)


def test_a_renewal_that_is_answered_after_the_lease_does_not_bring_it_back() -> None:
    keeper = keeper_of(Client(), 3.0)
    [lease] = keeper.hold("subscription", ["a"])
    asked = time.monotonic()
    lease.until = asked - 0.001
    keeper.renewed(lease, asked)
    keeper.stop()
    assert lease.expired


async def test_a_poll_that_is_left_is_aborted_and_what_it_brings_all_the_same_is_not_renewed() -> None:
    client = Client()
    client.poll.cancel = lambda: False  # type: ignore[method-assign] # it has ended meanwhile
    keeper = keeper_of(client, 1.0)
    polling = asyncio.create_task(keeper.poll("subscription", 10, 60.0))
    await rounds()
    polling.cancel()
    await asyncio.wait([polling])
    client.poll.set_result(brought("nobody's"))
    await rounds()
    lasts_blocking(0.7)
    keeper.stop()
    assert client.requests == []


@pytest.mark.parametrize(
    ("code", "kind"),
    [(grpc.StatusCode.DEADLINE_EXCEEDED, NothingYet), (grpc.StatusCode.UNAVAILABLE, TransportUnavailable)],
)
async def test_a_poll_that_fails_says_why(code: grpc.StatusCode, kind: type[TransportUnavailable]) -> None:
    client, none = Client(), grpc.aio.Metadata()
    client.poll.set_exception(grpc.aio.AioRpcError(code, none, none, "why it failed"))
    keeper = keeper_of(client, 3.0)
    with pytest.raises(kind, match="why it failed"):
        await keeper.poll("subscription", 10, 60.0)
    keeper.stop()


def test_a_lease_ends_by_our_clock() -> None:
    now = time.monotonic()
    assert Lease("subscription", "a", now - 0.001).expired
    assert not Lease("subscription", "a", now + 10).expired
