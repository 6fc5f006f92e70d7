"""The methods of each era, by name."""

from collections.abc import Awaitable, Callable, Mapping

from asya_gateway.protocols.http.holding import Held
from asya_gateway.protocols.mcp import calling, catalog, discovery, listening, tools
from asya_gateway.protocols.mcp.request_context import RequestContext
from asya_gateway.protocols.mcp.results import Result

Method = Callable[[RequestContext], Awaitable[Result | Held[Result]]]
"""Returns a result, or a held request that will. Raises RpcError and the domain's errors."""

_COMMON: Mapping[str, Method] = {
    "tools/list": tools.list_tools,
    "tools/call": calling.call_tool,
    "prompts/list": catalog.list_prompts,
    "prompts/get": catalog.get_prompt,
    "resources/list": catalog.list_resources,
    "resources/templates/list": catalog.list_resource_templates,
    "resources/read": catalog.read_resource,
    "completion/complete": catalog.complete,
}

STATELESS_METHODS: Mapping[str, Method] = {
    **_COMMON,
    "server/discover": discovery.discover,
    "subscriptions/listen": listening.listen,
}

HOLDING = frozenset({"tools/call", "subscriptions/listen"})
"""Methods that may be held, and so count against the limit of held requests."""

HANDSHAKE_METHODS: Mapping[str, Method] = {
    **_COMMON,
    "initialize": discovery.initialize,
    "ping": discovery.ping,
}
