"""The Accept header (RFC 9110, section 12.5.1), as far as needed for two content types."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from aiohttp import web

from asya_gateway.protocols.http.errors import NotAcceptable, UnsupportedMediaType

JSON = "application/json"
ORDINARY = 256
"""Characters of the longest header whose meaning is remembered."""
JSON_RANGES = frozenset({"application/json", "application/*", "*/*"})
STREAM_RANGES = frozenset({"text/event-stream", "text/*"})
"""`*/*` is not included: it expresses no preference, and the answer is then JSON, which every tool can show."""


@dataclass(frozen=True, slots=True)
class AcceptedForms:
    """The forms of an answer that a client accepts. MCP and A2A require clients to accept both. A client that accepts
    only JSON is also served, without progress."""

    json: bool
    stream: bool


def read_accept(request: web.BaseRequest) -> AcceptedForms:
    """Raises NotAcceptable if the client accepts neither."""
    values = tuple(request.headers.getall("Accept", ()))
    # Those that clients send are short, and the cache must not keep the memory of others.
    read = _forms if sum(map(len, values)) <= ORDINARY else _forms.__wrapped__
    accepted = read(values)
    if not (accepted.json or accepted.stream):
        raise NotAcceptable("expected application/json and text/event-stream", field="Accept")
    return accepted


def ranges_of(request: web.BaseRequest) -> set[str]:
    """The media ranges that the client accepts, in lower case."""
    return _ranges(request.headers.getall("Accept", []))


@lru_cache(maxsize=256)
def _forms(values: tuple[str, ...]) -> AcceptedForms:
    """Cached, because a client sends the same header with each request."""
    ranges = _ranges(values)
    return AcceptedForms(json=not values or bool(ranges & JSON_RANGES), stream=bool(ranges & STREAM_RANGES))


def _ranges(values: Iterable[str]) -> set[str]:
    return {_range(part) for value in values for part in value.split(",")}


def _range(part: str) -> str:
    """A media range in lower case; "" if its weight is 0."""
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    refused = any(_weight(parameter) == 0 for parameter in parameters)
    return "" if refused else name


def _weight(parameter: str) -> float | None:
    key, _, value = parameter.partition("=")
    try:
        return float(value) if key.strip() == "q" else None
    except ValueError:
        return None


def check_content_type(request: web.BaseRequest) -> None:
    """Refuse a body with a content type other than JSON, so that an HTML form cannot make calls (CSRF). Raises
    UnsupportedMediaType."""
    said = request.headers.get("Content-Type", JSON)
    if said != JSON and request.content_type != JSON:
        raise UnsupportedMediaType("expected application/json", field="Content-Type")
