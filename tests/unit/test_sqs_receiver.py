"""A receiver of SQS over a stub of the driver: errors that no stand-in shows, and what becomes of the places."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.parsers import ResponseParserError

from asya_transports.port import LeaseLost, Prefetch, TransportUnavailable
from asya_transports.sqs import attributes
from asya_transports.sqs import receiver as sqs_receiver
from asya_transports.sqs.client import SqsClient
from asya_transports.sqs.delivery import SqsDelivery
from asya_transports.sqs.settings import SqsSettings
from asya_transports.sqs.transport import SqsTransport
from tests.support.waiting import lasts, lasts_blocking, until

SETTINGS = SqsSettings(endpoint="http://127.0.0.1:9", wait_time=1)
OURS = [RuntimeError("credentials were not refreshed"), ResponseParserError("no XML"), OSError(), KeyError("Error")]
"""What the driver raises beside its own BotoCoreError and ClientError."""


class Driver:
    """The driver's client, for both threads. Each poll takes the next of `polls`: messages, or an error; after them
    there are none, and it waits. Requests with a gate, by their name, are answered when it is open."""

    def __init__(self) -> None:
        self.polls: list[list[dict[str, Any]] | Exception] = []
        self.asked: list[dict[str, Any]] = []
        self.calls: list[tuple[str, str, str]] = []
        """(request, receipt or body, its number or attribute), in the order in which they are answered."""
        self.under_way: set[str] = set()
        self.gates: dict[str, threading.Event] = {}
        self.takes = 0.0
        """Seconds of each poll, which has its messages from the beginning on."""

    def named(self, name: str) -> list[str]:
        """Receipts or bodies of the requests of that name."""
        return [what for called, what, _ in self.calls if called == name]

    async def get_queue_url(self, QueueName: str) -> dict[str, Any]:  # noqa: N803 # a parameter of SQS
        return {"QueueUrl": f"url/{QueueName}"}

    async def receive_message(self, **request: Any) -> dict[str, Any]:
        self.asked.append(request)
        await self._passes("poll")
        if not self.polls:
            await lasts(request["WaitTimeSeconds"] / 10)
            return {}
        answer = self.polls.pop(0)
        await lasts(self.takes)
        if isinstance(answer, Exception):
            raise answer
        return {"Messages": answer}

    async def delete_message_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        return await self._answered("delete", Entries, lambda entry: (entry["ReceiptHandle"], ""))

    async def change_message_visibility_batch(
        self,
        QueueUrl: str,  # noqa: N803
        Entries: list[dict[str, Any]],  # noqa: N803
    ) -> dict[str, Any]:
        name = "renew" if Entries[0]["VisibilityTimeout"] else "show"
        return await self._answered(
            name, Entries, lambda entry: (entry["ReceiptHandle"], str(entry["VisibilityTimeout"]))
        )

    async def send_message_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        return await self._answered(
            "send",
            Entries,
            lambda entry: (entry["MessageBody"], entry["MessageAttributes"]["asya-deliveries"]["StringValue"]),
        )

    async def _answered(
        self, name: str, entries: list[dict[str, Any]], told: Callable[[dict[str, Any]], tuple[str, str]]
    ) -> dict[str, Any]:
        await self._passes(name)
        self.calls += [(name, *told(entry)) for entry in entries]
        return {"Successful": [{"Id": entry["Id"]} for entry in entries]}

    async def _passes(self, name: str) -> None:
        self.under_way.add(name)
        if name in self.gates:
            await asyncio.to_thread(self.gates[name].wait, 20)
        self.under_way.discard(name)


def brought(*bodies: str) -> list[dict[str, Any]]:
    """What a poll brings."""
    return [
        {"ReceiptHandle": f"receipt-{body}", "Body": body, "Attributes": {"ApproximateReceiveCount": "1"}}
        for body in bodies
    ]


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    driver = Driver()

    async def opened(_: object) -> Driver:
        return driver

    monkeypatch.setattr(SqsClient, "_opened", opened)
    monkeypatch.setattr(sqs_receiver, "FIRST_PAUSE", 0.01)
    return driver


@pytest.fixture
async def transport(driver: Driver) -> AsyncIterator[SqsTransport]:
    transport = SqsTransport(SETTINGS, "n")
    yield transport
    await transport.close()


@pytest.mark.parametrize("error", OURS, ids=lambda error: type(error).__name__)
async def test_every_error_of_the_driver_is_unavailable_and_says_what_it_was(
    driver: Driver, transport: SqsTransport, error: Exception
) -> None:
    driver.polls = [error]
    with pytest.raises(TransportUnavailable, match=str(error) or "OSError"):
        await SqsClient(SETTINGS).poll("url", 1, 1)


@pytest.mark.parametrize("error", OURS, ids=lambda error: type(error).__name__)
async def test_a_receiver_goes_on_after_every_error_of_the_driver(
    driver: Driver, transport: SqsTransport, error: Exception
) -> None:
    driver.polls = [error, brought("{}")]
    async with transport.receive("worker") as stream:
        async with asyncio.timeout(5):
            delivery = await anext(stream)
        await delivery.ack()
    assert driver.named("delete") == ["receipt-{}"]


@pytest.fixture
async def short(driver: Driver) -> AsyncIterator[SqsTransport]:
    """With leases of a second."""
    transport = SqsTransport(SqsSettings(endpoint="http://127.0.0.1:9", wait_time=1, visibility_timeout=1), "n")
    yield transport
    await transport.close()


async def test_what_a_poll_brings_while_the_event_loop_is_blocked_is_renewed_from_its_reception_on(
    driver: Driver, short: SqsTransport
) -> None:
    driver.gates["poll"] = threading.Event()
    driver.polls = [brought("late")]
    async with short.receive("worker") as stream:
        waiting = asyncio.create_task(anext(stream))
        await until(lambda: "poll" in driver.under_way, 5, "a poll")
        threading.Timer(0.1, driver.gates["poll"].set).start()
        lasts_blocking(2.5)
        assert driver.named("renew").count("receipt-late") >= 3
        async with asyncio.timeout(5):
            await (await waiting).ack()
    assert driver.named("delete") == ["receipt-late"]


async def test_a_message_is_returned_after_the_renewal_that_is_under_way(driver: Driver, short: SqsTransport) -> None:
    """SQS would take the renewal last, and hide the message from everybody."""
    driver.gates["renew"] = threading.Event()
    driver.polls = [brought("held")]
    async with short.receive("worker") as stream:
        delivery = await anext(stream)
        await until(lambda: "renew" in driver.under_way, 5, "a renewal")
        returning = asyncio.create_task(delivery.nack())
        await lasts(0.1)
        assert driver.named("show") == []
        driver.gates["renew"].set()
        await returning
    assert [(name, seconds) for name, _, seconds in driver.calls] == [("renew", "1"), ("show", "0")]


async def test_a_renewal_that_is_answered_after_the_lease_does_not_bring_it_back(
    driver: Driver, short: SqsTransport
) -> None:
    """Another consumer may have had the message before SQS took the renewal."""
    driver.gates["renew"] = threading.Event()
    driver.polls = [brought("held")]
    async with short.receive("worker") as stream:
        delivery = await anext(stream)
        assert isinstance(delivery, SqsDelivery)
        await until(lambda: "renew" in driver.under_way, 5, "a renewal")
        await until(delivery.lease.expired, 5, "the end of the lease")
        driver.gates["renew"].set()
        await until(lambda: driver.named("renew"), 5, "the answer to it")
        with pytest.raises(LeaseLost):
            await delivery.ack()
    assert driver.named("delete") == []


async def test_what_is_too_much_for_a_moment_stays_and_what_stays_too_much_goes_back(
    driver: Driver, transport: SqsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqs_receiver, "RETURN_AFTER", 0.3)
    driver.polls = [brought(*"012345")]
    prefetch = Prefetch(6)
    async with transport.receive("worker", prefetch=prefetch) as stream:
        held = [await anext(stream)]
        prefetch.set(2)
        held += [await anext(stream), await anext(stream)]  # begun before they are returned
        assert driver.calls == []
        await until(lambda: len(driver.named("delete")) == 3, 5, "the return of the others")
        assert sorted(driver.named("send")) == ["3", "4", "5"]
        assert [each.body for each in held] == [b"0", b"1", b"2"]


async def test_a_poll_under_way_is_not_cut_off_by_a_stop_and_what_it_brings_goes_back_uncounted(
    driver: Driver, transport: SqsTransport
) -> None:
    driver.gates["poll"] = threading.Event()
    driver.polls = [brought("late")]

    async def receive() -> None:
        async with transport.receive("worker") as stream:
            await anext(stream)

    receiving = asyncio.create_task(receive())
    await until(lambda: "poll" in driver.under_way, 5, "a poll")
    receiving.cancel()
    await lasts(0.2)
    assert not receiving.done()
    driver.gates["poll"].set()
    await asyncio.wait([receiving], timeout=10)
    assert driver.calls == [("send", "late", "0"), ("delete", "receipt-late", "")]
    assert len(driver.asked) == 1
    assert transport.leaves_within > driver.asked[0]["WaitTimeSeconds"]


async def test_a_message_whose_lease_ended_before_its_turn_is_left_to_its_new_holder(
    driver: Driver, transport: SqsTransport
) -> None:
    driver.polls = [brought("first", "expired"), brought("next")]
    async with transport.receive("worker", prefetch=2) as stream:
        first = await anext(stream)
        for lease in transport._keeper._leases:
            if lease.receipt == "receipt-expired":
                lease.lost = True
        async with asyncio.timeout(5):
            second = await anext(stream)
        assert (first.body, second.body) == (b"first", b"next")
        await first.ack()
        await second.ack()
    assert driver.calls == [("delete", "receipt-first", ""), ("delete", "receipt-next", "")]


async def test_a_message_that_was_delivered_too_often_by_our_own_count_reaches_no_handler(
    driver: Driver, transport: SqsTransport
) -> None:
    """A copy carries the count of before, which the redrive policy of the queue does not know."""
    [often] = brought("often")
    often["MessageAttributes"] = attributes.written({attributes.DELIVERIES: 5})
    driver.polls = [[often], brought("next")]
    async with transport.receive("worker") as stream:
        async with asyncio.timeout(5):
            delivery = await anext(stream)
        assert delivery.body == b"next"
        await delivery.ack()
    assert driver.calls[:2] == [("send", "often", "6"), ("delete", "receipt-often", "")]


async def test_polls_of_a_service_that_is_slow_are_given_more_time_until_one_is_answered(
    driver: Driver, transport: SqsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each one that is given up is a delivery of what it would have brought."""
    monkeypatch.setattr(sqs_receiver, "POLL_MARGIN", 0.3)
    driver.takes = 1.9  # more than a second and twice the margin, less than a second and four times the margin
    driver.polls = [brought("given up"), brought("given up"), brought("at last"), brought("at last")]
    async with transport.receive("worker") as stream:
        async with asyncio.timeout(10):
            delivery = await anext(stream)
        assert delivery.body == b"at last"
        assert len(driver.asked) in (3, 4)
        driver.takes = 0.0
        await delivery.ack()


