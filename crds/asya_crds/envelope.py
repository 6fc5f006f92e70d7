"""The envelope: the JSON object in a queue message, which actors receive, change and forward (docs/protocols/mesh.md).

Envelope and Route are also the models that decode and describe the wire form. They are plain dataclasses whose fields
carry their checks, because many are created and few are decoded.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any

from pydantic import PlainValidator, TypeAdapter, ValidationError, WithJsonSchema

from asya_crds import jsontext
from asya_crds.message_fields import ID_SCHEMA, LARGEST_INTEGER, Id
from asya_crds.mistakes import explain
from asya_crds.naming import check_id
from asya_crds.task_json import RouteJson

MAX_DEPTH = jsontext.MAX_DEPTH + 10
"""Levels of nesting: those of a payload and of the envelope around it."""


class InvalidEnvelope(ValueError):
    """The message is not an envelope. The text names the field and what was expected."""


def _names(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    # Nearly all items are exactly `str`, which this checks fastest.
    if isinstance(value, list) and ({*map(type, value)} <= {str} or all(isinstance(name, str) for name in value)):
        return tuple(value)
    raise ValueError("expected a list of actor names")


def _current(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError("expected a string")  # as above
    return value


def _object(value: Any) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError("expected an object")  # as above
    return value


def _parent(value: Any) -> str | None:
    return None if value is None else check_id(value)


_NAMES_SCHEMA = {"type": ["array", "null"], "items": {"type": "string"}}
Names = Annotated[tuple[str, ...], PlainValidator(_names), WithJsonSchema(_NAMES_SCHEMA)]
CurrentActor = Annotated[str, PlainValidator(_current), WithJsonSchema({"type": ["string", "null"]})]
Object = Annotated[Mapping[str, Any], PlainValidator(_object), WithJsonSchema({"type": ["object", "null"]})]
ParentId = Annotated[str | None, PlainValidator(_parent), WithJsonSchema({"anyOf": [ID_SCHEMA, {"type": "null"}]})]


MOST_REMEMBERED = 32
LONGEST_REMEMBERED = 1024
"""Actors, and characters of their names, of a route of which something may be remembered."""


@dataclass(frozen=True, slots=True)
class Route:
    """The past, present and future actors of an envelope. `curr` is the actor whose queue it is sent to, "" past the
    last one."""

    prev: Names = ()
    curr: CurrentActor = ""
    next: Names = ()

    @property
    def hop(self) -> int:
        """The number of this hop, from 0: how many actors came before it."""
        return len(self.prev)

    @property
    def total(self) -> int:
        """Number of actors on the whole current route, at least 1."""
        return max(1, len(self.prev) + (1 if self.curr else 0) + len(self.next))

    @property
    def says_nothing(self) -> bool:
        """Whether this names no actor at all, as from sidecars that report without a route."""
        return not (self.prev or self.curr or self.next)

    @property
    def is_short(self) -> bool:
        """Whether what is made of it may be remembered. Many tasks take the same short routes; long ones, whose names
        others choose, would fill the memory."""
        names = *self.prev, self.curr, *self.next
        return len(names) <= MOST_REMEMBERED and sum(map(len, names)) <= LONGEST_REMEMBERED

    def shifted(self) -> "Route":
        """The route after `curr` has finished."""
        head, rest = (self.next[0], self.next[1:]) if self.next else ("", ())
        return Route((*self.prev, self.curr), head, rest)

    def as_dict(self) -> RouteJson:
        """The wire form: {prev, curr, next}."""
        return {"prev": list(self.prev), "curr": self.curr, "next": list(self.next)}

    def to_json(self) -> str:
        """JSON text of the wire form, remembered for short routes."""
        return _short_route_json(self) if self.is_short else jsontext.dumps(self.as_dict())

    @staticmethod
    def from_dict(value: Any) -> "Route":
        """Read {prev, curr, next}; each may be null or missing. Raises InvalidEnvelope."""
        try:
            return _read_route(value)
        except ValidationError as error:
            raise _mistake_in(error, "route") from None


@lru_cache(maxsize=1024)
def _short_route_json(route: Route) -> str:
    return jsontext.dumps(route.as_dict())


@dataclass(frozen=True, slots=True)
class Envelope:
    """The content of a queue message. `payload` is any JSON value; `status` is mesh's own bookkeeping ({phase, actor,
    attempt, max_attempts, created_at, updated_at, deadline_at?, error?}, times RFC 3339)."""

    id: Id
    route: Route
    payload: Any = None
    headers: Object = field(default_factory=dict)
    status: Object = field(default_factory=dict)
    parent_id: ParentId = None

    def with_(self, **changes: Any) -> "Envelope":
        """A copy with some fields replaced."""
        return replace(self, **changes)

    @property
    def attempt(self) -> int:
        """Which attempt of the current hop this is, from 1 to the largest that a report may name."""
        attempt = self.status.get("attempt")
        if not isinstance(attempt, int) or isinstance(attempt, bool) or attempt < 1:
            return 1
        return min(attempt, LARGEST_INTEGER)

    @property
    def deadline_at(self) -> datetime | None:
        """When the task becomes overdue; None if the envelope does not say."""
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

    def to_texts(self, payload: str | None = None) -> tuple[str, str]:
        """Two JSON texts: the envelope without its payload, and the payload. (`{head[:-1]},"payload":{payload}}` is
        the wire form.) `payload` is the payload's text if it is already encoded."""
        return jsontext.dumps(self._head()), jsontext.dumps(self.payload) if payload is None else payload

    def to_json(self, payload: str | None = None, headers: Mapping[str, str] | None = None) -> str:
        """JSON text of the wire form. `payload` is the payload's text if it is already encoded; `headers` are further
        headers, already encoded."""
        if payload is None and not headers:
            return jsontext.dumps(self.as_dict())
        head = jsontext.dumps(self._head())[:-1]
        if headers:
            own = f'"headers":{jsontext.dumps(dict(self.headers))}'
            more = ",".join(f"{jsontext.dumps(name)}:{text}" for name, text in headers.items())
            head = head.replace(own, f"{own[:-1]}{',' if self.headers else ''}{more}}}", 1)
        return f'{head},"payload":{jsontext.dumps(self.payload) if payload is None else payload}}}'

    @staticmethod
    def from_json(body: bytes | str) -> "Envelope":
        """Read a queue message. Raises InvalidEnvelope naming the field."""
        try:
            value = jsontext.loads(body, max_depth=MAX_DEPTH)
        except jsontext.InvalidJSON as error:
            raise InvalidEnvelope(str(error)) from None
        return Envelope.from_dict(value)

    @staticmethod
    def from_dict(value: Any) -> "Envelope":
        """Read the wire form. Raises InvalidEnvelope naming the field."""
        try:
            return _read_envelope(value)
        except ValidationError as error:
            raise _mistake_in(error) from None


