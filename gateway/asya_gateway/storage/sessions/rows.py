"""Rows of sessions."""

from dataclasses import replace
from typing import Any
from weakref import WeakValueDictionary

from asya_crds import jsontext
from asya_gateway.domain.sessions.session import (
    HELD_SECONDS,
    HOLD_SECONDS,
    IDLE_SECONDS,
    TOUCH_SECONDS,
    Session,
    SessionTransport,
)
from asya_gateway.domain.weighed import WeighedCache, weight_of

# What a client has said may be long, and is read once for each version of a row. $1 are keys, $2 the known versions.
_NEW = "version IS DISTINCT FROM ($2::bigint[])[array_position($1::bytea[], key)]"
COLUMNS = f"""key, transport, owner, revision, log_level, version, stream,
    CASE WHEN {_NEW} THEN capabilities::text END AS capabilities, CASE WHEN {_NEW} THEN uris END AS uris"""
_IDLE = f"CASE transport WHEN '{SessionTransport.SSE}' THEN {HELD_SECONDS:.0f} ELSE {IDLE_SECONDS:.0f} END"
LIVING = f"used_at > clock_timestamp() - {_IDLE} * interval '1 second'"
_OLD = f"CASE transport WHEN '{SessionTransport.SSE}' THEN {HOLD_SECONDS:.0f} ELSE {TOUCH_SECONDS:.0f} END"
RUSTY = f"used_at < clock_timestamp() - {_OLD} * interval '1 second'"
"""Whether a use has to be noted again."""


class Decoding:
    """Decodes rows, each version once while its session is used or was used lately. All who hold one version of a
    session hold the same object. `cache`: bytes of sessions that nobody else holds."""

    def __init__(self, cache: int) -> None:
        self._held: WeakValueDictionary[bytes, Session] = WeakValueDictionary()
        self._recent = WeighedCache[bytes, Session](cache, lambda session: session.weight)

    def known(self, key: bytes) -> Session | None:
        """The session as it was decoded last."""
        return self._held.get(key)

    def session(self, row: Any, known: Session | None) -> Session:
        """The session of a row with COLUMNS, `known` as it was when the row was asked for."""
        if known is None or known.version != row["version"]:
            made = _decoded(row)
        else:
            made = known if known.stream == row["stream"] else replace(known, stream=row["stream"])
        self._held[made.key] = made
        if self._recent.get(made.key) is not made:
            self._recent.keep(made.key, made)
        return made


def _decoded(row: Any) -> Session:
    capabilities, uris = jsontext.loads(row["capabilities"]), tuple(row["uris"])
    return Session(
        key=row["key"],
        transport=SessionTransport(row["transport"]),
        owner=row["owner"],
        revision=row["revision"],
        capabilities=capabilities,
        log_level=row["log_level"],
        uris=uris,
        version=row["version"],
        stream=row["stream"],
        weight=weight_of(capabilities) + weight_of(uris),
    )
