"""Content types of A2A's JSON (specification 1.0.1, section 11.1)."""

from aiohttp import web

from asya_gateway.protocols.http.accept import ranges_of
from asya_gateway.protocols.http.errors import UnsupportedMediaType

JSON = "application/json"
A2A_JSON = "application/a2a+json"


def check_media_type(request: web.BaseRequest) -> None:
    """Refuse a body of another type before it is read. Raises UnsupportedMediaType."""
    if "Content-Type" in request.headers and request.content_type not in (JSON, A2A_JSON):
        raise UnsupportedMediaType(f"expected {A2A_JSON} or {JSON}", field="Content-Type")


def answered_type(request: web.BaseRequest) -> str:
    """The type of an answer: A2A's own, unless the client accepts only the general one."""
    accepted = ranges_of(request)
    return JSON if JSON in accepted and A2A_JSON not in accepted else A2A_JSON
