"""The caller's key of a request: the header, or `_meta["sh.asya/idempotencyKey"]` for clients that cannot set headers
and for the messages of a batch."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from asya_gateway.domain.errors import InvalidInput
from asya_gateway.domain.idempotency import LONGEST_KEY, is_key
from asya_gateway.protocols.http.idempotency import IDEMPOTENCY_KEY, idempotency_key
from asya_gateway.protocols.http.jsonrpc import INVALID_PARAMS
from asya_gateway.protocols.http.tracing import trace_headers
from asya_gateway.protocols.mcp.errors import HttpRefusal, InvalidParams
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.request_meta import meta_of
from asya_gateway.protocols.mcp.routing import Headers

META_KEY = "sh.asya/idempotencyKey"


def key_of(context: RequestContext) -> str | None:
    """The key; None if the caller has given none. Raises InvalidParams, and HttpRefusal (400) if header and `_meta`
    give different ones."""
    in_header, in_meta = _key_in(context.headers), _meta_key(context)
    if in_header is not None and in_meta is not None and in_header != in_meta:
        raise _different()
    return in_meta if in_header is None else in_header


def with_headers(request: Mapping[str, Any], headers: Headers) -> Mapping[str, Any]:
    """A request that is answered elsewhere than its POST, with the key and the trace of that POST's headers in its
    `_meta`. What the client has put there itself is kept, and what is no `_meta` is refused later. Raises
    InvalidParams, HttpRefusal (400)."""
    key, trace = _key_in(headers), trace_headers(headers)
    params = request.get("params") or {}
    meta = params.get("_meta", {}) if isinstance(params, Mapping) else None
    if not isinstance(meta, Mapping) or not (key or trace):
        return request
    if key is not None and meta.get(META_KEY, key) != key:
        raise _different()
    said = {**trace, **({} if key is None else {META_KEY: key}), **meta}
    return {**request, "params": {**params, "_meta": said}}


def _key_in(headers: Headers) -> str | None:
    try:
        return idempotency_key(headers)
    except InvalidInput as error:
        raise InvalidParams(error.text) from None


def _different() -> HttpRefusal:
    where = f'the header and params._meta["{META_KEY}"]'
    message = f"{IDEMPOTENCY_KEY}: expected the same key in {where}, or one of them"
    return HttpRefusal(HTTPStatus.BAD_REQUEST, message, INVALID_PARAMS)


def _meta_key(context: RequestContext) -> str | None:
    key = meta_of(context.params).get(META_KEY)
    if key is None or (isinstance(key, str) and is_key(key)):
        return key
    raise InvalidParams(f"params._meta: expected {META_KEY} to be 1 to {LONGEST_KEY} visible ASCII characters")
