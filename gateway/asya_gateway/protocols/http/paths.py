"""Identifiers in paths, and a stream reader's position."""

from aiohttp import web

from asya_gateway.protocols.http.fields import checked_id

ID_NAME = "id"
ID = f"{{{ID_NAME}:[^/]+}}"
"""A path segment with an identifier. Ids are opaque, so everything except a slash is accepted."""

LARGEST_SEQ = 2**63 - 1


def path_id(request: web.Request) -> str:
    """The id in the path. Raises InvalidInput."""
    return checked_id(request.match_info[ID_NAME], ID_NAME)


def last_event_id(request: web.BaseRequest) -> int:
    """The seq after which a reader continues; 0 if the header is absent or not a valid number."""
    text = request.headers.get("Last-Event-ID", "").strip()
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        return 0
    seq = int(text)
    return seq if seq <= LARGEST_SEQ else 0
