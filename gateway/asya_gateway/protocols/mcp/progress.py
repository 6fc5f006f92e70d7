"""A task's log as notifications/progress: strictly increasing, whatever the log contains."""

from asya_crds.status import TaskStatus, UpdateKind
from asya_gateway.domain.log import ProgressEntry
from asya_gateway.domain.task import FlyEvent, JsonText, TaskUpdate
from asya_gateway.protocols.http.jsonrpc import notification_text
from asya_gateway.protocols.mcp.live_text import live_text
from asya_gateway.protocols.mcp.request_meta import ProgressToken

TOTAL = 100
STEP = 0.001
"""What an event with a text but no progress adds. The specification requires every notification to be above the last
(patterns/progress), and a stream of a thousand tokens must not look like a finished task."""


class Progress:
    """Creates the notifications of one request."""

    def __init__(self, token: ProgressToken) -> None:
        self._token = token
        self._last = -STEP

    def of(self, item: TaskUpdate | FlyEvent) -> JsonText | None:
        """The notification for a log entry or a live event; None if it has nothing for the caller."""
        match item:
            case TaskUpdate(kind=UpdateKind.FINAL, status=TaskStatus.SUCCEEDED):
                # The end may arrive before the last actor's report that it has completed.
                return self._next(TOTAL, None)
            case TaskUpdate(kind=UpdateKind.FINAL):
                return None
            case TaskUpdate():
                return self._next(item.progress, update_message(item))
            case FlyEvent():
                return self.live(live_text(item.payload))

    def live(self, text: str | None) -> JsonText | None:
        """The notification for a live event with this text."""
        return None if text is None else self._next(0.0, text)

    def _next(self, progress: float, message: str | None) -> JsonText | None:
        value = round(max(progress, self._last + STEP), 3)
        if value > TOTAL:
            return None
        self._last = value
        optional = {} if message is None else {"message": message}
        params = {"progressToken": self._token, "progress": value, "total": TOTAL, **optional}
        return notification_text("notifications/progress", params)


def update_message(update: TaskUpdate) -> str | None:
    """The text of a log entry: the report's own message, else the actor and its state."""
    entry = update.entry
    if entry.message:
        return entry.message
    if isinstance(entry, ProgressEntry) and entry.route is not None and entry.route.curr and entry.state:
        return f"{entry.route.curr}: {entry.state}"
    return str(update.status.value) if update.kind is not UpdateKind.PROGRESS else None
