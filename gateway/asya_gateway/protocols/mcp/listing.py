"""Pages of the catalog's lists, with their cursors: the same for tools, prompts, resources and templates."""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

from asya_gateway.domain.budget import SMALL, Share
from asya_gateway.domain.offers import OfferKind, OfferType
from asya_gateway.protocols.mcp.errors import InvalidParams
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.results import Result
from asya_gateway.protocols.mcp.selecting import unknown_names
from asya_gateway.protocols.mcp.versions import Revision

PAGE = 500
"""Items on one page; a listing continues with its cursor."""
PAGE_SIZE = 1024 * 1024
"""Most characters of a page's items, except that a page has at least one. A schema may have 128 KiB, and a page is
encoded in one step."""
WEIGHT = 6
"""Weight of a page per character: the text, the response made from it, and the socket's copies."""
LONGEST_CURSOR = 8192
"""More than any key needs, encoded: a template has at most 4,096 characters."""

UNKNOWN_FLOWS = "sh.asya/unknownFlows"
"""The member of `_meta` for names in the URL of which the caller sees nothing."""

Define = Callable[[OfferType, Revision], dict[str, Any]]
"""An offer in the form of a revision."""


async def list_page(
    context: RequestContext, kind: OfferKind[OfferType], member: str, define: Define[OfferType]
) -> Result:
    """A page in the order of keys, always the same. Raises NoRoom, InvalidParams for an invalid cursor or a URL that
    names unknown flows only."""
    after = read_cursor(context.params, kind)
    unknown = unknown_names(context.catalog, context.caller, context.selection)
    found, more = context.catalog.page(kind, after, PAGE, PAGE_SIZE, context.caller, context.selection)
    size = sum(offer.size for offer in found)
    if size > SMALL:
        await context.budget.reserve(Share.READERS, WEIGHT * size)
    fields: dict[str, Any] = {member: [define(offer, context.revision) for offer in found]}
    if unknown:
        fields["_meta"] = {UNKNOWN_FLOWS: unknown}
    if more:
        fields["nextCursor"] = cursor_after(kind, found[-1].key)
    return Result(fields, cacheable=True)


def cursor_after(kind: OfferKind[Any], key: str) -> str:
    """The opaque cursor of the page of this list that begins after this key. It contains the key, so any replica can
    continue."""
    return f"{kind.value}.{base64.urlsafe_b64encode(key.encode()).decode()}"


def read_cursor(params: Mapping[str, Any], kind: OfferKind[Any]) -> str:
    """The key in a cursor of cursor_after, "" without a cursor or for an empty one. Raises InvalidParams, also for the
    cursor of another list: it would begin somewhere, and its client would miss items without a word."""
    cursor = params.get("cursor")
    if cursor is None or cursor == "":
        return ""
    try:
        if not isinstance(cursor, str) or len(cursor) > LONGEST_CURSOR:
            raise ValueError
        key = base64.b64decode(cursor.removeprefix(f"{kind.value}."), altchars=b"-_", validate=True).decode()
        if not key or cursor_after(kind, key) != cursor:
            raise ValueError
    except (ValueError, binascii.Error):
        raise InvalidParams("cursor: expected the nextCursor of an earlier answer") from None
    return key
