"""Describes the gateway: server/discover without a handshake, initialize and ping with one."""

from collections.abc import Mapping
from typing import Any

from asya_crds import jsontext
from asya_crds.large_json import places
from asya_gateway.protocols.mcp.capabilities import TASKS_EXTENSION
from asya_gateway.protocols.mcp.errors import InvalidParams
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.request_meta import is_implementation
from asya_gateway.protocols.mcp.results import SERVER_INFO, Result
from asya_gateway.protocols.mcp.selecting import note_of, unknown_names
from asya_gateway.protocols.mcp.tasks.experimental import task_capability
from asya_gateway.protocols.mcp.versions import STATELESS, Revision, negotiate

INSTRUCTIONS = (
    "Each tool, prompt and resource runs a pipeline of asynchronous actors. A call that takes longer than its "
    "connection may be held, or that waits for a person, returns a task id and the URL of its result; "
    "do not repeat such a call."
)


MOST_DECLARED = 32 * 1024
MOST_VALUES = 1_000
"""Characters and values of what a client says of itself, which is stored with its session."""


async def discover(context: RequestContext) -> Result:
    """Only versions without a handshake: the others are offered by initialize (2026-07-28, versioning). Raises
    InvalidParams for a URL that names unknown flows only."""
    fields = {
        "supportedVersions": [str(revision) for revision in STATELESS],
        "capabilities": {**capabilities(), "extensions": {TASKS_EXTENSION: {}}},
        "instructions": _instructions(context),
    }
    return Result(fields, cacheable=True)


async def initialize(context: RequestContext) -> Result:
    """The handshake. Raises InvalidParams."""
    requested = context.params.get("protocolVersion")
    if not isinstance(requested, str):
        raise InvalidParams("protocolVersion: expected a string")
    for key in ("capabilities", "clientInfo"):
        if not isinstance(context.params.get(key), Mapping):
            raise InvalidParams(f"{key}: expected an object")
        if places(context.params[key], MOST_VALUES) > MOST_VALUES:
            raise InvalidParams(f"{key}: expected at most {MOST_VALUES} values")
        if len(jsontext.dumps(context.params[key])) > MOST_DECLARED:
            raise InvalidParams(f"{key}: expected at most {MOST_DECLARED} characters")
    if not is_implementation(context.params["clientInfo"]):
        raise InvalidParams("clientInfo: expected an object with the texts name and version")
    revision = negotiate(requested)
    info = {key: value for key, value in SERVER_INFO.items() if key != "title" or revision.structured}
    return Result(
        {
            "protocolVersion": str(revision),
            "capabilities": {**session_capabilities(revision), **task_capability(revision, context.caller)},
            "serverInfo": info,
            "instructions": _instructions(context),
        }
    )


def _instructions(context: RequestContext) -> str:
    return INSTRUCTIONS + note_of(unknown_names(context.catalog, context.caller, context.selection))


async def ping(context: RequestContext) -> Result:
    """An empty object."""
    return Result()


def capabilities() -> dict[str, Any]:
    """The supported capabilities only. Changes of lists and resources are announced on subscriptions/listen, or on the
    standalone stream of a session."""
    return {
        "tools": {"listChanged": True},
        "prompts": {"listChanged": True},
        "resources": {"listChanged": True, "subscribe": True},
        "completions": {},
        "logging": {},
    }


def session_capabilities(revision: Revision) -> dict[str, Any]:
    """Those of a revision with a handshake."""
    found = capabilities()
    if not revision.completions:
        del found["completions"]
    return found
