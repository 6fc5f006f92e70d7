"""What a running task reports, as notifications of the request that waits for it, at a bounded rate (patterns/progress:
"Both parties SHOULD implement rate limiting to prevent flooding"; server/utilities/logging, "Rate limit messages")."""

from asya_crds.offloading import Offload
from asya_crds.status import UpdateKind
from asya_gateway.domain.rates import Rates
from asya_gateway.domain.task import FlyEvent, JsonText, TaskUpdate
from asya_gateway.protocols.http.holding import ClientConnection
from asya_gateway.protocols.mcp.live_text import found_text
from asya_gateway.protocols.mcp.log_messages import LogMessages, is_log
from asya_gateway.protocols.mcp.progress import Progress

PER_SECOND = 50.0
BURST = 100.0
"""Progress notifications of one request, and how many may come at once."""
MOST_WITHHELD = 64 * 1024
"""Characters of withheld text from which on it is sent whatever the rate."""


class Telling:
    """The channel of a request whose client is told of its task. Above the rate, texts of live events are joined and
    the newest report takes the place of earlier ones; both are sent with the next notification, at the latest before
    the next change of status. Implements Channel; `tell` is a Tell."""

    def __init__(
        self,
        channel: ClientConnection,
        offload: Offload,
        progress: Progress | None,
        logs: LogMessages | None = None,
        *,
        rate: Rates | None = None,
    ) -> None:
        self._channel = channel
        self._offload = offload
        self._progress = progress
        self._logs = logs
        self._rate = rate or Rates(PER_SECOND, BURST)
        self._report: TaskUpdate | None = None
        self._texts: list[str] = []
        self._length = 0

    async def notify(self, text: JsonText) -> None:
        """Send one message."""
        await self._channel.notify(text)

    async def quiet(self) -> None:
        """Send what was withheld, else what keeps the connection alive."""
        if self._withholds and self._admitted:
            await self._flush()
        else:
            await self._channel.quiet()

    async def tell(self, item: TaskUpdate | FlyEvent) -> None:
        """Send an entry of the log or a live event as a notification, if it has something for the client."""
        if isinstance(item, FlyEvent):
            await self._tell_live(item)
        elif self._progress is None:
            await self._channel.quiet()
        else:
            await self._tell_update(self._progress, item)

    async def _tell_update(self, progress: Progress, update: TaskUpdate) -> None:
        if update.kind is UpdateKind.PROGRESS:
            self._report = update
            await self._when_admitted()
            return
        await self._flush()
        text = progress.of(update)
        await (self._channel.quiet() if text is None else self._channel.notify(text))

    async def _tell_live(self, event: FlyEvent) -> None:
        if is_log(event.payload):
            texts = [] if self._logs is None else self._logs.texts(event.payload)
            for each in texts:
                await self._channel.notify(each)
            if texts:
                return
        elif self._progress is not None and (text := await found_text(event.payload, self._offload)) is not None:
            self._texts.append(text)
            self._length += len(text)
            await self._when_admitted()
            return
        await self._channel.quiet()

    async def _when_admitted(self) -> None:
        if self._length >= MOST_WITHHELD or self._admitted:
            await self._flush()

    async def _flush(self) -> None:
        report, text = self._report, "".join(self._texts)
        self._report, self._texts, self._length = None, [], 0
        if self._progress is None:
            return
        for each in (
            None if report is None else self._progress.of(report),
            self._progress.live(text) if text else None,
        ):
            if each is not None:
                await self._channel.notify(each)

    @property
    def _withholds(self) -> bool:
        return self._report is not None or bool(self._texts)

    @property
    def _admitted(self) -> bool:
        return self._rate.wait(None) == 0
