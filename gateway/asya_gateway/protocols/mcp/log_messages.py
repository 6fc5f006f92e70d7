"""Log messages of actors: a live event `{log: {level, logger?, data}}` becomes notifications/message.

Since 2026-07-28 a client asks for them in each request (`_meta`, logLevel); before, once for its session
(logging/setLevel). Without that nothing is sent."""

from collections.abc import Callable, Mapping
from typing import Any

from asya_crds import jsontext
from asya_crds.large_json import has_few_values
from asya_gateway.domain.rates import Rates
from asya_gateway.domain.task import JsonText
from asya_gateway.protocols.http.jsonrpc import notification_text
from asya_gateway.protocols.mcp.errors import InvalidParams
from asya_gateway.protocols.mcp.request_context import RequestContext, session_in
from asya_gateway.protocols.mcp.request_meta import LOG_LEVEL_KEY, meta_of
from asya_gateway.protocols.mcp.results import Result

LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
"""From the least severe on (RFC 5424, section 6.2.1)."""
LONGEST_LOGGER = 255
PER_SECOND = 50.0
BURST = 100.0
"""Messages of one request, and how many may come at once."""
OWN_LOGGER = "asya.gateway"
"""Who says that messages were left out."""


async def set_level(context: RequestContext) -> Result:
    """logging/setLevel. Raises InvalidParams, and MethodNotFound without a session, which remembers the level."""
    session = session_in(context)
    level = context.params.get("level")
    if level not in LEVELS:
        raise InvalidParams(f"level: expected one of {', '.join(LEVELS)}")
    await session.set_level(level)
    return Result()


class LogMessages:
    """The log messages of one request, at a bounded rate. `least` tells the level from which on they are wanted now;
    None for none."""

    def __init__(self, least: Callable[[], str | None], rate: Rates | None = None) -> None:
        self._least = least
        self._rate = rate or Rates(PER_SECOND, BURST)
        self._left_out = 0

    @classmethod
    def of(cls, context: RequestContext) -> "LogMessages | None":
        """Those that the client wants; None if it wants none."""
        session = context.session
        if context.revision.stateless:
            level = meta_of(context.params).get(LOG_LEVEL_KEY)
            return None if level is None else cls(lambda: level)
        if session is None or session.session.log_level is None:
            return None
        return cls(lambda: session.session.log_level)

    def texts(self, payload: JsonText) -> list[JsonText]:
        """The notification for a live event; none if it is no log message, not wanted, or above the rate. The next one
        after such comes with another that says how many were left out."""
        message = read_log(payload)
        if message is None or not self._wanted(message["level"]):
            return []
        if self._rate.wait(None) > 0:
            self._left_out += 1
            return []
        return [*self._told_left_out(), notification_text("notifications/message", message)]

    def _wanted(self, level: str) -> bool:
        least = self._least()
        return least is not None and LEVELS.index(level) >= LEVELS.index(least)

    def _told_left_out(self) -> list[JsonText]:
        number, self._left_out = self._left_out, 0
        if not number or not self._wanted("warning"):
            return []
        said = f"{number} messages were left out: more than {PER_SECOND:g} came in a second"
        return [notification_text("notifications/message", {"level": "warning", "logger": OWN_LOGGER, "data": said})]


def is_log(payload: JsonText) -> bool:
    """Whether a live event is a log message, which is no progress."""
    return read_log(payload) is not None


def read_log(payload: JsonText) -> dict[str, Any] | None:
    """The params of notifications/message in a live event; None if it has another shape, or too many values to be
    decoded here."""
    if not payload.lstrip().startswith("{") or '"log"' not in payload or not has_few_values(payload):
        return None
    try:
        value = jsontext.loads(payload, max_depth=2 * jsontext.MAX_DEPTH)
    except jsontext.InvalidJSON:
        return None
    found = value.get("log") if isinstance(value, Mapping) and len(value) == 1 else None
    if not isinstance(found, Mapping) or found.get("level") not in LEVELS or "data" not in found:
        return None
    logger = found.get("logger")
    named = {"logger": logger[:LONGEST_LOGGER]} if isinstance(logger, str) else {}
    return {"level": found["level"], **named, "data": found["data"]}
