"""resources/subscribe and resources/unsubscribe of revisions with sessions; their notifications go to the session's
standalone stream."""

from asya_gateway.protocols.mcp.errors import InvalidParams
from asya_gateway.protocols.mcp.request_context import RequestContext, session_in
from asya_gateway.protocols.mcp.results import Result

LONGEST_URI = 2048


async def subscribe(context: RequestContext) -> Result:
    """Subscribe the session to a resource. Raises InvalidParams, and MethodNotFound without a session, which has no
    stream to tell of changes."""
    session, uri = session_in(context), _uri(context)
    if not await session.subscribe(uri):
        raise InvalidParams("uri: expected fewer subscriptions in one session")
    return Result()


async def unsubscribe(context: RequestContext) -> Result:
    """The opposite. Raises InvalidParams, MethodNotFound."""
    session, uri = session_in(context), _uri(context)
    await session.unsubscribe(uri)
    return Result()


def _uri(context: RequestContext) -> str:
    uri = context.params.get("uri")
    if not isinstance(uri, str) or not 1 <= len(uri) <= LONGEST_URI or not uri.isprintable():
        raise InvalidParams(f"uri: expected a string of 1 to {LONGEST_URI} printable characters")
    return uri
