"""Rows of sessions."""

from collections import OrderedDict
from typing import Any

from asya_crds import jsontext
from asya_gateway.domain.sessions.session import (
    HELD_SECONDS,
    HOLD_SECONDS,
    IDLE_SECONDS,
    TOUCH_SECONDS,
    Session,
    Transport,
)

MOST_CACHED = 10_000
"""Sessions whose decoded rows are kept. A row is kept as long as its version is the current one."""

COLUMNS = "key, transport, owner, revision, capabilities, log_level, uris, version, stream"
_IDLE = f"CASE transport WHEN '{Transport.SSE}' THEN {HELD_SECONDS:.0f} ELSE {IDLE_SECONDS:.0f} END"
LIVING = f"used_at > clock_timestamp() - {_IDLE} * interval '1 second'"
_OLD = f"CASE transport WHEN '{Transport.SSE}' THEN {HOLD_SECONDS:.0f} ELSE {TOUCH_SECONDS:.0f} END"
RUSTY = f"used_at < clock_timestamp() - {_OLD} * interval '1 second'"
"""Whether a use has to be noted again."""


class Decoding:
    """Decodes rows, each version once."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, Session] = OrderedDict()

    def session(self, row: Any) -> Session:
        """The session of a row with COLUMNS."""
        key: bytes = row["key"]
        known = self._known.get(key)
        if known is not None and (known.version, known.stream) == (row["version"], row["stream"]):
            self._known.move_to_end(key)
            return known
        made = Session(
            key=key,
            transport=Transport(row["transport"]),
            owner=row["owner"],
            revision=row["revision"],
            capabilities=jsontext.loads(row["capabilities"]),
            log_level=row["log_level"],
            uris=tuple(row["uris"]),
            version=row["version"],
            stream=row["stream"],
        )
        self._known[key] = made
        if len(self._known) > MOST_CACHED:
            self._known.popitem(last=False)
        return made
