"""The envelope: one JSON object a queue message, which actors receive, change and send on (docs/protocols/mesh.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Self

from asya_crds import jsontext
from asya_crds.naming import check_id

MAX_DEPTH = jsontext.MAX_DEPTH + 10
"""Levels of nesting: those of a payload, and those around it."""


class InvalidEnvelope(ValueError):
    """The message is no envelope; the text names the field and what was expected."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where an envelope was, is and goes: `curr` is the actor whose queue it is sent to, "" past the last one."""

    prev: tuple[str, ...] = ()
    curr: str = ""
    next: tuple[str, ...] = ()

    @property
    def hop(self) -> int:
        """How many actors came before: the number of this hop, from 0."""
        return len(self.prev)

    @property
    def total(self) -> int:
        """Number of actors on the whole route as it stands now, at least 1."""
        return max(1, len(self.prev) + (1 if self.curr else 0) + len(self.next))

    @property
    def says_nothing(self) -> bool:
        """Whether this names no actor at all: what sidecars send that report without a route."""
        return not (self.prev or self.curr or self.next)

    def shifted(self) -> "Route":
        """The route after `curr` has done its work."""
        head, rest = (self.next[0], self.next[1:]) if self.next else ("", ())
        return Route((*self.prev, self.curr), head, rest)

    def as_dict(self) -> dict[str, Any]:
        """The wire form: {prev, curr, next}."""
        return {"prev": list(self.prev), "curr": self.curr, "next": list(self.next)}

    def to_json(self) -> str:
        """JSON text of the wire form; remembered for routes of ordinary length, since many tasks take the same."""
        return _short_route_json(self) if len(self.prev) + len(self.next) < 32 else jsontext.dumps(self.as_dict())

    @classmethod
    def from_dict(cls, value: Any) -> Self:
        """Read {prev, curr, next}; prev and next may be null or missing. Raises InvalidEnvelope."""
        if not isinstance(value, Mapping):
            raise InvalidEnvelope("route: expected an object {prev, curr, next}")
        curr = value.get("curr")
        if not isinstance(curr, str | None):
            raise InvalidEnvelope("route.curr: expected a string")
        return cls(_names(value, "prev"), curr or "", _names(value, "next"))


@lru_cache(maxsize=1024)
def _short_route_json(route: Route) -> str:
    return jsontext.dumps(route.as_dict())


def _names(value: Mapping[str, Any], key: str) -> tuple[str, ...]:
    names = value.get(key)
    if names is None:
        return ()
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidEnvelope(f"route.{key}: expected a list of actor names")
    return tuple(names)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What goes on a queue. `payload` is any JSON value; `status` is the mesh's own bookkeeping
    ({phase, actor, attempt, max_attempts, created_at, updated_at, deadline_at?, error?}, times RFC 3339)."""

    id: str
    route: Route
    payload: Any
    headers: Mapping[str, Any] = field(default_factory=dict)
    status: Mapping[str, Any] = field(default_factory=dict)
    parent_id: str | None = None

    def with_(self, **changes: Any) -> "Envelope":
        """A copy with some fields replaced."""
        return replace(self, **changes)

    @property
    def attempt(self) -> int:
        """Which attempt of the current hop this is, from 1."""
        attempt = self.status.get("attempt")
        return attempt if isinstance(attempt, int) and not isinstance(attempt, bool) and attempt > 0 else 1

    @property
    def deadline_at(self) -> datetime | None:
        """When the task is overdue, where the envelope says so."""
        text = self.status.get("deadline_at")
        return parse_time(text) if isinstance(text, str) else None

    def as_dict(self) -> dict[str, Any]:
        """The wire form; parent_id only on children of a fan-out."""
        return {**self._head(), "payload": self.payload}

    def _head(self) -> dict[str, Any]:
        parent = {} if self.parent_id is None else {"parent_id": self.parent_id}
        return {
            "id": self.id,
            **parent,
            "route": self.route.as_dict(),
            "headers": dict(self.headers),
            "status": dict(self.status),
        }

    def to_json(self, payload: str | None = None, headers: Mapping[str, str] | None = None) -> str:
        """JSON text of the wire form; `payload` is the payload's own text, where it was made before, and `headers` are
        further ones of which the same is true."""
        if payload is None and not headers:
            return jsontext.dumps(self.as_dict())
        head = jsontext.dumps(self._head())[:-1]
        if headers:
            own = f'"headers":{jsontext.dumps(dict(self.headers))}'
            more = ",".join(f"{jsontext.dumps(name)}:{text}" for name, text in headers.items())
            head = head.replace(own, f"{own[:-1]}{',' if self.headers else ''}{more}}}", 1)
        return f'{head},"payload":{jsontext.dumps(self.payload) if payload is None else payload}}}'

    @classmethod
    def from_json(cls, body: bytes | str) -> Self:
        """Read a queue message. Raises InvalidEnvelope naming the field."""
        try:
            value = jsontext.loads(body, max_depth=MAX_DEPTH)
        except jsontext.InvalidJSON as error:
            raise InvalidEnvelope(str(error)) from None
        return cls.from_dict(value)

    @classmethod
    def from_dict(cls, value: Any) -> Self:
        """Read the wire form. Raises InvalidEnvelope naming the field."""
        if not isinstance(value, Mapping):
            raise InvalidEnvelope("expected a JSON object")
        return cls(
            id=_id(value, "id"),
            route=Route.from_dict(value.get("route")),
            payload=value.get("payload"),
            headers=_object(value, "headers"),
            status=_object(value, "status"),
            parent_id=_id(value, "parent_id") if value.get("parent_id") is not None else None,
        )


def _id(value: Mapping[str, Any], key: str) -> str:
    try:
        return check_id(value.get(key))
    except ValueError as error:
        raise InvalidEnvelope(f"{key}: {error}") from None


def _object(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise InvalidEnvelope(f"{key}: expected an object")
    return found


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds and a `Z`."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return f"{moment.isoformat(timespec='microseconds')[:-6]}Z"


def parse_time(text: str) -> datetime | None:
    """A moment from RFC 3339 text, in UTC; None where it is no time. A time without zone counts as UTC."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        # Overflow: the zone's offset leads out of the years 1 to 9999.
        return None
