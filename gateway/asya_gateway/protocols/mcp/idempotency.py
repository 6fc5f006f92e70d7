"""The caller's key of a request: the header, or `_meta["sh.asya/idempotencyKey"]` for clients that cannot set headers
and for the messages of a batch."""

from http import HTTPStatus

from asya_gateway.domain.errors import InvalidInput
from asya_gateway.domain.idempotency import LONGEST_KEY, is_key
from asya_gateway.protocols.http.idempotency import IDEMPOTENCY_KEY, idempotency_key
from asya_gateway.protocols.http.jsonrpc import INVALID_PARAMS
from asya_gateway.protocols.mcp.errors import HttpRefusal, InvalidParams
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.request_meta import meta_of

META_KEY = "sh.asya/idempotencyKey"


def key_of(context: RequestContext) -> str | None:
    """The key; None if the caller has given none. Raises InvalidParams, and HttpRefusal (400) if header and `_meta`
    give different ones."""
    in_header, in_meta = _header_key(context), _meta_key(context)
    if in_header is not None and in_meta is not None and in_header != in_meta:
        where = f'the header and params._meta["{META_KEY}"]'
        message = f"{IDEMPOTENCY_KEY}: expected the same key in {where}, or one of them"
        raise HttpRefusal(HTTPStatus.BAD_REQUEST, message, INVALID_PARAMS)
    return in_meta if in_header is None else in_header


def _header_key(context: RequestContext) -> str | None:
    try:
        return idempotency_key(context.headers)
    except InvalidInput as error:
        raise InvalidParams(error.text) from None


def _meta_key(context: RequestContext) -> str | None:
    key = meta_of(context.params).get(META_KEY)
    if key is None or (isinstance(key, str) and is_key(key)):
        return key
    raise InvalidParams(f"params._meta: expected {META_KEY} to be 1 to {LONGEST_KEY} visible ASCII characters")
