"""A task's log as notifications/progress: strictly increasing, whatever the log says."""

from collections.abc import Mapping
from typing import Any

from asya_crds import jsontext
from asya_crds.status import TaskStatus, UpdateKind
from asya_gateway.domain.log import ProgressEntry
from asya_gateway.domain.task import FlyEvent, JsonText, TaskUpdate
from asya_gateway.protocols.http.jsonrpc import notification_text
from asya_gateway.protocols.mcp.request_meta import ProgressToken

TOTAL = 100
STEP = 0.001
"""What an event adds that brings a text and no progress: the specification wants every notification to be above
the last (patterns/progress), and a stream of a thousand tokens must not look like a finished task."""


class Progress:
    """Makes the notifications of one request."""

    def __init__(self, token: ProgressToken) -> None:
        self._token = token
        self._last = -STEP

    def of(self, item: TaskUpdate | FlyEvent) -> JsonText | None:
        """The notification for an entry of the log or a live event; None where it says nothing to the caller."""
        match item:
            case TaskUpdate(kind=UpdateKind.FINAL, status=TaskStatus.SUCCEEDED):
                # The end may overtake the last actor's own word that it is done.
                return self._next(TOTAL, None)
            case TaskUpdate(kind=UpdateKind.FINAL):
                return None
            case TaskUpdate():
                return self._next(item.progress, update_message(item))
            case FlyEvent():
                text = live_text(item.payload)
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
    """What an entry of the log says: the report's own message, else which actor does what."""
    entry = update.entry
    if entry.message:
        return entry.message
    if isinstance(entry, ProgressEntry) and entry.route is not None and entry.route.curr and entry.state:
        return f"{entry.route.curr}: {entry.state}"
    return str(update.status.value) if update.kind is not UpdateKind.PROGRESS else None


def live_text(payload: JsonText) -> str | None:
    """The text in a live event, in any of the shapes that actors use; None where there is none: a token
    ({token}, {text}, {delta}, {content}), a status or message of A2A, or the parts of an artifact."""
    try:
        value = jsontext.loads(payload, max_depth=2 * jsontext.MAX_DEPTH)
    except jsontext.InvalidJSON:
        return None
    return _text_in(value)


_TEXT_KEYS = ("text", "token", "delta", "content", "message")
_PART_KEYS = ("artifact_update", "status_update", "artifact", "status", "message", "parts", "delta", "content")


def _text_in(value: Any) -> str | None:
    match value:
        case str():
            return value or None
        case list():
            return "".join(filter(None, (_text_in(part) for part in value if isinstance(part, Mapping)))) or None
        case Mapping():
            for key in _TEXT_KEYS:
                if isinstance(value.get(key), str) and value[key]:
                    return str(value[key])
            inner = (_text_in(value[key]) for key in _PART_KEYS if isinstance(value.get(key), Mapping | list))
            return next(filter(None, inner), None)
        case _:
            return None
