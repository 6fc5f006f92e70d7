"""A task's log as notifications/progress: strictly increasing, whatever the log contains, and never far apart."""

import asyncio
from collections.abc import Mapping
from typing import Any

from asya_crds.status import TaskStatus, UpdateKind
from asya_gateway.domain.log import ProgressEntry
from asya_gateway.domain.task import FlyEvent, JsonText, TaskUpdate
from asya_gateway.protocols.http.holding import ClientConnection
from asya_gateway.protocols.http.jsonrpc import notification_text
from asya_gateway.protocols.mcp.live_text import live_text
from asya_gateway.protocols.mcp.request_meta import ProgressToken

TOTAL = 100
HIGHEST = 99.0
"""The most that an actor's report counts for. Only the end of the task is TOTAL, because clients take that for it."""
STEP = 0.001
"""What an event with a text but no progress adds. The specification requires every notification to be above the last
(patterns/progress), and a stream of a thousand tokens must not look like a finished task. Near TOTAL it is less: a
thousandth of what is left."""
DIGITS = 12
"""Digits after the point, beyond which nothing can be added."""


def standing_progress(reported: float, seq: int) -> float:
    """The progress of a task whose log has come to this seq, for a client that is told of it on one stream after the
    other: it rises with each entry, as long as the reported one does not fall, and needs no memory of what was sent.
    Below TOTAL."""
    return round(min(reported, HIGHEST) + 0.9 * seq / (seq + 10_000), DIGITS)


class Progress:
    """Creates the notifications of one request, each with `meta` as its `_meta` if there is any."""

    def __init__(
        self, token: ProgressToken, last: float | None = None, *, meta: Mapping[str, Any] | None = None
    ) -> None:
        self._token = token
        self._meta = {} if meta is None else {"_meta": meta}
        self._last = -STEP if last is None else last

    @property
    def last(self) -> float:
        """The progress that was sent last, negative before the first. A stream that goes on elsewhere begins above
        it."""
        return self._last

    def of(self, item: TaskUpdate | FlyEvent) -> JsonText | None:
        """The notification for a log entry or a live event; None if it has nothing for the caller."""
        match item:
            case TaskUpdate(kind=UpdateKind.FINAL, status=TaskStatus.SUCCEEDED):
                self._last = TOTAL
                return self._text(TOTAL, None)
            case TaskUpdate(kind=UpdateKind.FINAL):
                return None
            case TaskUpdate():
                return self._next(item.progress, update_message(item))
            case FlyEvent():
                return self.live(live_text(item.payload))

    def live(self, text: str | None) -> JsonText | None:
        """The notification for a live event with this text."""
        return None if text is None else self._next(0.0, text)

    def beat(self) -> JsonText | None:
        """A notification without news, for a client whose timer only notifications reset."""
        return self._next(0.0, None)

    def _next(self, progress: float, message: str | None) -> JsonText | None:
        step = min(STEP, (TOTAL - self._last) / 1000)
        value = round(max(round(min(progress, HIGHEST), 3), self._last + step), DIGITS)
        if not self._last < value < TOTAL:
            return None
        self._last = value
        return self._text(value, message)

    def _text(self, value: float, message: str | None) -> JsonText:
        optional = {} if message is None else {"message": message}
        params = {"progressToken": self._token, "progress": value, "total": TOTAL, **optional, **self._meta}
        return notification_text("notifications/progress", params)


class Beating:
    """The channel of a request with a progressToken: after `interval` seconds without progress it sends some. Clients
    that end a request after such a time (`resetTimeoutOnProgress` in the TypeScript SDK) do not see comments, and take
    neither log messages nor requests of the gateway for progress. Implements Channel."""

    def __init__(self, inner: ClientConnection, progress: Progress, interval: float) -> None:
        self._inner = inner
        self._progress = progress
        self._interval = interval
        self._loop = asyncio.get_running_loop()
        self._told, self._last = progress.last, self._loop.time()
        """The progress that was sent last, and when that was found."""

    async def notify(self, text: JsonText) -> None:
        """Send one message, and progress without news if that is due."""
        await self._inner.notify(text)
        await self._beat()

    async def quiet(self) -> None:
        """Send progress without news if it is due."""
        if not await self._beat():
            await self._inner.quiet()

    async def _beat(self) -> bool:
        now = self._loop.time()
        if self._progress.last != self._told:
            self._told, self._last = self._progress.last, now
        beat = self._progress.beat() if now - self._last >= self._interval else None
        if beat is None:
            return False
        self._told, self._last = self._progress.last, now
        await self._inner.notify(beat)
        return True


def beating(
    channel: ClientConnection,
    token: ProgressToken | None,
    interval: float,
    *,
    last: float | None = None,
    meta: Mapping[str, Any] | None = None,
) -> tuple[ClientConnection, Progress | None]:
    """The channel of a request, on which `interval` seconds never pass without progress, and its progress, which begins
    above `last`. Without a token they are the channel as it is, and None."""
    if token is None:
        return channel, None
    progress = Progress(token, last, meta=meta)
    return Beating(channel, progress, interval), progress


def update_message(update: TaskUpdate) -> str | None:
    """The text of a log entry: the report's own message, else the actor and its state."""
    entry = update.entry
    if entry.message:
        return entry.message
    if isinstance(entry, ProgressEntry) and entry.route is not None and entry.route.curr and entry.state:
        return f"{entry.route.curr}: {entry.state}"
    return str(update.status.value) if update.kind is not UpdateKind.PROGRESS else None
