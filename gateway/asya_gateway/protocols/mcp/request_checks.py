"""Which era a request belongs to, and the checks of a stateless request before any work is done.

The order is the specification's if it defines one. Otherwise it is the most informative one for a client:
contradictions inside the request first, then an unsupported version, then errors of the method.
"""

from collections.abc import Container
from http import HTTPStatus

from asya_gateway.protocols.http.jsonrpc import Notification, Request
from asya_gateway.protocols.mcp.capabilities import ClientCapabilities
from asya_gateway.protocols.mcp.errors import HttpRefusal, MethodNotFound, UnsupportedVersion, shown
from asya_gateway.protocols.mcp.request_meta import VERSION_KEY, meta_of, read_request_meta
from asya_gateway.protocols.mcp.routing import VERSION_HEADER, Headers, check_method, check_name, check_version, single
from asya_gateway.protocols.mcp.versions import (
    HANDSHAKE,
    KNOWN_HANDSHAKE,
    STATELESS,
    WITHOUT_HEADER,
    Revision,
    handshake_named,
)


def is_stateless(message: Request | Notification, headers: Headers) -> bool:
    """Whether a message belongs to the stateless era (2026-07-28, versioning, "Backward Compatibility").

    The body decides, so that a client without the header gets an error instead of being treated as an old one. A header
    with an unknown version also belongs to the stateless era, which refuses it. Raises UnsupportedVersion for a
    handshake version in a stateless `_meta`, InvalidParams for a `_meta` that is not an object.
    """
    header = single(headers, VERSION_HEADER)
    declared = meta_of(message.params).get(VERSION_KEY)
    if declared is None:
        return header is not None and header not in KNOWN_HANDSHAKE
    if header in KNOWN_HANDSHAKE and declared == header:
        raise UnsupportedVersion(header)
    return True


def check_stateless(request: Request, headers: Headers, methods: Container[str]) -> tuple[Revision, ClientCapabilities]:
    """All checks of a stateless request; returns the revision to answer in, and what the client has declared in this
    request.

    Raises InvalidParams (-32602), HeaderMismatch (-32020), UnsupportedVersion (-32022), MethodNotFound (-32601).
    """
    meta = read_request_meta(request.params)
    check_version(headers, meta.version)
    check_method(headers, request.method)
    revision = _served(meta.version)
    if request.method not in methods:
        raise MethodNotFound(shown(request.method))
    check_name(headers, request)
    return revision, ClientCapabilities(meta.capabilities)


def check_notification(notification: Notification, headers: Headers) -> None:
    """Check a notification. Stateless clients have no notifications over HTTP, so it is dropped; but its version must
    be served. Raises UnsupportedVersion, HeaderMismatch."""
    declared = meta_of(notification.params).get(VERSION_KEY)
    version = declared if isinstance(declared, str) else single(headers, VERSION_HEADER)
    if version is not None:
        _served(version)


def _served(version: str) -> Revision:
    for revision in STATELESS:
        if revision == version:
            return revision
    raise UnsupportedVersion(version)


def handshake_revision(headers: Headers, *, initializing: bool = False, negotiated: Revision | None = None) -> Revision:
    """The revision of a message after a handshake: that of the header, else the one that was negotiated for its
    session, else 2025-03-26, which had no header (2025-11-25, transports, "Protocol Version Header"). Raises
    HttpRefusal (400).

    A client that initializes does not know the version yet, so any header is accepted then.
    """
    version = single(headers, VERSION_HEADER)
    if version is None or initializing:
        return negotiated or WITHOUT_HEADER
    found = handshake_named(version)
    if found is not None:
        return found
    served = ", ".join(HANDSHAKE)
    raise HttpRefusal(HTTPStatus.BAD_REQUEST, f"{VERSION_HEADER}: expected one of {served}, got {shown(version)}")
