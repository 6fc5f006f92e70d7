"""Sends push notifications: one request for each event, to a URL that a caller named."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from asya_gateway.domain.clock import Clock
from asya_gateway.domain.destinations import DELIVERED, NO_LIVE_KEY, DeliveryOutcome, Destination, HostSays
from asya_gateway.domain.sealing import Sealing
from asya_gateway.domain.task import TaskUpdate
from asya_gateway.outbound.client import ExchangeLimits, OutboundClient, OutboundResponse
from asya_gateway.outbound.errors import NameNotReached, OutboundError, TargetRefused
from asya_gateway.protocols.a2a.push import rendering
from asya_gateway.protocols.a2a.push.registering import CHANNEL, OPEN_PARTY
from asya_gateway.protocols.a2a.push.secrets import opened

LIMITS = ExchangeLimits(seconds=10.0, bytes=64 * 1024)
"""The body of an answer says nothing; what is longer is not read."""
GONE = 410
TROUBLES = frozenset({408, 421, 429})
"""Answers below 500 with which a whole host says that it cannot take requests now."""


class PushChannel:
    """The domain's Channel for push notifications. `clock` tells the time by which a receiver's Retry-After counts."""

    name = CHANNEL

    def __init__(self, client: OutboundClient, sealing: Sealing, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._sealing = sealing

    def wants(self, update: TaskUpdate, before: str) -> bool:
        return rendering.wants(update, before)

    async def deliver(self, destination: Destination, update: TaskUpdate) -> DeliveryOutcome:
        secrets = await opened(self._sealing, destination)
        if secrets is None:
            # Perhaps only this process lacks the key, while a new one is being rolled out.
            return DeliveryOutcome(NO_LIVE_KEY)
        for notification in rendering.notifications(destination, update):
            headers = rendering.headers(destination, secrets, notification)
            outcome = await self._send(destination, notification.body, headers)
            if outcome.problem is not None:
                return outcome
        return DELIVERED

    async def _send(self, at: Destination, body: bytes, headers: Mapping[str, str]) -> DeliveryOutcome:
        party = at.owner or OPEN_PARTY
        try:
            answer = await self._client.post(at.url, body, limits=LIMITS, headers=headers, reads=False, party=party)
        except TargetRefused as error:
            return DeliveryOutcome(f"the URL is refused: {error.reason}", permanent=True)
        except NameNotReached as error:
            return DeliveryOutcome(error.reason)
        except OutboundError as error:
            return DeliveryOutcome(error.reason, host=HostSays.NOTHING)
        return judged(answer, datetime.fromtimestamp(self._clock(), UTC))


def judged(answer: OutboundResponse, now: datetime) -> DeliveryOutcome:
    """What an answer says. Only 2xx is a success, and only 410 says that nothing more is wanted. What is wrong with one
    request, or with one of the host's paths, is not wrong with the host."""
    if 200 <= answer.status < 300:
        return DELIVERED
    if answer.status == GONE:
        return DeliveryOutcome("it answered 410: nothing more is wanted there", permanent=True, host=HostSays.SOMETHING)
    busy = answer.status >= 500 or answer.status in TROUBLES
    host = HostSays.NOTHING if busy else HostSays.SOMETHING
    return DeliveryOutcome(
        f"it answered {answer.status}", wait=asked(answer.headers.get("Retry-After", ""), now), host=host
    )


def asked(retry_after: str, now: datetime) -> float:
    """Seconds of a Retry-After (RFC 9110, section 10.2.3), 0 if it says nothing."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except (OverflowError, TypeError, ValueError):
        return 0.0
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds())
