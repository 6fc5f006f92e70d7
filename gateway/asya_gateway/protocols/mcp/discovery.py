"""Describes the gateway: server/discover without a handshake, initialize and ping with one."""

from collections.abc import Mapping
from typing import Any

from asya_gateway.protocols.mcp.errors import InvalidParams
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.results import SERVER_INFO, Result
from asya_gateway.protocols.mcp.versions import STATELESS, negotiate

INSTRUCTIONS = (
    "Each tool runs a pipeline of asynchronous actors. A call that takes longer than its connection may be "
    "held, or that waits for a "
    "person, returns a task id and the URL of its result; do not repeat such a call."
)


async def discover(context: RequestContext) -> Result:
    """Only versions without a handshake: the others are offered by initialize (2026-07-28, versioning)."""
    fields = {
        "supportedVersions": [str(revision) for revision in STATELESS],
        "capabilities": capabilities(tools_change=True),
        "instructions": INSTRUCTIONS,
    }
    return Result(fields, cacheable=True)


async def initialize(context: RequestContext) -> Result:
    """The handshake. No session is opened, because every later request contains all that is needed to answer it. Raises
    InvalidParams."""
    requested = context.params.get("protocolVersion")
    if not isinstance(requested, str):
        raise InvalidParams("protocolVersion: expected a string")
    for key in ("capabilities", "clientInfo"):
        if not isinstance(context.params.get(key), Mapping):
            raise InvalidParams(f"{key}: expected an object")
    revision = negotiate(requested)
    info = {key: value for key, value in SERVER_INFO.items() if key != "title" or revision.structured}
    return Result(
        {
            "protocolVersion": str(revision),
            "capabilities": capabilities(tools_change=False),
            "serverInfo": info,
            "instructions": INSTRUCTIONS,
        }
    )


async def ping(context: RequestContext) -> Result:
    """An empty object."""
    return Result()


def capabilities(*, tools_change: bool) -> dict[str, Any]:
    """The supported capabilities only. Changes of the tool list are announced on subscriptions/listen; after a
    handshake without a session there is no stream for them."""
    return {"tools": {"listChanged": tools_change}, "prompts": {}, "resources": {}, "completions": {}}
