"""What 2025-11-25 has for elicitations at a URL besides the request: the notification of their end, and an error that
asks a client to go there before it calls again. 2026-07-28 has neither."""

from collections.abc import Mapping, Sequence
from typing import Any

from asya_gateway.domain.task import JsonText, TaskHead
from asya_gateway.protocols.http.jsonrpc import RpcError, notification_text
from asya_gateway.protocols.mcp.forms import InputRequest, asks_of
from asya_gateway.protocols.mcp.idempotency import key_of
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.request_meta import related_task
from asya_gateway.protocols.mcp.session_answers import SURFACE
from asya_gateway.protocols.mcp.versions import Revision

URL_ELICITATION_REQUIRED = -32042
COMPLETE = "notifications/elicitation/complete"


class UrlElicitationRequired(RpcError):
    """The call cannot go on before its person has been at these URLs (schema URLElicitationRequiredError)."""

    def __init__(self, requests: Sequence[InputRequest]) -> None:
        elicitations = [request["params"] for request in requests if is_at_url(request)]
        super().__init__(
            URL_ELICITATION_REQUIRED, "This request needs more information", {"elicitations": elicitations}
        )


def url_required(context: RequestContext, task: TaskHead) -> UrlElicitationRequired | None:
    """The error for a call whose task waits only for its person to go to URLs, and whose response is one document, so
    that the client cannot be asked on it. A client that has been there calls again; only a call with an idempotency key
    gets its task then, instead of starting another."""
    session = context.session
    if context.revision is not Revision.NOVEMBER_2025 or session is None or session.streaming:
        return None
    if key_of(context) is None:
        return None
    asks = asks_of(task, SURFACE, context.revision, context.client, context.settings.public_url)
    requests = list(asks.requests.values())
    if not requests or asks.note is not None or not all(map(is_at_url, requests)):
        return None
    return UrlElicitationRequired(requests)


def is_at_url(request: InputRequest) -> bool:
    """Whether this request asks at a URL."""
    return bool(request.get("params", {}).get("mode") == "url")


def complete(asked: Mapping[str, Any]) -> JsonText:
    """The notification that an elicitation at a URL has ended, whichever way. `asked` are the params of its request."""
    return notification_text(COMPLETE, completion(asked))


def completion(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The params of that notification."""
    return {"elicitationId": asked["elicitationId"], **related_task(asked)}
