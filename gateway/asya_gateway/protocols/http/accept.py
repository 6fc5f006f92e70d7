"""What a client takes: the Accept header (RFC 9110, section 12.5.1), as far as two content types need it."""

from dataclasses import dataclass

from aiohttp import web

from asya_gateway.protocols.http.errors import NotAcceptable, UnsupportedMediaType

JSON_RANGES = frozenset({"application/json", "application/*", "*/*"})
STREAM_RANGES = frozenset({"text/event-stream", "text/*"})
"""`*/*` alone means no wish at all, and who has none gets JSON, which every tool can show."""


@dataclass(frozen=True, slots=True)
class AcceptedForms:
    """The forms in which an answer may come. MCP and A2A ask clients to take both; one that takes JSON alone is
    served too, without progress."""

    json: bool
    stream: bool


def read_accept(request: web.BaseRequest) -> AcceptedForms:
    """Raises NotAcceptable where the client takes neither."""
    values = request.headers.getall("Accept", [])
    ranges = {_range(part) for value in values for part in value.split(",")}
    accepted = AcceptedForms(json=not values or bool(ranges & JSON_RANGES), stream=bool(ranges & STREAM_RANGES))
    if not (accepted.json or accepted.stream):
        raise NotAcceptable("expected application/json and text/event-stream", field="Accept")
    return accepted


def _range(part: str) -> str:
    """A media range in lower case, "" where its weight says that it is not wanted."""
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
    """A body that calls itself anything but JSON is refused, so that no HTML form can be a call (CSRF). Raises
    UnsupportedMediaType."""
    if "Content-Type" in request.headers and request.content_type != "application/json":
        raise UnsupportedMediaType("expected application/json", field="Content-Type")
