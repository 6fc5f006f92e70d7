"""The thread that renews leases of SQS survives every error, because without it all leases would expire."""

import logging
import threading
from collections.abc import AsyncIterator

import pytest
from typing_extensions import override

from asya_transports.port import MessageRefused, TransportError, TransportUnavailable
from asya_transports.sqs.client import SqsClient
from asya_transports.sqs.lease_keeper import LeaseKeeper
from asya_transports.sqs.leases import Lease
from asya_transports.sqs.receipts import Receipts
from asya_transports.sqs.settings import SqsSettings
from tests.support.waiting import until

SETTINGS = SqsSettings(endpoint="http://127.0.0.1:9", visibility_timeout=1)


@pytest.fixture
async def keeper() -> AsyncIterator[LeaseKeeper]:
    keeper = LeaseKeeper(SETTINGS)
    yield keeper
    await keeper.stop()


@pytest.fixture
def renewed(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set by the first renewal."""
    renewed = threading.Event()

    async def renew(_: Receipts, lease: Lease) -> None:
        renewed.set()

    monkeypatch.setattr(Receipts, "renew", renew)
    return renewed


async def test_leases_are_renewed_although_no_client_could_be_made_at_first(
    keeper: LeaseKeeper, renewed: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def opened(_: SqsClient) -> None:
        raise RuntimeError("no credentials yet")

    monkeypatch.setattr(SqsClient, "_opened", opened)
    keeper.hold(Lease("url", "receipt", 30, received=-1e6))
    keeper.start()
    await until(renewed.is_set, 5, "a renewal")


async def test_the_thread_goes_on_after_an_error_of_its_own(
    keeper: LeaseKeeper, renewed: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = [RuntimeError("once")]

    class Once(set[Lease]):
        @override
        def difference_update(self, *others: object) -> None:
            if errors:
                raise errors.pop()

    async def opened(_: SqsClient) -> None:
        return None

    monkeypatch.setattr(SqsClient, "_opened", opened)
    keeper._leases = Once([Lease("url", "receipt", 30, received=-1e6)])
    keeper.start()
    await until(lambda: not errors, 5, "the error")
    renewed.clear()
    await until(renewed.is_set, 5, "another renewal")


@pytest.mark.parametrize("error", [TransportUnavailable("away"), MessageRefused("gone")])
async def test_nothing_is_said_of_a_renewal_that_failed_for_a_message_answered_meanwhile(
    keeper: LeaseKeeper, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: TransportError
) -> None:
    lease = Lease("url", "receipt", 30, received=-1e6)

    async def renew(_: Receipts, lease: Lease) -> None:
        keeper.release(lease)
        raise error

    monkeypatch.setattr(Receipts, "renew", renew)
    keeper.hold(lease)
    with caplog.at_level(logging.WARNING):
        await keeper._renew(Receipts(SqsClient(SETTINGS)))
    assert caplog.messages == []