async def test_after_each_poll_that_fails_the_pause_is_longer_until_one_is_answered(
    driver: Driver, transport: SqsTransport, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is slept is noted instead, and is within a fifth of what the log says."""
    slept: list[float] = []

    async def noted(seconds: float) -> None:
        slept.append(seconds)
        await asyncio.sleep(0)

    monkeypatch.setattr(sqs_receiver, "FIRST_PAUSE", 1.0)
    monkeypatch.setattr(sqs_receiver, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": noted}))
    failing: list[list[dict[str, Any]] | Exception] = [OSError("away")] * 5
    driver.polls = [*failing, brought("first"), *failing[:2], brought("second")]
    async with transport.receive("worker") as stream:
        for _ in range(2):
            async with asyncio.timeout(10):
                await (await anext(stream)).ack()
    pauses = [1.0, 2.0, 4.0, 5.0, 5.0, 1.0, 2.0]
    said = [record.getMessage().partition("again in ")[2] for record in caplog.records if "again in" in record.msg]
    assert said == [f"{pause:.1f} s" for pause in pauses]
    assert all(0.8 <= seconds / pause <= 1.2 for seconds, pause in zip(slept, pauses, strict=True)), slept


async def test_what_could_not_be_returned_in_time_is_renewed_no_more(
    driver: Driver, short: SqsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqs_receiver, "LEAVE_WITHIN", 0.1)
    driver.gates["show"] = threading.Event()
    driver.polls = [brought("held")]
    async with short.receive("worker") as stream:
        await anext(stream)
    assert "show" in driver.under_way
    assert short._keeper._leases == set()
    driver.gates["show"].set()


async def test_the_default_lease_is_30_seconds_renewed_every_10(driver: Driver) -> None:
    transport = SqsTransport(SqsSettings(endpoint="http://127.0.0.1:9"), "n")
    driver.polls = [brought("held")]
    async with transport.receive("worker") as stream:
        delivery = await anext(stream)
        assert driver.asked[0]["VisibilityTimeout"] == 30
        await delivery.extend()
        assert driver.calls == [("renew", "receipt-held", "30")]
        [lease] = transport._keeper._leases
        for age, renewals in ((8.0, 1), (11.0, 2)):  # by our clock, which ends it a second early
            lease.renewed(time.monotonic() - age, 30)
            await transport._keeper._renew(transport._receipts)
            assert len(driver.named("renew")) == renewals, age
        await delivery.ack()
    await transport.close()
