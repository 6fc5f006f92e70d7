"""Sends push notifications: one request for each event, to a URL that a caller named."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from asya_gateway.domain.destinations import DELIVERED, NO_LIVE_KEY, Destination, Outcome
from asya_gateway.domain.sealing import Sealing
from asya_gateway.domain.task import TaskUpdate
from asya_gateway.outbound.client import Answer, Limits, OutboundClient
from asya_gateway.outbound.errors import OutboundError, TargetRefused
from asya_gateway.protocols.a2a.push import rendering
from asya_gateway.protocols.a2a.push.registering import CHANNEL
from asya_gateway.protocols.a2a.push.secrets import opened

LIMITS = Limits(seconds=10.0, bytes=64 * 1024)
"""The body of an answer says nothing; what is longer is not read."""
GONE = 410


class PushChannel:
    """The domain's Channel for push notifications."""

    name = CHANNEL

    def __init__(self, client: OutboundClient, sealing: Sealing) -> None:
        self._client = client
        self._sealing = sealing

    def wants(self, update: TaskUpdate, before: str) -> bool:
        return rendering.wants(update, before)

    async def deliver(self, destination: Destination, update: TaskUpdate) -> Outcome:
        secrets = await opened(self._sealing, destination)
        if secrets is None:
            # Perhaps only this process lacks the key, while a new one is being rolled out.
            return Outcome(NO_LIVE_KEY)
        for notification in rendering.notifications(destination, update):
            outcome = await self._send(
                destination.url, notification.body, rendering.headers(destination, secrets, notification)
            )
            if outcome.problem is not None:
                return outcome
        return DELIVERED

    async def _send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        try:
            answer = await self._client.post(url, body, limits=LIMITS, headers=headers, reads=False)
        except TargetRefused as error:
            return Outcome(f"the URL is refused: {error.reason}", permanent=True)
        except OutboundError as error:
            return Outcome(error.reason)
        return judged(answer, datetime.now(UTC))


def judged(answer: Answer, now: datetime) -> Outcome:
    """What an answer says. Only 2xx is a success, and only 410 says that nothing more is wanted."""
    if 200 <= answer.status < 300:
        return DELIVERED
    if answer.status == GONE:
        return Outcome("it answered 410: nothing more is wanted there", permanent=True)
    return Outcome(f"it answered {answer.status}", wait=asked(answer.headers.get("Retry-After", ""), now))


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