def is_envelope(value: Any) -> bool:
    """Whether the value is the wire form of an envelope."""
    try:
        Envelope.from_dict(value)
    except InvalidEnvelope:
        return False
    return True


_read_route: Callable[[Any], Route] = TypeAdapter(Route).validator.validate_python
_read_envelope: Callable[[Any], Envelope] = TypeAdapter(Envelope).validator.validate_python


def _mistake_in(error: ValidationError, *within: str) -> InvalidEnvelope:
    first = explain(error, Envelope)[0]
    return InvalidEnvelope(replace(first, path=(*within, *first.path)).text())


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds and a `Z`."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return f"{moment.isoformat(timespec='microseconds')[:-6]}Z"


def format_seconds(seconds: float) -> str:
    """The same for POSIX seconds, at a third of the cost, because many envelopes are stamped within one second."""
    second = int(seconds)
    return f"{_second(second)}.{int((seconds - second) * 1e6):06d}Z"


@lru_cache(maxsize=256)
def _second(second: int) -> str:
    return f"{datetime.fromtimestamp(second, UTC).isoformat()[:-6]}"


def parse_time(text: str) -> datetime | None:
    """A time from RFC 3339 text, in UTC; None if the text is not a time. A time without a zone is taken as UTC."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        # Overflow: the zone's offset leads outside the years 1 to 9999.
        return None
